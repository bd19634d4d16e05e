//! Who may do what: ownership, membership, privilege lists, and PostgreSQL's default privileges.

use crate::catalog::{AclItem, CatalogSnapshot};
use crate::kernels::text::quote_identifier;
use crate::{Oid, Result, SqlError, SqlState};

/// The kinds of objects that have privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    Table,
    Sequence,
    Column,
    Schema,
    Database,
    Function,
    Language,
    Type,
    Tablespace,
}

/// A privilege by its letter in `aclitem`, and its name in SQL.
const LETTERS: &[(char, &str)] = &[
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('T', "TEMP"),
    ('c', "CONNECT"),
];

impl ObjectKind {
    /// Every privilege of the kind, as letters.
    pub fn all(self) -> &'static str {
        match self {
            ObjectKind::Table => "arwdDxt",
            ObjectKind::Sequence => "rwU",
            ObjectKind::Column => "arwx",
            ObjectKind::Schema => "UC",
            ObjectKind::Database => "CTc",
            ObjectKind::Function => "X",
            ObjectKind::Language | ObjectKind::Type => "U",
            ObjectKind::Tablespace => "C",
        }
    }

    /// What PUBLIC may do without a privilege list.
    pub fn public(self) -> &'static str {
        match self {
            ObjectKind::Database => "Tc",
            ObjectKind::Function => "X",
            ObjectKind::Language | ObjectKind::Type => "U",
            _ => "",
        }
    }
}

/// One alternative of a privilege argument: `SELECT WITH GRANT OPTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub letter: char,
    pub grant_option: bool,
}

/// Reads the privilege argument of the `has_…_privilege` functions: a comma-separated list, any one
/// of which suffices. 22023 for one that the kind does not have.
pub fn parse(kind: ObjectKind, text: &str) -> Result<Vec<Wanted>> {
    text.split(',')
        .map(|word| {
            let upper = word.trim().to_uppercase();
            let (name, grant_option) = match upper.strip_suffix(" WITH GRANT OPTION") {
                Some(name) => (name.trim_end(), true),
                None => (upper.as_str(), false),
            };
            LETTERS
                .iter()
                .find(|(letter, known)| *known == name && kind.all().contains(*letter))
                .map(|(letter, _)| Wanted { letter: *letter, grant_option })
                .ok_or_else(|| {
                    let message = format!("unrecognized privilege type: \"{}\"", word.trim());
                    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                })
        })
        .collect()
}

/// Whether `role` is `of`, or a member of it, directly or through other roles.
pub fn is_member(catalog: &CatalogSnapshot, role: Oid, of: Oid) -> bool {
    let (mut seen, mut open) = (vec![], vec![role]);
    while let Some(next) = open.pop() {
        if next == of {
            return true;
        }
        if !seen.contains(&next) {
            seen.push(next);
            open.extend(catalog.role_by_oid(next).into_iter().flat_map(|r| &r.member_of));
        }
    }
    false
}

/// Whether a role has any of the privileges on an object of that owner and privilege list.
pub fn allowed(
    catalog: &CatalogSnapshot,
    role: Oid,
    kind: ObjectKind,
    owner: Oid,
    acl: Option<&[AclItem]>,
    wanted: &[Wanted],
) -> bool {
    if catalog.role_by_oid(role).is_some_and(|r| r.superuser) {
        return true;
    }
    wanted.iter().any(|w| match acl {
        None => is_member(catalog, role, owner) || (!w.grant_option && kind.public().contains(w.letter)),
        Some(items) => items.iter().any(|item| {
            let holds = item.grantee == Oid::NONE || is_member(catalog, role, item.grantee);
            let letters = if w.grant_option { &item.grant_options } else { &item.privileges };
            holds && letters.contains(w.letter)
        }),
    })
}

/// An item as `aclitem` prints it: `grantee=privileges/grantor`, a star after a letter that may be
/// granted on.
pub fn item_text(item: &AclItem, role: impl Fn(Oid) -> Option<String>) -> String {
    let shown = |oid: Oid| match oid {
        Oid::NONE => String::new(),
        oid => role(oid).map_or_else(|| oid.to_string(), |name| quote_identifier(&name)),
    };
    let mut letters = String::new();
    for letter in item.privileges.chars() {
        letters.push(letter);
        if item.grant_options.contains(letter) {
            letters.push('*');
        }
    }
    format!("{}={letters}/{}", shown(item.grantee), shown(item.grantor))
}

/// A privilege list as a value of `aclitem[]`; null where none is set.
pub(super) fn acl(names: &super::Names<'_>, acl: Option<&Vec<AclItem>>) -> crate::types::Datum {
    use crate::types::Datum;
    let Some(items) = acl else { return Datum::Null };
    let text = |item| Datum::text(item_text(item, |oid| names.role(oid).map(str::to_owned)));
    Datum::array(Oid::ACLITEM, items.iter().map(text).collect())
}
