//! Type modifiers: reading them, applying them, printing types with them.

use super::datetime::{self, interval};
use super::{Coercion, Datum, TypeRef, text};
use crate::registry::{Registry, TypeKind};
use crate::{Oid, Result, SqlError, SqlState};

/// Bytes that a length modifier counts beside the length itself.
const HEADER: i32 = 4;
/// Largest `n` of `varchar(n)` and `char(n)`.
const MAX_CHARS: i32 = 10_485_760;
/// All fields of an interval.
const FULL_RANGE: i32 = 0x7fff;
/// An interval's modifier without a precision.
const FULL_PRECISION: i32 = 0xffff;

/// Precision and scale of a numeric's modifier.
pub fn numeric_parts(typmod: i32) -> (i32, i32) {
    let packed = typmod - HEADER;
    ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024)
}

/// Brings a value to the type's modifier. `Explicit` cuts strings silently; the others refuse to
/// cut anything but blanks.
pub fn apply_typmod(ty: TypeRef, value: Datum, coercion: Coercion) -> Result<Datum> {
    if ty.typmod < 0 {
        return Ok(value);
    }
    let length = (ty.typmod - HEADER).max(0) as usize;
    Ok(match (ty.oid, value) {
        (Oid::VARCHAR, Datum::Text(value)) => {
            text::apply_varchar(&value, length, coercion)?.unwrap_or(Datum::Text(value))
        }
        (Oid::BPCHAR, Datum::Text(value)) => {
            text::apply_bpchar(&value, length, coercion)?.unwrap_or(Datum::Text(value))
        }
        (Oid::NUMERIC, Datum::Numeric(value)) => Datum::Numeric(value.apply_typmod(ty.typmod)?),
        (Oid::TIME, Datum::Time(value)) => Datum::Time(datetime::round_micros(value, ty.typmod)),
        (Oid::TIMETZ, Datum::TimeTz(value)) => {
            Datum::TimeTz(super::TimeTz { micros: datetime::round_micros(value.micros, ty.typmod), ..value })
        }
        (Oid::TIMESTAMP | Oid::TIMESTAMPTZ, Datum::Timestamp(value)) => match value {
            i64::MIN | i64::MAX => Datum::Timestamp(value),
            value => Datum::Timestamp(datetime::round_micros(value, ty.typmod)),
        },
        (Oid::INTERVAL, Datum::Interval(value)) => Datum::Interval(interval::apply_typmod(value, ty.typmod)?),
        (oid, Datum::Array(array)) => match Registry::get().array_element(oid) {
            Some(element) => {
                let element = TypeRef::of(element).with_typmod(ty.typmod);
                let items = array.items.iter().map(|item| apply_typmod(element, item.clone(), coercion));
                Datum::Array(std::sync::Arc::new(super::ArrayValue {
                    element: array.element,
                    dims: array.dims.clone(),
                    items: items.collect::<Result<_>>()?,
                }))
            }
            None => Datum::Array(array),
        },
        (_, value) => value,
    })
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The modifier of a type from the numbers in its parentheses: `varchar(10)`, `numeric(5, 2)`,
/// `timestamp(3)`. Intervals with fields: `interval_typmod`.
pub fn typmod_in(oid: Oid, numbers: &[i32]) -> Result<i32> {
    let one = || match numbers {
        [n] => Ok(*n),
        _ => Err(invalid("invalid type modifier")),
    };
    let oid = Registry::get().array_element(oid).unwrap_or(oid);
    match oid {
        Oid::VARCHAR | Oid::BPCHAR => {
            let name = if oid == Oid::VARCHAR { "varchar" } else { "char" };
            let n = one()?;
            if n < 1 {
                return Err(invalid(format!("length for type {name} must be at least 1")));
            }
            if n > MAX_CHARS {
                return Err(invalid(format!("length for type {name} cannot exceed {MAX_CHARS}")));
            }
            Ok(n + HEADER)
        }
        Oid::BIT | Oid::VARBIT => {
            let name = if oid == Oid::BIT { "bit" } else { "varbit" };
            let n = one()?;
            if n < 1 { Err(invalid(format!("length for type {name} must be at least 1"))) } else { Ok(n) }
        }
        Oid::NUMERIC => {
            let (precision, scale) = match numbers {
                [precision] => (*precision, 0),
                [precision, scale] => (*precision, *scale),
                _ => return Err(invalid("invalid NUMERIC type modifier")),
            };
            if !(1..=1000).contains(&precision) {
                return Err(invalid(format!("NUMERIC precision {precision} must be between 1 and 1000")));
            }
            if !(-1000..=1000).contains(&scale) {
                return Err(invalid(format!("NUMERIC scale {scale} must be between -1000 and 1000")));
            }
            Ok(((precision << 16) | (scale & 0x7ff)) + HEADER)
        }
        Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => {
            let n = one()?;
            if n < 0 {
                let name = if matches!(oid, Oid::TIME | Oid::TIMETZ) { "TIME" } else { "TIMESTAMP" };
                let zone = if matches!(oid, Oid::TIMETZ | Oid::TIMESTAMPTZ) { " WITH TIME ZONE" } else { "" };
                return Err(invalid(format!("{name}({n}){zone} precision must not be negative")));
            }
            Ok(n.min(6))
        }
        Oid::INTERVAL => interval_typmod(FULL_RANGE, Some(one()?)),
        other => Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("type modifier is not allowed for type \"{}\"", catalog_name(other)),
        )),
    }
}

