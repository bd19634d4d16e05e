//! Type names as written, and types as messages name them.

use super::Binder;
use crate::catalog::Descriptor;
use crate::parse::lexer::offset_of;
use crate::registry::Registry;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, IntervalFields, ObjectName, TimezoneInfo,
};

impl Binder<'_> {
    pub(super) fn type_name(&self, name: &DataType) -> Result<TypeRef> {
        let plain = |oid| Ok(self.ty(oid));
        let time = |oid, precision: &Option<u64>| {
            let typmod = precision.map_or(-1, |p| p.min(6) as i32);
            Ok(self.ty(oid).with_typmod(typmod))
        };
        let with_zone = |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
        match name {
            DataType::Bool | DataType::Boolean => plain(Oid::BOOL),
            DataType::Int2(_) | DataType::SmallInt(_) => plain(Oid::INT2),
            DataType::Int(_) | DataType::Int4(_) | DataType::Integer(_) => plain(Oid::INT4),
            DataType::Int8(_) | DataType::BigInt(_) => plain(Oid::INT8),
            DataType::Real | DataType::Float4 => plain(Oid::FLOAT4),
            DataType::Float8 | DataType::DoublePrecision | DataType::Double(_) => plain(Oid::FLOAT8),
            DataType::Float(info) => float(info).map(|oid| self.ty(oid)),
            DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
                Ok(self.ty(Oid::NUMERIC).with_typmod(numeric_typmod(info)?))
            }
            DataType::Text => plain(Oid::TEXT),
            DataType::Char(length) | DataType::Character(length) => {
                Ok(self.ty(Oid::BPCHAR).with_typmod(length_typmod(length, Some(1), "character")?))
            }
            DataType::Varchar(length)
            | DataType::CharVarying(length)
            | DataType::CharacterVarying(length)
            | DataType::Nvarchar(length) => {
                Ok(self.ty(Oid::VARCHAR).with_typmod(length_typmod(length, None, "varchar")?))
            }
            DataType::Uuid => plain(Oid::UUID),
            DataType::Bytea => plain(Oid::BYTEA),
            DataType::JSON => plain(Oid::JSON),
            DataType::JSONB => plain(Oid::JSONB),
            DataType::Regclass => plain(Oid::REGCLASS),
            DataType::Date => plain(Oid::DATE),
            DataType::Time(precision, zone) if with_zone(zone) => time(Oid::TIMETZ, precision),
            DataType::Time(precision, _) => time(Oid::TIME, precision),
            DataType::Timestamp(precision, zone) if with_zone(zone) => time(Oid::TIMESTAMPTZ, precision),
            DataType::Timestamp(precision, _) => time(Oid::TIMESTAMP, precision),
            DataType::Interval { fields, precision } => {
                Ok(self.ty(Oid::INTERVAL).with_typmod(interval_typmod(fields.as_ref(), *precision)))
            }
            DataType::Bit(length) => {
                Ok(self.ty(Oid::BIT).with_typmod(length.map_or(1, |l| l.min(i32::MAX as u64) as i32)))
            }
            DataType::BitVarying(length) | DataType::VarBit(length) => {
                Ok(self.ty(Oid::VARBIT).with_typmod(length.map_or(-1, |l| l.min(i32::MAX as u64) as i32)))
            }
            DataType::TsVector => self.named("tsvector", None),
            DataType::TsQuery => self.named("tsquery", None),
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(element, _)
                | ArrayElemTypeDef::Qualified(element, _)
                | ArrayElemTypeDef::AngleBracket(element)
                | ArrayElemTypeDef::Parenthesis(element),
            ) => self.array_type(element),
            DataType::Custom(name, modifiers) => self.custom_type(name, modifiers),
            other => self.named(&other.to_string().to_ascii_lowercase(), None),
        }
    }

    /// `int[][]` is `int[]`.
    fn array_type(&self, element: &DataType) -> Result<TypeRef> {
        let element = self.type_name(element)?;
        if self.element_of(element.oid).is_some() {
            return Ok(element);
        }
        match self.array_of(element.oid) {
            Some(array) => Ok(TypeRef { oid: array, ..element }),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {}", self.type_label(element.oid)),
            )),
        }
    }

    fn custom_type(&self, name: &ObjectName, modifiers: &[String]) -> Result<TypeRef> {
        let parts: Vec<(&str, bool, Option<usize>)> = name
            .0
            .iter()
            .filter_map(|p| p.as_ident())
            .map(|i| (i.value.as_str(), i.quote_style.is_some(), offset_of(i.span)))
            .collect();
        let at = parts.first().and_then(|p| p.2);
        let (schema, (last, quoted, _)) = match parts.as_slice() {
            [last] => (None, *last),
            [.., schema, last] => (Some(schema.0), *last),
            [] => return Err(SqlError::internal("a type name is empty")),
        };
        if let (None, false, "int" | "integer") = (schema, quoted, last) {
            return Ok(self.ty(Oid::INT4));
        }
        let alias = if schema.is_none() && !quoted { spelled(last) } else { None };
        let found = match alias {
            Some(oid) => Ok(self.ty(oid)),
            None => match schema {
                None | Some("pg_catalog") => self.named(last, at),
                Some(schema) => self.user_type_in(schema, last, at),
            },
        };
        let ty = found.map_err(|e| match at {
            Some(at) => e.at(at),
            None => e,
        })?;
        let numbers: Vec<u64> = modifiers.iter().filter_map(|m| m.trim().parse().ok()).collect();
        let typmod = match (ty.oid, numbers.as_slice()) {
            (_, []) => -1,
            (Oid::VARCHAR | Oid::BPCHAR, [n]) => *n as i32 + 4,
            (Oid::NUMERIC, [p]) => numeric_typmod(&ExactNumberInfo::Precision(*p))?,
            (Oid::NUMERIC, [p, s]) => numeric_typmod(&ExactNumberInfo::PrecisionAndScale(*p, *s as i64))?,
            (Oid::TIMESTAMP | Oid::TIMESTAMPTZ | Oid::TIME | Oid::TIMETZ, [p]) => (*p).min(6) as i32,
            (Oid::BIT | Oid::VARBIT, [n]) => *n as i32,
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("type modifier is not allowed for type \"{last}\""),
                ));
            }
        };
        Ok(ty.with_typmod(typmod))
    }

    /// A type by its catalog name: `pg_catalog` first, then the search path.
    fn named(&self, name: &str, at: Option<usize>) -> Result<TypeRef> {
        if let Some(row) = Registry::get().type_by_name(name) {
            return Ok(self.ty(row.oid));
        }
        for schema in self.search_path {
            if let Some(oid) = self.catalog.user_type(*schema, name) {
                return Ok(self.ty(oid));
            }
        }
        let error = SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"));
        Err(match at {
            Some(at) => error.at(at),
            None => error,
        })
    }

    fn user_type_in(&self, schema: &str, name: &str, at: Option<usize>) -> Result<TypeRef> {
        let place = |e: SqlError| match at {
            Some(at) => e.at(at),
            None => e,
        };
        let Some(oid) = self.catalog.schema(schema) else {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(place(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message)));
        };
        match self.catalog.user_type(oid, name) {
            Some(oid) => Ok(self.ty(oid)),
            None => {
                let message = format!("type \"{schema}.{name}\" does not exist");
                Err(place(SqlError::new(SqlState::UNDEFINED_OBJECT, message)))
            }
        }
    }

    /// A type without modifier, with its collation.
    pub(super) fn ty(&self, oid: Oid) -> TypeRef {
        let collation = Registry::get().type_by_oid(oid).map_or(Oid::NONE, |row| row.collation);
        TypeRef { oid, typmod: -1, collation }
    }

    pub(super) fn element_of(&self, array: Oid) -> Option<Oid> {
        if let Some(element) = Registry::get().array_element(array) {
            return Some(element);
        }
        self.user_types().find(|t| t.array_oid == array).map(|t| t.oid)
    }

    pub(super) fn array_of(&self, element: Oid) -> Option<Oid> {
        if let Some(array) = Registry::get().array_of(element) {
            return Some(array);
        }
        self.user_types().find(|t| t.oid == element).map(|t| t.array_oid)
    }

    fn user_types(&self) -> impl Iterator<Item = &crate::catalog::TypeDescriptor> {
        self.catalog.objects().filter_map(|d| match &**d {
            Descriptor::Type(t) => Some(t),
            _ => None,
        })
    }

    pub(super) fn is_enum(&self, oid: Oid) -> bool {
        matches!(self.catalog.get(oid).map(|d| &**d), Some(Descriptor::Type(_)))
    }

    /// An enum or an array of one.
    pub(super) fn is_user_defined(&self, oid: Oid) -> bool {
        oid >= Oid::FIRST_USER
    }

    /// Category and whether the type is preferred in it.
    pub(super) fn category(&self, oid: Oid) -> (char, bool) {
        match Registry::get().type_by_oid(oid) {
            Some(row) => (row.category, row.preferred),
            None if self.is_enum(oid) => ('E', false),
            None if self.element_of(oid).is_some() => ('A', false),
            None => ('U', false),
        }
    }

    /// The type's name as messages show it (`integer`, `character varying`, `text[]`).
    pub(super) fn type_label(&self, oid: Oid) -> String {
        let name = match oid {
            Oid::BOOL => "boolean",
            Oid::INT2 => "smallint",
            Oid::INT4 => "integer",
            Oid::INT8 => "bigint",
            Oid::FLOAT4 => "real",
            Oid::FLOAT8 => "double precision",
            Oid::VARCHAR => "character varying",
            Oid::BPCHAR => "character",
            Oid::CHAR => "\"char\"",
            Oid::TIME => "time without time zone",
            Oid::TIMETZ => "time with time zone",
            Oid::TIMESTAMP => "timestamp without time zone",
            Oid::TIMESTAMPTZ => "timestamp with time zone",
            Oid::VARBIT => "bit varying",
            Oid::ANY => "\"any\"",
            _ => {
                if let Some(element) = self.element_of(oid) {
                    return format!("{}[]", self.type_label(element));
                }
                if let Some(row) = Registry::get().type_by_oid(oid) {
                    return row.name.to_owned();
                }
                return self.catalog.get(oid).map_or_else(|| oid.to_string(), |d| d.name().to_owned());
            }
        };
        name.to_owned()
    }
}

