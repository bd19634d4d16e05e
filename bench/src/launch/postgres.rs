//! Starting PostgreSQL 15, the judge and the peer, with a fresh data directory and as a user that is not root
//! (it refuses to run as root).

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqllogic::wire::Target;

use super::{LaunchError, Server, free_port, io_error};

/// Where Debian and the others put the server programs of version 15.
const PLACES: [&str; 4] = [
    "/usr/lib/postgresql/15/bin",
    "/usr/pgsql-15/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@15/bin",
];
/// Users to run as when we are root, in this order.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// How a PostgreSQL is to be started.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// Directory of `initdb` and `postgres`.
    pub programs: PathBuf,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Settings for its command line, `name=value`.
    pub settings: Vec<String>,
    /// What `initdb --auth-host` gets: `trust` or `scram-sha-256`.
    pub auth: String,
    /// Password of `postgres`, if `auth` wants one.
    pub password: Option<String>,
}

impl Postgres {
    /// A server with default settings and trust authentication.
    pub fn new(programs: &Path, data_dir: &Path) -> Postgres {
        Postgres {
            programs: programs.to_owned(),
            data_dir: data_dir.to_owned(),
            settings: Vec::new(),
            auth: "trust".into(),
            password: None,
        }
    }

    /// The directory with PostgreSQL 15's server programs, if they are installed.
    pub fn find() -> Option<PathBuf> {
        PLACES.iter().map(PathBuf::from).find(|place| place.join("postgres").exists())
    }

    /// Makes the database cluster (locale C, UTF-8, role `postgres`).
    pub fn init(&self) -> Result<(), LaunchError> {
        fs::create_dir_all(&self.data_dir).map_err(io_error("making PostgreSQL's data directory"))?;
        let mut command = self.command("initdb");
        command.args(["-U", "postgres", "--locale=C", "-E", "UTF8", "--auth-local=trust"]);
        command.arg(format!("--auth-host={}", self.auth)).arg("-D").arg(&self.data_dir);
        if let Some(password) = &self.password {
            let file = self.data_dir.with_extension("pw");
            fs::write(&file, password).map_err(io_error("writing PostgreSQL's password"))?;
            self.give(&file)?;
            command.arg(format!("--pwfile={}", file.display()));
        }
        self.give(&self.data_dir)?;
        let output = command.stdin(Stdio::null()).output().map_err(io_error("running initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(LaunchError::Failed(format!("initdb: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }

    /// Starts the server on a free port.
    pub fn start(&self) -> Result<Server, LaunchError> {
        let port = free_port()?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data_dir).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let path = self.data_dir.with_extension("out");
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(io_error(format!("opening {}", path.display())))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut target = Target::local(port);
        target.password.clone_from(&self.password);
        Server::spawn("postgres", command, target)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/");
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
    }

    /// Hands a file or directory to the user that the server runs as.
    pub fn give(&self, path: &Path) -> Result<(), LaunchError> {
        match other_user() {
            None => Ok(()),
            Some((user, group)) => {
                chown(path, Some(user), Some(group)).map_err(io_error(format!("chown {}", path.display())))
            }
        }
    }
}

/// User and group to become, if we are root.
fn other_user() -> Option<(u32, u32)> {
    // SAFETY: geteuid reads the process's user id and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    USERS.iter().find_map(|name| {
        let name = CString::new(*name).expect("no NUL in a constant");
        // SAFETY: the name is a C string; the result is null or points at static memory that is read at once. The
        // rigs call this from one thread.
        unsafe { libc::getpwnam(name.as_ptr()).as_ref() }.map(|entry| (entry.pw_uid, entry.pw_gid))
    })
}
