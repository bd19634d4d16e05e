//! The server: version, encodings, roles' names; and comments on objects.

use super::{catalog_cx, int4, names, null, oid, text};
use crate::kernels::{CallContext, ScalarFn};
use crate::pgcatalog::comment;
use crate::pgcatalog::definition::{virtual_table, virtual_table_by_oid};
use crate::types::Datum;
use crate::{Oid, Result};

pub(super) const TABLE: &[(&str, ScalarFn)] = &[
    ("PG_char_to_encoding", char_to_encoding),
    ("PG_encoding_to_char", encoding_to_char),
    ("getdatabaseencoding", |_, _| Ok(Datum::text("UTF8"))),
    ("pg_client_encoding", |_, _| Ok(Datum::text("UTF8"))),
    ("pg_get_userbyid", user_by_id),
    ("pg_is_in_recovery", |_, _| Ok(Datum::Bool(false))),
    ("pg_is_other_temp_schema", |_, _| Ok(Datum::Bool(false))),
    ("pg_my_temp_schema", |_, _| Ok(Datum::Oid(Oid::NONE))),
    ("pg_relation_is_publishable", |cx, args| Ok(Datum::Bool(cx.catalog.table(oid(args, 0)?).is_some()))),
    ("pg_tablespace_location", |_, _| Ok(Datum::text(""))),
    ("pgsql_version", |_, _| Ok(Datum::text(VERSION))),
];

pub(super) const BY_OID: &[(u32, ScalarFn)] = &[
    // obj_description(oid, name), obj_description(oid), col_description, shobj_description
    (1215, object_description),
    (1348, |cx, args| comment::find(&catalog_cx(cx), oid(args, 0)?, None, 0)),
    (1216, |cx, args| comment::find(&catalog_cx(cx), oid(args, 0)?, None, int4(args, 1)?)),
    (1993, null),
];

/// What clients read the dialect's version from.
const VERSION: &str = concat!("PostgreSQL 15.0 (PhantomDB ", env!("CARGO_PKG_VERSION"), ")");

/// PostgreSQL 15's encodings, by number.
const ENCODINGS: [&str; 42] = [
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
];

fn encoding_to_char(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let found = usize::try_from(int4(args, 0)?).ok().and_then(|at| ENCODINGS.get(at));
    Ok(Datum::text(found.copied().unwrap_or("")))
}

fn char_to_encoding(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let plain =
        |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let wanted = plain(text(args, 0)?);
    let wanted = if wanted == "unicode" { "utf8".to_owned() } else { wanted };
    let found = ENCODINGS.iter().position(|name| plain(name) == wanted);
    Ok(Datum::Int4(found.and_then(|at| i32::try_from(at).ok()).unwrap_or(-1)))
}

fn user_by_id(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let role = oid(args, 0)?;
    Ok(match names(cx).role(role) {
        Some(name) => Datum::text(name),
        None => Datum::text(format!("unknown (OID={role})")),
    })
}

/// `obj_description(object, catalog)`.
fn object_description(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let class = virtual_table("pg_catalog", text(args, 1)?).map(|table| table.oid);
    let Some(class) = class.filter(|class| virtual_table_by_oid(*class).is_some()) else {
        return Ok(Datum::Null);
    };
    comment::find(&catalog_cx(cx), oid(args, 0)?, Some(class), 0)
}
