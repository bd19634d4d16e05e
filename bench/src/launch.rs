//! Starting and stopping servers on loopback, each with a data directory of its own.
//!
//! [`phantomdb`] and [`postgres`] know the command lines; a [`Server`] is the running process tree. Dropping it kills
//! the tree, so that a failed test leaves nothing behind.

pub mod phantomdb;
pub mod postgres;

use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use sqllogic::wire::{Target, Wire, WireError};

/// How often a starting server is asked whether it is ready.
const POLL: Duration = Duration::from_millis(10);

/// What can go wrong with a server as a process.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A program could not be started, or a file not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The server ended before it was ready.
    #[error("{0} ended with {1} before it was ready")]
    Ended(&'static str, ExitStatus),
    /// The server was not ready in time.
    #[error("{0} was not ready after {1:?}")]
    NotReady(&'static str, Duration),
    /// A helper program failed.
    #[error("{0}")]
    Failed(String),
}

pub(crate) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> LaunchError {
    let what = what.into();
    move |source| LaunchError::Io { what, source }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Child,
    /// Where clients connect.
    pub target: Target,
}

impl Server {
    /// Starts a command in a process group of its own.
    pub(crate) fn spawn(
        name: &'static str,
        mut command: Command,
        target: Target,
    ) -> Result<Server, LaunchError> {
        command.process_group(0);
        let child = command.spawn().map_err(io_error(format!("starting {name}")))?;
        Ok(Server { name, child, target })
    }

    /// Waits until a client has run a statement; answers how long that took.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<Duration, LaunchError> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(io_error("waiting for the server"))? {
                return Err(LaunchError::Ended(self.name, status));
            }
            if answers(&self.target).is_ok() {
                return Ok(began.elapsed());
            }
            if began.elapsed() > limit {
                return Err(LaunchError::NotReady(self.name, limit));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The process id of the server's first process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9 of the whole process group, and waits for its end.
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        // The child has been waited for if this fails; nothing is left to do then.
        let _ = self.child.wait();
    }

    /// Asks for a clean shutdown and waits.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus, LaunchError> {
        // PostgreSQL takes SIGTERM for "wait for the clients"; SIGINT is the clean shutdown of both servers.
        self.signal(libc::SIGINT);
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(io_error("waiting for the server"))? {
                return Ok(status);
            }
            if began.elapsed() > limit {
                self.kill();
                return Err(LaunchError::Failed(format!("{} did not stop within {limit:?}", self.name)));
            }
            std::thread::sleep(POLL);
        }
    }

    fn signal(&self, signal: libc::c_int) {
        let group = libc::pid_t::try_from(self.child.id()).expect("a pid fits pid_t");
        // SAFETY: kill takes two integers and touches no memory of ours; the group is the child's own.
        unsafe { libc::kill(-group, signal) };
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

fn answers(target: &Target) -> Result<(), WireError> {
    let mut wire = Wire::connect(target, Duration::from_secs(5))?;
    wire.simple("SELECT 1").map(|_| ())
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> Result<u16, LaunchError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(io_error("binding a loopback port"))?;
    Ok(listener.local_addr().map_err(io_error("reading a port"))?.port())
}
