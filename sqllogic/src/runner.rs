//! A record of a suite as a statement on the wire.

use std::time::Duration;

use sqllogictest::{ColumnType, DB, DBOutput};

use crate::wire::{Answer, Column, Target, Wire, WireError};

/// The longest that one statement of a suite may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// What `version()` of PhantomDB contains.
const OURS: &str = "PhantomDB";

/// Which messages carry a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One Query message.
    Simple,
    /// Parse, Bind, Describe, Execute, Sync.
    Extended,
}

/// A connection that runs records.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    protocol: Protocol,
    engine: &'static str,
}

impl Client {
    /// Connects and enters a schema of its own, which was made before.
    pub fn connect(target: &Target, protocol: Protocol, schema: &str) -> Result<Client, WireError> {
        let mut wire = Wire::connect(target, STATEMENT_TIMEOUT)?;
        wire.simple(&format!("SET search_path TO {schema}"))?;
        let version = wire.simple("SELECT version()")?;
        let ours = version.iter().flat_map(|a| a.rows.iter().flatten().flatten()).any(|v| v.contains(OURS));
        Ok(Client { wire, protocol, engine: if ours { "phantomdb" } else { "postgres" } })
    }

    fn answer(&mut self, sql: &str) -> Result<Answer, WireError> {
        match self.protocol {
            Protocol::Extended => self.wire.extended(sql, &[]),
            Protocol::Simple => Ok(self.wire.simple(sql)?.pop().unwrap_or_default()),
        }
    }
}

impl DB for Client {
    type Error = WireError;
    type ColumnType = Kind;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, WireError> {
        let answer = self.answer(sql)?;
        let Some(columns) = answer.columns else {
            return Ok(DBOutput::StatementComplete(affected(&answer.tag)));
        };
        let rows = answer.rows.into_iter().map(|row| row.into_iter().map(shown).collect()).collect();
        Ok(DBOutput::Rows { types: columns.iter().map(Kind::of).collect(), rows })
    }

    /// `skipif phantomdb` marks what answers 0A000 here and is judged on PostgreSQL all the same.
    fn engine_name(&self) -> &str {
        self.engine
    }
}

/// The count in a command tag: `INSERT 0 5` is 5, `CREATE TABLE` is 0.
fn affected(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A value as a suite shows it: one that would be lost in a line of text is given a visible form.
fn shown(value: Option<String>) -> String {
    match value {
        None => "NULL".into(),
        Some(text) if text.is_empty() => "(empty)".into(),
        Some(text) => text.replace('\n', "\\n"),
    }
}

/// The letter of a column in a suite, from its type OID: a wrong type fails the record even if the text agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(char);

/// Type OID and letter. Small integers and names have letters of their own, so that they are told apart.
const KINDS: [(u32, char); 24] = [
    (16, 'B'),   // bool
    (17, 'Y'),   // bytea
    (18, 'C'),   // "char"
    (19, 'A'),   // name
    (20, 'L'),   // int8
    (21, 'H'),   // int2
    (23, 'I'),   // int4
    (25, 'T'),   // text
    (26, 'O'),   // oid
    (114, 'j'),  // json
    (700, 'F'),  // float4
    (701, 'R'),  // float8
    (705, 'K'),  // unknown
    (1042, 'P'), // bpchar
    (1043, 'V'), // varchar
    (1082, 'D'), // date
    (1083, 'M'), // time
    (1114, 'S'), // timestamp
    (1184, 'Z'), // timestamptz
    (1186, 'E'), // interval
    (1266, 'm'), // timetz
    (1700, 'N'), // numeric
    (2950, 'U'), // uuid
    (3802, 'J'), // jsonb
];

impl Kind {
    fn of(column: &Column) -> Kind {
        Kind(KINDS.iter().find(|(oid, _)| *oid == column.type_oid).map_or('?', |(_, letter)| *letter))
    }
}

impl ColumnType for Kind {
    fn from_char(letter: char) -> Option<Kind> {
        (letter == '?' || KINDS.iter().any(|(_, known)| *known == letter)).then_some(Kind(letter))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_give_their_count() {
        assert_eq!(affected("INSERT 0 5"), 5);
        assert_eq!(affected("UPDATE 2"), 2);
        assert_eq!(affected("CREATE TABLE"), 0);
    }

    #[test]
    fn letters_are_unique() {
        for (at, (_, letter)) in KINDS.iter().enumerate() {
            assert!(KINDS[at + 1..].iter().all(|(_, other)| other != letter), "{letter} twice");
            assert_eq!(Kind::from_char(*letter).map(|kind| kind.to_char()), Some(*letter));
        }
        assert_eq!(Kind::from_char('x'), None);
    }
}