fn catalog_name(oid: Oid) -> &'static str {
    Registry::get().type_by_oid(oid).map_or("???", |row| row.name)
}

/// An interval's modifier: field bits (1 << 2 year, 1 << 1 month, 1 << 3 day, 1 << 10 hour,
/// 1 << 11 minute, 1 << 12 second, or 0x7fff) and precision.
pub fn interval_typmod(fields: i32, precision: Option<i32>) -> Result<i32> {
    match precision {
        Some(n) if n < 0 => Err(invalid(format!("INTERVAL({n}) precision must not be negative"))),
        Some(n) => Ok((fields & FULL_RANGE) << 16 | n.min(6)),
        None if fields == FULL_RANGE => Ok(-1),
        None => Ok((fields & FULL_RANGE) << 16 | FULL_PRECISION),
    }
}

/// A modifier as it stands behind the type's name: `(10)`, `(5,2)`; empty for -1.
pub fn typmod_out(oid: Oid, typmod: i32) -> String {
    if typmod < 0 {
        return String::new();
    }
    match oid {
        Oid::VARCHAR | Oid::BPCHAR if typmod > HEADER => format!("({})", typmod - HEADER),
        Oid::NUMERIC if typmod >= HEADER => {
            let (precision, scale) = numeric_parts(typmod);
            format!("({precision},{scale})")
        }
        Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ | Oid::BIT | Oid::VARBIT => {
            format!("({typmod})")
        }
        Oid::INTERVAL => {
            let precision = typmod & FULL_PRECISION;
            let fields = interval_fields(typmod >> 16 & FULL_RANGE);
            if precision == FULL_PRECISION { fields.to_owned() } else { format!("{fields}({precision})") }
        }
        _ => String::new(),
    }
}

fn interval_fields(range: i32) -> &'static str {
    let (month, year, day) = (1 << 1, 1 << 2, 1 << 3);
    let (hour, minute, second) = (1 << 10, 1 << 11, 1 << 12);
    match range {
        r if r == year => " year",
        r if r == month => " month",
        r if r == day => " day",
        r if r == hour => " hour",
        r if r == minute => " minute",
        r if r == second => " second",
        r if r == year | month => " year to month",
        r if r == day | hour => " day to hour",
        r if r == day | hour | minute => " day to minute",
        r if r == day | hour | minute | second => " day to second",
        r if r == hour | minute => " hour to minute",
        r if r == hour | minute | second => " hour to second",
        r if r == minute | second => " minute to second",
        _ => "",
    }
}

/// SQL's names of types whose catalog name differs: (catalog name, SQL name, what follows a
/// modifier).
const SQL_NAMES: &[(Oid, &str, &str)] = &[
    (Oid::BIT, "bit", ""),
    (Oid::BOOL, "boolean", ""),
    (Oid::BPCHAR, "character", ""),
    (Oid::FLOAT4, "real", ""),
    (Oid::FLOAT8, "double precision", ""),
    (Oid::INT2, "smallint", ""),
    (Oid::INT4, "integer", ""),
    (Oid::INT8, "bigint", ""),
    (Oid::NUMERIC, "numeric", ""),
    (Oid::INTERVAL, "interval", ""),
    (Oid::TIME, "time", " without time zone"),
    (Oid::TIMETZ, "time", " with time zone"),
    (Oid::TIMESTAMP, "timestamp", " without time zone"),
    (Oid::TIMESTAMPTZ, "timestamp", " with time zone"),
    (Oid::VARBIT, "bit varying", ""),
    (Oid::VARCHAR, "character varying", ""),
];

/// `format_type(oid, typmod)` of a built-in type; `???` for one the registry does not hold.
pub fn format_type(oid: Oid, typmod: i32) -> String {
    let registry = Registry::get();
    if let Some(element) = registry.array_element(oid) {
        return format!("{}[]", format_type(element, typmod));
    }
    if typmod < 0 {
        // `format_type(…, -1)` says that there is no length, where `character` would mean 1.
        match oid {
            Oid::BPCHAR => return "bpchar".to_owned(),
            Oid::BIT => return "\"bit\"".to_owned(),
            _ => {}
        }
    }
    if let Some((_, name, suffix)) = SQL_NAMES.iter().find(|(ty, ..)| *ty == oid) {
        return format!("{name}{}{suffix}", typmod_out(oid, typmod));
    }
    if oid == Oid::NONE {
        return "-".to_owned();
    }
    match registry.type_by_oid(oid) {
        Some(row) if row.namespace == Oid::PG_CATALOG => quote_if_needed(row.name),
        Some(row) => format!("information_schema.{}", quote_if_needed(row.name)),
        None => "???".to_owned(),
    }
}

