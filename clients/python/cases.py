"""What every Python driver sends: a type, a value, and the comparison is by ==."""
import datetime as dt
import decimal
import uuid

UTC = dt.timezone.utc
VALUES = [
    ("int2", 7),
    ("int4", -2147483648),
    ("int8", 9223372036854775807),
    ("float8", 0.1),
    ("numeric", decimal.Decimal("12345678901234567890.0123456789")),
    ("text", "żółć 'quoted' \\ back"),
    ("bool", True),
    ("bytea", b"\x00\xff\\x"),
    ("date", dt.date(2024, 2, 29)),
    ("timestamp", dt.datetime(2024, 2, 29, 1, 2, 3, 456789)),
    ("timestamptz", dt.datetime(2024, 2, 29, 1, 2, 3, 456789, UTC)),
    ("interval", dt.timedelta(days=3, seconds=4, microseconds=5)),
    ("uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ("int4[]", [1, None, 3]),
    ("text[]", ["a b", None, 'c"d', ""]),
]


def same(got, expected, what):
    assert got == expected, f"{what}: got {got!r}, expected {expected!r}"
