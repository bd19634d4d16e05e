//! Starting PhantomDB: `phantomdb start` with everything on loopback.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqllogic::wire::Target;

use super::{LaunchError, Server, free_port, io_error};

/// How a node is to be started.
#[derive(Debug, Clone)]
pub struct Phantomdb {
    /// The binary.
    pub binary: PathBuf,
    /// Its data directory; kept over restarts.
    pub data_dir: PathBuf,
    /// Authentication and TLS.
    pub access: Access,
    /// More arguments for `start`.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
}

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `--insecure`: trust, no TLS.
    Trust,
    /// The default of the server: SCRAM over TLS with certificates it makes itself.
    Password,
}

impl Phantomdb {
    /// A node without password, for tests that speak the protocol themselves.
    pub fn new(binary: &Path, data_dir: &Path) -> Phantomdb {
        Phantomdb {
            binary: binary.to_owned(),
            data_dir: data_dir.to_owned(),
            access: Access::Trust,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Starts the node on free ports; what it prints is appended to `server.out` beside the data directory.
    pub fn start(&self) -> Result<Server, LaunchError> {
        self.start_with_http().map(|(server, _)| server)
    }

    /// As `start`, with the HTTP port too.
    pub fn start_with_http(&self) -> Result<(Server, u16), LaunchError> {
        let (sql, http) = (free_port()?, free_port()?);
        let mut command = Command::new(&self.binary);
        command.arg("start").arg("--data-dir").arg(&self.data_dir);
        for (flag, port) in [("--sql-addr", sql), ("--http-addr", http)] {
            command.arg(flag).arg(format!("127.0.0.1:{port}"));
        }
        if self.access == Access::Trust {
            command.arg("--insecure");
        }
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let (out, err) = self.output()?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Ok((Server::spawn("phantomdb", command, Target::local(sql))?, http))
    }

    fn output(&self) -> Result<(File, File), LaunchError> {
        let path = self.data_dir.with_extension("out");
        let open = || File::options().create(true).append(true).open(&path);
        let first = open().map_err(io_error(format!("opening {}", path.display())))?;
        let second = open().map_err(io_error(format!("opening {}", path.display())))?;
        Ok((first, second))
    }

    /// The password that the first start wrote into the data directory.
    pub fn password(&self) -> Result<String, LaunchError> {
        let path = self.file_named(&["password"])?;
        let text = fs::read_to_string(&path).map_err(io_error(format!("reading {}", path.display())))?;
        Ok(text.trim().to_owned())
    }

    /// The certificate that clients are to trust: the authority's, or the server's own.
    pub fn certificate(&self) -> Result<PathBuf, LaunchError> {
        self.file_named(&["ca.crt", "ca.pem", "server.crt", "server.pem", "cert.pem"])
    }

    fn file_named(&self, parts: &[&str]) -> Result<PathBuf, LaunchError> {
        let mut files = Vec::new();
        collect(&self.data_dir, 2, &mut files);
        let named = |part: &&str| {
            files
                .iter()
                .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().contains(*part)))
        };
        parts.iter().find_map(named).cloned().ok_or_else(|| {
            LaunchError::Failed(format!("no file named like {parts:?} in {}", self.data_dir.display()))
        })
    }
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

/// Waits until `/ready` answers 200.
pub fn wait_http_ready(port: u16, limit: Duration) -> Result<Duration, LaunchError> {
    let began = Instant::now();
    loop {
        if is_ready(port).unwrap_or(false) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > limit {
            return Err(LaunchError::NotReady("phantomdb", limit));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0u8; 15];
    stream.read_exact(&mut head)?;
    Ok(head.starts_with(b"HTTP/1.1 200"))
}
