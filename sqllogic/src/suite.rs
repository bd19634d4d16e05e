//! Finding suite files and running each in a schema of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqllogictest::{Runner, strict_column_validator};

use crate::runner::{Client, Protocol};
use crate::wire::{Target, Wire, WireError};

/// What to do with the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Compare with the file.
    Check,
    /// Write them into the file: the server is the judge (PostgreSQL 15).
    Override,
}

/// Suite files below a path, or the file itself, in a stable order.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "slt") {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}

/// The number of records of a file that send a statement.
pub fn records(path: &Path) -> io::Result<usize> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().filter(|line| line.starts_with("statement ") || line.starts_with("query ")).count())
}

/// Runs one file; the text says what failed and on which line.
pub fn run(target: &Target, protocol: Protocol, mode: Mode, path: &Path) -> Result<(), String> {
    let schema = schema_name(path);
    fresh_schema(target, &schema).map_err(|error| format!("making schema {schema}: {error}"))?;
    let mut runner = Runner::new(|| {
        let client = Client::connect(target, protocol, &schema);
        async move { client }
    });
    runner.with_column_validator(strict_column_validator);
    match mode {
        Mode::Check => runner.run_file(path).map_err(|error| error.to_string()),
        Mode::Override => block_on(runner.update_test_file(
            path,
            " ",
            sqllogictest::default_validator,
            sqllogictest::default_normalizer,
            strict_column_validator,
        ))
        .map_err(|error| error.to_string()),
    }
}

fn schema_name(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let letters: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("slt_{letters}")
}

fn fresh_schema(target: &Target, schema: &str) -> Result<(), WireError> {
    let mut wire = Wire::connect(target, Duration::from_secs(60))?;
    // Notices (does not exist, cascades to) are expected here.
    wire.simple(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))?;
    wire.simple(&format!("CREATE SCHEMA {schema}"))?;
    Ok(())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}
