//! bool, the integers, `oid` and the `reg…` types, uuid, the two vector types.

use super::io::{Io, invalid_syntax, is_space, out_of_range};
use super::{Datum, typmod};
use crate::registry::{Registry, table};
use crate::{Oid, Result, SqlError, SqlState};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// `regconfig` and `regdictionary`, `regcollation`: numeric forms only.
const REGCONFIG: Oid = Oid(3734);
const REGDICTIONARY: Oid = Oid(3769);
const REGCOLLATION: Oid = Oid(4191);

/// Whether the type is one of the OID alias types.
pub fn is_reg(ty: Oid) -> bool {
    matches!(
        ty,
        Oid::REGPROC
            | Oid::REGPROCEDURE
            | Oid::REGOPER
            | Oid::REGOPERATOR
            | Oid::REGCLASS
            | Oid::REGTYPE
            | Oid::REGNAMESPACE
            | Oid::REGROLE
            | REGCONFIG
            | REGDICTIONARY
            | REGCOLLATION
    )
}

/// Unique prefixes of true, false, yes, no, on, off, 1, 0 in any case.
pub(super) fn bool_in(text: &str) -> Result<Datum> {
    let word = text.trim_matches(is_space).to_ascii_lowercase();
    let prefix_of = |whole: &str, least: usize| word.len() >= least && whole.starts_with(word.as_str());
    if prefix_of("true", 1) || prefix_of("yes", 1) || word == "on" || word == "1" {
        Ok(Datum::Bool(true))
    } else if prefix_of("false", 1) || prefix_of("no", 1) || prefix_of("off", 2) || word == "0" {
        Ok(Datum::Bool(false))
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

pub(super) fn int_in<T: TryFrom<i64>>(text: &str, ty: &str) -> Result<T> {
    let word = text.trim_matches(is_space);
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(ty, text));
    }
    let value = word.parse::<i64>().ok().and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| out_of_range(ty, text))
}

pub(super) fn int_out(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// An unsigned number; negative ones from -2^31 wrap, as PostgreSQL reads them.
pub(super) fn oid_in(text: &str, ty: &str) -> Result<Oid> {
    let word = text.trim_matches(is_space);
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(ty, text));
    }
    let value: i64 = word.parse().map_err(|_| out_of_range(ty, text))?;
    if value < i64::from(i32::MIN) || value > i64::from(u32::MAX) {
        return Err(out_of_range(ty, text));
    }
    Ok(Oid(value as u32))
}

/// strtoul() without checks: what is no number reads as 0.
pub(super) fn xid_in(text: &str) -> Oid {
    let word = text.trim_start_matches(is_space);
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    Oid(digits.parse::<u64>().unwrap_or(0) as u32)
}

/// A `reg…` type's text: a number, `-` for none, or a name.
pub(super) fn reg_in(io: &Io<'_>, ty: Oid, text: &str) -> Result<Oid> {
    if text == "-" {
        return Ok(Oid::NONE);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return oid_in(text, "oid");
    }
    if let Some(found) = io.lookup.reg_input(ty, text)? {
        return Ok(found);
    }
    let missing = |kind: &str, code| Err(SqlError::new(code, format!("{kind} \"{text}\" does not exist")));
    let bare = text.strip_prefix("pg_catalog.").unwrap_or(text);
    match ty {
        Oid::REGTYPE => match typmod::builtin_type_named(bare) {
            Some(oid) => Ok(oid),
            None => missing("type", SqlState::UNDEFINED_OBJECT),
        },
        Oid::REGPROC => match Registry::get().procs_named(&fold(bare)) {
            [] => missing("function", SqlState::UNDEFINED_FUNCTION),
            [one] => Ok(one.oid),
            _ => Err(SqlError::new(
                SqlState::AMBIGUOUS_FUNCTION,
                format!("more than one function named \"{text}\""),
            )),
        },
        Oid::REGCLASS => match system_relations().0.get(fold(bare).as_str()) {
            Some(oid) => Ok(*oid),
            None => missing("relation", SqlState::UNDEFINED_TABLE),
        },
        Oid::REGNAMESPACE => match fold(text).as_str() {
            "pg_catalog" => Ok(Oid::PG_CATALOG),
            "public" => Ok(Oid::PUBLIC),
            _ => missing("schema", SqlState::INVALID_SCHEMA_NAME),
        },
        Oid::REGROLE if fold(text) == "postgres" => Ok(Oid::BOOTSTRAP_ROLE),
        Oid::REGROLE => missing("role", SqlState::UNDEFINED_OBJECT),
        other => {
            let name = typmod::format_type_be(other);
            Err(SqlError::not_built(format!("input of type {name} by name")))
        }
    }
}

