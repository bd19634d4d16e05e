//! What can go wrong below: who has to act is told by the variant.

use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused; `op` says what was tried on which file.
    #[error("could not {op} file \"{}\": {source}", path.display())]
    Io {
        op: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The device is full. Callers refuse new work with SQLSTATE 53100.
    #[error("no space left on device: could not {op} file \"{}\"", path.display())]
    DiskFull { op: &'static str, path: PathBuf },
    /// Bytes that were durable no longer read back as they were written.
    #[error("data corruption in \"{}\": {what}", path.display())]
    Corruption { path: PathBuf, what: String },
    /// A file was written by a newer version of the program.
    #[error("\"{}\" has format version {found}, this version of phantomdb reads up to {supported}", path.display())]
    NewerFormat { path: PathBuf, found: u32, supported: u32 },
    /// Another process holds the data directory.
    #[error("data directory \"{}\" is in use by another process", path.display())]
    InUse { path: PathBuf },
    /// RocksDB reports an error of its own.
    #[error("storage engine: {0}")]
    Engine(String),
    /// The block is not in memory and the caller asked not to wait for the disk.
    #[error("not in cache")]
    WouldBlock,
    /// Bytes handed in by a caller do not decode.
    #[error("malformed {what}")]
    Malformed { what: &'static str },
}

impl Error {
    /// Whether the same call can succeed later without anyone acting.
    pub fn retry(&self) -> bool {
        matches!(self, Error::WouldBlock)
    }
}