/// The grammar's own spellings that are not catalog names.
fn spelled(name: &str) -> Option<Oid> {
    Some(match name {
        "int" | "integer" => Oid::INT4,
        "bigint" => Oid::INT8,
        "smallint" => Oid::INT2,
        "real" => Oid::FLOAT4,
        "float" => Oid::FLOAT8,
        "boolean" => Oid::BOOL,
        "decimal" | "dec" => Oid::NUMERIC,
        "char" | "character" | "nchar" => Oid::BPCHAR,
        _ => return None,
    })
}

fn float(info: &ExactNumberInfo) -> Result<Oid> {
    match info {
        ExactNumberInfo::Precision(0) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "precision for type float must be at least 1 bit",
        )),
        ExactNumberInfo::Precision(1..=24) => Ok(Oid::FLOAT4),
        ExactNumberInfo::None | ExactNumberInfo::Precision(25..=53) => Ok(Oid::FLOAT8),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "precision for type float must be less than 54 bits",
        )),
    }
}

fn numeric_typmod(info: &ExactNumberInfo) -> Result<i32> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(-1),
        ExactNumberInfo::Precision(p) => (*p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (*p, *s),
    };
    if !(1..=1000).contains(&precision) {
        let message = format!("NUMERIC precision {precision} must be between 1 and 1000");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if !(-1000..=1000).contains(&scale) {
        let message = format!("NUMERIC scale {scale} must be between -1000 and 1000");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok((((precision as i32) << 16) | (scale as i32 & 0x7ff)) + 4)
}

fn length_typmod(length: &Option<CharacterLength>, default: Option<i32>, name: &str) -> Result<i32> {
    let length = match length {
        Some(CharacterLength::IntegerLength { length, .. }) => *length,
        Some(CharacterLength::Max) | None => return Ok(default.map_or(-1, |d| d + 4)),
    };
    let fail = |message: String| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    let name = if name == "character" { "char" } else { name };
    match length {
        0 => fail(format!("length for type {name} must be at least 1")),
        1..=10_485_760 => Ok(length as i32 + 4),
        _ => fail(format!("length for type {name} cannot exceed 10485760")),
    }
}

/// The field mask and precision as in PostgreSQL's `interval` typmod.
pub(super) fn interval_typmod(fields: Option<&IntervalFields>, precision: Option<u64>) -> i32 {
    const YEAR: i32 = 1 << 2;
    const MONTH: i32 = 1 << 1;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;
    const FULL_RANGE: i32 = 0x7fff;
    const FULL_PRECISION: i32 = 0xffff;
    let mask = match fields {
        None if precision.is_none() => return -1,
        None => FULL_RANGE,
        Some(IntervalFields::Year) => YEAR,
        Some(IntervalFields::Month) => MONTH,
        Some(IntervalFields::Day) => DAY,
        Some(IntervalFields::Hour) => HOUR,
        Some(IntervalFields::Minute) => MINUTE,
        Some(IntervalFields::Second) => SECOND,
        Some(IntervalFields::YearToMonth) => YEAR | MONTH,
        Some(IntervalFields::DayToHour) => DAY | HOUR,
        Some(IntervalFields::DayToMinute) => DAY | HOUR | MINUTE,
        Some(IntervalFields::DayToSecond) => DAY | HOUR | MINUTE | SECOND,
        Some(IntervalFields::HourToMinute) => HOUR | MINUTE,
        Some(IntervalFields::HourToSecond) => HOUR | MINUTE | SECOND,
        Some(IntervalFields::MinuteToSecond) => MINUTE | SECOND,
    };
    (mask << 16) | precision.map_or(FULL_PRECISION, |p| p.min(6) as i32)
}
