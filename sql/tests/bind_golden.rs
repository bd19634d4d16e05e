//! Golden scripts of the binder: a statement, and the typed tree or the error it gives.
//!
//! `UPDATE_GOLDEN=1` rewrites the expected text; read the difference.

mod printer;

use sql::bind::{BindContext, ParamTypes, bind};
use sql::catalog::{
    CatalogSnapshot, Column, Descriptor, IndexColumn, IndexDescriptor, IndexState, Persistence, RowLayout,
    SchemaDescriptor, TableDescriptor,
};
use sql::session::info::{OutputFormat, SessionInfo};
use sql::types::TypeRef;
use sql::{Oid, SqlError};
use std::sync::Arc;

#[test]
fn statements() {
    run("tests/bind/statements.golden");
}

#[test]
fn types() {
    run("tests/bind/types.golden");
}

#[test]
fn errors() {
    run("tests/bind/errors.golden");
}

#[test]
fn deep_and_long_statements_bind() {
    let nested = format!("SELECT {}1{}", "(1 + ".repeat(200), ")".repeat(200));
    let sum = format!("SELECT 1{}", " + 1".repeat(4000));
    let either = format!("SELECT true{}", " OR true".repeat(4000));
    for text in [nested, sum, either] {
        assert!(answer(&text).starts_with("target"), "{}", &text[..40]);
    }
    let refused = answer(&format!("SELECT 1{}", " + 1".repeat(6000)));
    assert!(refused.starts_with("54001"), "{refused}");
}

/// A file holds blocks apart by empty lines: lines with `> ` are the statement, the rest is what
/// it gives.
fn run(path: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let expected = std::fs::read_to_string(&path).expect("the golden file is there");
    let mut actual = String::new();
    for block in expected.split("\n\n").filter(|b| !b.trim().is_empty()) {
        let statement: Vec<&str> = block.lines().filter_map(|l| l.strip_prefix("> ")).collect();
        let statement = statement.join("\n");
        for line in statement.lines() {
            actual.push_str(&format!("> {line}\n"));
        }
        actual.push_str(&answer(&statement));
        actual.push('\n');
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &actual).expect("the golden file can be written");
        return;
    }
    assert_eq!(actual.trim_end(), expected.trim_end(), "{}", path.display());
}

fn answer(text: &str) -> String {
    let catalog = catalog();
    let session = session();
    let mut params = ParamTypes::default();
    let path = [Oid::PUBLIC];
    let mut cx =
        BindContext { catalog: &catalog, search_path: &path, session: &session, params: &mut params };
    let bound = sql::parse::parse(text).and_then(|s| bind(&mut cx, &s[0]));
    match bound {
        Ok(bound) => {
            let mut out = printer::bound(&bound);
            if !params.types().is_empty() {
                let types: Vec<String> = params.types().iter().map(|t| printer::type_name(*t)).collect();
                out.push_str(&format!("params: {}\n", types.join(", ")));
            }
            out
        }
        Err(error) => show(&error),
    }
}

fn show(error: &SqlError) -> String {
    let fields = error.fields();
    let mut out = format!("{}: {}\n", fields.code.code(), fields.message);
    for (label, text) in [("detail", &fields.detail), ("hint", &fields.hint)] {
        if let Some(text) = text {
            out.push_str(&format!("{label}: {text}\n"));
        }
    }
    if let Some(at) = fields.at {
        out.push_str(&format!("position: {}\n", at + 1));
    }
    out
}

fn column(number: i16, name: &str, ty: TypeRef) -> Column {
    Column {
        number,
        name: name.into(),
        ty,
        not_null: number == 1,
        default: None,
        identity: None,
        generated: None,
        missing: None,
        dropped: false,
        comment: None,
    }
}

/// `emp(id int4 primary key, name text, dept int4, salary numeric(10,2), tags text[], born date)`
/// and `dept(id int4 primary key, title varchar(20))`.
fn catalog() -> CatalogSnapshot {
    let mut catalog = CatalogSnapshot::default();
    catalog.put(Descriptor::Schema(SchemaDescriptor {
        database: Oid(5),
        oid: Oid::PUBLIC,
        name: "public".into(),
        owner: Oid::BOOTSTRAP_ROLE,
        acl: None,
    }));
    let emp = vec![
        column(1, "id", TypeRef::of(Oid::INT4)),
        column(2, "name", TypeRef::of(Oid::TEXT)),
        column(3, "dept", TypeRef::of(Oid::INT4)),
        column(4, "salary", TypeRef::of(Oid::NUMERIC).with_typmod((10 << 16 | 2) + 4)),
        column(5, "tags", TypeRef::of(Oid::TEXT_ARRAY)),
        column(6, "born", TypeRef::of(Oid::DATE)),
    ];
    let dept = vec![
        column(1, "id", TypeRef::of(Oid::INT4)),
        column(2, "title", TypeRef::of(Oid::VARCHAR).with_typmod(24)),
    ];
    for (oid, name, columns) in [(16400, "emp", emp), (16410, "dept", dept)] {
        let numbers = columns.iter().map(|c| c.number).collect();
        catalog.put(Descriptor::Table(TableDescriptor {
            database: Oid(5),
            oid: Oid(oid),
            name: name.into(),
            schema: Oid::PUBLIC,
            owner: Oid::BOOTSTRAP_ROLE,
            storage_id: u64::from(oid),
            persistence: Persistence::Permanent,
            columns,
            primary_key: Oid(oid + 1),
            key_columns: vec![1],
            layouts: vec![RowLayout { id: 0, columns: numbers }],
            next_index_number: 1,
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            acl: None,
            options: Vec::new(),
            comment: None,
        }));
        catalog.put(Descriptor::Index(IndexDescriptor {
            database: Oid(5),
            oid: Oid(oid + 1),
            name: format!("{name}_pkey"),
            schema: Oid::PUBLIC,
            table: Oid(oid),
            number: 0,
            columns: vec![IndexColumn { column: 1, expr: None, descending: false, nulls_first: false }],
            include: Vec::new(),
            unique: true,
            primary: true,
            constraint: Oid(oid + 2),
            predicate: None,
            state: IndexState::Public,
            comment: None,
        }));
    }
    catalog
}

fn session() -> SessionInfo {
    SessionInfo {
        catalog: Default::default(),
        lock_timeout: None,
        sequences: Default::default(),
        nap: Default::default(),
        changes: Default::default(),
        pid: 1,
        database: Oid(5),
        database_name: Arc::from("postgres"),
        role: Oid::BOOTSTRAP_ROLE,
        role_name: Arc::from("postgres"),
        session_role_name: Arc::from("postgres"),
        superuser: true,
        search_path: Arc::from([Oid::PUBLIC]),
        transaction_start: 0,
        statement_start: 0,
        format: OutputFormat::default(),
        settings: Arc::default(),
    }
}
