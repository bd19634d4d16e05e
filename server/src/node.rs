//! A node over a data directory: storage, cluster, txn and sql on top of each other.
//!
//! | File in the data directory | What |
//! |---|---|
//! | `LOCK` | held while a process uses the directory |
//! | `STORE` | `phantomdb-store <version>`: refused when newer than this binary |
//! | `log/` | the raft log |
//! | `lsm/` | the row engine |
//! | `certs/` | the certificate made at the first secure start |
//! | `postgres-password` | the password made at the first secure start (mode 0600) |

use crate::config::{Authentication, Config};
use crate::tls::write_private;
use cluster::{NodeOptions, SystemEnv};
use sql::node::SqlOptions;
use sql::session::run::SqlNode;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use storage::engine::AnyEngine;
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::log::{LogOptions, RaftLog};
use storage::vfs::{DirLock, RealVfs, Vfs};
use txn::{Limits, Participant, TxnDb};

/// Version of the layout of a data directory.
const STORE_VERSION: u32 = 1;
const STORE_WORD: &str = "phantomdb-store";
/// Characters of a made password: 32 of them are 160 bits.
const PASSWORD_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const PASSWORD_LENGTH: usize = 24;

/// Everything below the wire.
pub struct Node {
    pub sql: Arc<SqlNode>,
    /// The password of `postgres`, when this start made it.
    pub password: Option<String>,
    cluster: Arc<cluster::Node>,
    /// Last: the directory is free when everything above has ended.
    _lock: DirLock,
}

impl Node {
    /// Opens the data directory and starts the layers, bottom up. Replays the log.
    pub async fn open(config: &Config) -> Result<Node, String> {
        let dir = config.data_dir.clone();
        fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        let lock = RealVfs.lock(&dir.join("LOCK")).map_err(|e| e.to_string())?;
        let is_new = check_store(&dir)?;
        let (memory, participant_limits) = (config.memory, limits(config.memory));
        let participant = Participant::new(&participant_limits);
        let handler = participant.clone();
        let opened = tokio::task::spawn_blocking(move || open_cluster(&dir, memory, handler));
        let cluster = opened.await.map_err(|e| format!("the node did not start: {e}"))??;
        let db = TxnDb::new(cluster.clone(), participant, participant_limits)
            .map_err(|e| format!("transactions: {e}"))?;
        let password = (is_new && config.authentication == Authentication::Password).then(make_password);
        if let Some(password) = &password {
            let file = config.data_dir.join("postgres-password");
            write_private(&file, format!("{password}\n").as_bytes())
                .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        }
        let options = SqlOptions {
            memory_bytes: usize::try_from(memory / 2).unwrap_or(usize::MAX),
            bootstrap_verifier: password
                .as_ref()
                .map(|password| postgres_protocol::password::scram_sha_256(password.as_bytes())),
        };
        let sql = SqlNode::start(db, options).await.map_err(|e| format!("the catalog: {e}"))?;
        // Only now does the directory hold a database: an earlier crash begins anew.
        write_store(&config.data_dir)?;
        Ok(Node { sql, password, cluster, _lock: lock })
    }

    /// Stops the layers, top down; what was committed is in the engine afterwards.
    pub async fn close(self) -> Result<(), String> {
        let cluster = self.cluster.clone();
        tokio::task::spawn_blocking(move || cluster.shutdown())
            .await
            .map_err(|e| format!("shutdown: {e}"))?
            .map_err(|e| format!("shutdown: {e}"))
    }
}

/// Shares of the node's memory: a quarter for hot rows, an eighth for one transaction's writes.
fn limits(memory: u64) -> Limits {
    let part = |divisor: u64| usize::try_from(memory / divisor).unwrap_or(usize::MAX);
    Limits { cache_bytes: part(4), buffer_bytes: part(8).min(64 << 20), ..Limits::default() }
}

fn open_cluster(dir: &Path, memory: u64, handler: Arc<Participant>) -> Result<Arc<cluster::Node>, String> {
    let engine = LsmEngine::open(&dir.join("lsm"), &LsmOptions::for_memory(memory))
        .map_err(|e| format!("the row engine in {}: {e}", dir.join("lsm").display()))?;
    let log = RaftLog::open(Arc::new(RealVfs), &dir.join("log"), LogOptions::default())
        .map_err(|e| format!("the log in {}: {e}", dir.join("log").display()))?;
    let env = Arc::new(SystemEnv::default());
    cluster::Node::start(NodeOptions::default(), Arc::new(AnyEngine::from(engine)), log, handler, env)
        .map_err(|e| format!("the node did not start: {e}"))
}

/// Whether the directory is new; refuses one that a newer version wrote, or something else.
fn check_store(dir: &Path) -> Result<bool, String> {
    let file = dir.join("STORE");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(format!("cannot read {}: {e}", file.display())),
    };
    let version = text.trim().strip_prefix(STORE_WORD).and_then(|rest| rest.trim().parse::<u32>().ok());
    match version {
        Some(STORE_VERSION) => Ok(false),
        Some(newer) if newer > STORE_VERSION => Err(format!(
            "{} was written by a newer version (format {newer}, this binary knows {STORE_VERSION})",
            dir.display()
        )),
        _ => Err(format!("{} is not a PhantomDB store file", file.display())),
    }
}

fn write_store(dir: &Path) -> Result<(), String> {
    let file = dir.join("STORE");
    if file.exists() {
        return Ok(());
    }
    write_private(&file, format!("{STORE_WORD} {STORE_VERSION}\n").as_bytes())
        .and_then(|()| fs::File::open(dir)?.sync_all())
        .map_err(|e| format!("cannot write {}: {e}", file.display()))
}

fn make_password() -> String {
    let random: [u8; PASSWORD_LENGTH] = rand::random();
    random.iter().map(|b| char::from(PASSWORD_ALPHABET[usize::from(b % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_store(dir.path()), Ok(true));
        write_store(dir.path()).unwrap();
        assert_eq!(check_store(dir.path()), Ok(false));
        fs::write(dir.path().join("STORE"), "phantomdb-store 2\n").unwrap();
        assert!(check_store(dir.path()).unwrap_err().contains("newer version"));
        fs::write(dir.path().join("STORE"), "\0\0").unwrap();
        assert!(check_store(dir.path()).is_err());
    }
}