/// An identifier as the parser reads it: lower case unless quoted.
fn fold(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    }
}

/// `oid` as a number, a `reg…` type as the object's name where it is known.
pub(super) fn oid_out(io: &Io<'_>, ty: Oid, value: Oid, out: &mut Vec<u8>) {
    if !is_reg(ty) {
        return int_out(i64::from(value.0), out);
    }
    if value == Oid::NONE {
        return out.push(b'-');
    }
    let name = io.lookup.reg_output(ty, value).or_else(|| builtin_name(io, ty, value));
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => int_out(i64::from(value.0), out),
    }
}

fn builtin_name(io: &Io<'_>, ty: Oid, value: Oid) -> Option<String> {
    let registry = Registry::get();
    match ty {
        Oid::REGTYPE => registry.type_by_oid(value).map(|_| io.type_name(value)),
        Oid::REGPROC => registry.proc(value).map(|row| match registry.procs_named(row.name).len() {
            1 => row.name.to_owned(),
            _ => format!("pg_catalog.{}", row.name),
        }),
        Oid::REGPROCEDURE => registry.proc(value).map(|row| {
            let args: Vec<_> = row.args.iter().map(|arg| io.type_name(*arg)).collect();
            format!("{}({})", row.name, args.join(","))
        }),
        Oid::REGCLASS => system_relations().1.get(&value).map(|name| (*name).to_owned()),
        Oid::REGNAMESPACE if value == Oid::PG_CATALOG => Some("pg_catalog".to_owned()),
        Oid::REGNAMESPACE if value == Oid::PUBLIC => Some("public".to_owned()),
        Oid::REGROLE if value == Oid::BOOTSTRAP_ROLE => Some("postgres".to_owned()),
        Oid::REGOPER => registry.operator(value).map(|row| match registry.operators_named(row.name).len() {
            1 => row.name.to_owned(),
            _ => format!("pg_catalog.{}", row.name),
        }),
        _ => None,
    }
}

type RelationNames = (FxHashMap<String, Oid>, FxHashMap<Oid, &'static str>);

/// The relations of `pg_catalog`, both ways; information_schema's by their qualified name.
fn system_relations() -> &'static RelationNames {
    static NAMES: OnceLock<RelationNames> = OnceLock::new();
    NAMES.get_or_init(|| {
        let classes = table::catalog("pg_class").expect("the registry holds pg_class");
        let column = |name| classes.column(name).expect("a column of pg_class.tsv");
        let (oid, name, schema) = (column("oid"), column("relname"), column("relnamespace"));
        let mut names = RelationNames::default();
        for row in classes.rows() {
            let text = |at| row.get(at).unwrap_or_default().into_owned();
            let Ok(number) = text(oid).parse() else { continue };
            let builtin = text(schema) == "11";
            let shown = if builtin { text(name) } else { format!("information_schema.{}", text(name)) };
            names.1.insert(Oid(number), &*shown.clone().leak());
            names.0.insert(shown, Oid(number));
        }
        names
    })
}

/// 32 hex digits, in groups of four that hyphens may part, in braces or not.
pub(super) fn uuid_in(text: &str) -> Result<[u8; 16]> {
    let invalid = || invalid_syntax("uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    let bytes = inner.as_bytes();
    let mut value = [0u8; 16];
    let mut at = 0;
    for (index, slot) in value.iter_mut().enumerate() {
        let pair = bytes.get(at..at + 2).ok_or_else(invalid)?;
        let digit = |b: u8| char::from(b).to_digit(16).ok_or_else(invalid);
        *slot = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        at += 2;
        if index % 2 == 1 && index < 15 && bytes.get(at) == Some(&b'-') {
            at += 1;
        }
    }
    if at == bytes.len() { Ok(value) } else { Err(invalid()) }
}

pub(super) fn uuid_out(value: &[u8; 16], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in value.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// `oidvector`, `int2vector`: numbers with blanks between, subscripts from 0.
pub(super) fn vector_in(text: &str, element: Oid) -> Result<Datum> {
    let mut items = Vec::new();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        items.push(if element == Oid::OID {
            Datum::Oid(oid_in(word, "oid")?)
        } else {
            Datum::Int2(int_in(word, "smallint")?)
        });
    }
    let mut dims = smallvec::SmallVec::new();
    dims.push(super::ArrayDim { len: items.len() as i32, lower: 0 });
    Ok(Datum::Array(std::sync::Arc::new(super::ArrayValue { element, dims, items })))
}