/// The type's name in messages, `regtype` and `pg_typeof`: no modifier given.
pub fn format_type_be(oid: Oid) -> String {
    let registry = Registry::get();
    if let Some(element) = registry.array_element(oid) {
        return format!("{}[]", format_type_be(element));
    }
    match oid {
        Oid::BPCHAR => "character".to_owned(),
        Oid::BIT => "bit".to_owned(),
        other => format_type(other, -1),
    }
}

/// `"char"` and `"any"` read as keywords without quotes.
fn quote_if_needed(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !matches!(name, "char" | "any");
    if plain { name.to_owned() } else { format!("\"{name}\"") }
}

/// A built-in type by any of its names: `integer`, `int4`, `timestamp with time zone`, `_text`,
/// `text[]`; a modifier in parentheses is passed over.
pub fn builtin_type_named(name: &str) -> Option<Oid> {
    let trimmed = name.trim();
    let registry = Registry::get();
    if let Some(element) = trimmed.strip_suffix("[]") {
        let element = builtin_type_named(element)?;
        return registry.array_of(element).or(registry.array_element(element).map(|_| element));
    }
    if let Some(quoted) = trimmed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return registry.type_by_name(quoted).map(|row| row.oid);
    }
    let mut words = trimmed.to_ascii_lowercase();
    if let (Some(open), Some(close)) = (words.find('('), words.find(')')) {
        if open > close {
            return None;
        }
        words.replace_range(open..=close, " ");
    }
    let words: Vec<_> = words.split_ascii_whitespace().collect();
    let words = words.join(" ");
    Some(match words.as_str() {
        "boolean" => Oid::BOOL,
        "smallint" => Oid::INT2,
        "int" | "integer" => Oid::INT4,
        "bigint" => Oid::INT8,
        "real" => Oid::FLOAT4,
        "float" | "double precision" => Oid::FLOAT8,
        "decimal" | "dec" => Oid::NUMERIC,
        "char" | "character" | "nchar" => Oid::BPCHAR,
        "character varying" | "char varying" => Oid::VARCHAR,
        "time without time zone" => Oid::TIME,
        "time with time zone" => Oid::TIMETZ,
        "timestamp without time zone" => Oid::TIMESTAMP,
        "timestamp with time zone" => Oid::TIMESTAMPTZ,
        "bit varying" => Oid::VARBIT,
        other => return registry.type_by_name(other).map(|row| row.oid),
    })
}

/// Whether a type of the registry is a pseudo-type.
pub fn is_pseudo(oid: Oid) -> bool {
    Registry::get().type_by_oid(oid).is_some_and(|row| row.kind == TypeKind::Pseudo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_types_as_postgres() {
        for (oid, typmod, shown) in [
            (Oid::INT4, -1, "integer"),
            (Oid::VARCHAR, 14, "character varying(10)"),
            (Oid::BPCHAR, 14, "character(10)"),
            (Oid::BPCHAR, -1, "bpchar"),
            (Oid::NUMERIC, ((5 << 16) | 2) + 4, "numeric(5,2)"),
            (Oid::TIMESTAMPTZ, 3, "timestamp(3) with time zone"),
            (Oid::TIME, -1, "time without time zone"),
            (Oid::TEXT_ARRAY, -1, "text[]"),
            (Oid::VARCHAR_ARRAY, 14, "character varying(10)[]"),
            (Oid::CHAR, -1, "\"char\""),
            (Oid::OIDVECTOR, -1, "oidvector"),
            (Oid::INTERVAL, interval_typmod((1 << 2) | (1 << 1), None).unwrap(), "interval year to month"),
        ] {
            assert_eq!(format_type(oid, typmod), shown);
        }
        assert_eq!(format_type_be(Oid::BPCHAR), "character");
        assert_eq!(builtin_type_named("character varying(10)[]"), Some(Oid::VARCHAR_ARRAY));
        assert_eq!(builtin_type_named("timestamp(3) with time zone"), Some(Oid::TIMESTAMPTZ));
    }

    #[test]
    fn applies_lengths() {
        let varchar = TypeRef::of(Oid::VARCHAR).with_typmod(HEADER + 2);
        let apply = |ty, text: &str, coercion| match apply_typmod(ty, Datum::text(text), coercion) {
            Ok(Datum::Text(text)) => text.to_string(),
            Ok(_) => unreachable!(),
            Err(error) => error.message().to_owned(),
        };
        assert_eq!(apply(varchar, "abc", Coercion::Explicit), "ab");
        assert_eq!(apply(varchar, "ab ", Coercion::Assignment), "ab");
        assert_eq!(
            apply(varchar, "abc", Coercion::Assignment),
            "value too long for type character varying(2)"
        );
        let bpchar = TypeRef::of(Oid::BPCHAR).with_typmod(HEADER + 4);
        assert_eq!(apply(bpchar, "ab", Coercion::Assignment), "ab  ");
        assert_eq!(apply(bpchar, "abcde", Coercion::Input), "value too long for type character(4)");
    }
}
