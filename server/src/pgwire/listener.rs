//! Accepts connections and takes each one from its first byte to its last.

use super::connection::Connection;
use super::input::Input;
use super::startup::{self, Opened, Socket};
use super::{auth, encode};
use crate::config::Authentication;
use sql::session::hub::Refused;
use sql::session::run::SqlNode;
use sql::session::{Session, SessionStart, Sessions};
use sql::{SqlError, SqlState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Time for everything before the first ReadyForQuery, PostgreSQL's authentication_timeout.
const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection uses.
pub struct Shared {
    pub node: Arc<SqlNode>,
    pub sessions: Arc<Sessions>,
    pub authentication: Authentication,
    pub tls: Option<TlsAcceptor>,
    /// SHA-256 of the server's certificate, for channel binding.
    pub certificate_hash: Option<Vec<u8>>,
    /// Key of the verifiers that unknown roles seem to have.
    pub mock_secret: [u8; 32],
}

/// The SQL port.
pub struct Listener {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Listener {
    pub fn new(listener: TcpListener, shared: Arc<Shared>) -> Listener {
        Listener { listener, shared }
    }

    /// Accepts until dropped.
    pub async fn run(self) {
        loop {
            match self.listener.accept().await {
                Ok((socket, peer)) => {
                    let shared = self.shared.clone();
                    tokio::spawn(async move {
                        if let Err(error) = serve(socket, peer, shared).await {
                            tracing::debug!(%peer, %error, "connection lost");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, shared: Arc<Shared>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let begun = tokio::time::timeout(AUTHENTICATION_TIMEOUT, begin(socket, peer, &shared));
    match begun.await {
        Ok(begun) => match begun? {
            Some(connection) => connection.serve().await,
            None => Ok(()),
        },
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no startup in time")),
    }
}

/// Everything up to the session: `None` when there is none to be.
async fn begin(socket: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<Option<Connection>> {
    let mut input = Input::default();
    let mut out = Vec::with_capacity(1024);
    let (mut socket, opened) = startup::open(socket, &mut input, shared.tls.as_ref()).await?;
    let startup = match opened {
        Opened::Session(startup) => startup,
        Opened::Closed => return Ok(None),
        Opened::Cancel { pid, secret } => {
            shared.sessions.cancel(pid, &secret);
            return Ok(None);
        }
        Opened::Refused(error) => {
            auth::refuse(&mut socket, &mut out, &error).await?;
            return Ok(None);
        }
    };
    if let Some(unknown) = &startup.unknown_options {
        startup::negotiate_version(&mut out, unknown);
    }
    if let Some(error) = needs_tls(&socket, peer, shared) {
        auth::refuse(&mut socket, &mut out, &error).await?;
        return Ok(None);
    }
    let login = auth::authenticate(&mut socket, &mut input, &mut out, shared, &startup).await?;
    let session = login.and_then(|login| {
        let entry = shared.sessions.enter().map_err(not_entered)?;
        let mut session = Session::new(SessionStart {
            node: shared.node.clone(),
            entry,
            database: login.database,
            database_name: Arc::from(startup.database.as_str()),
            role: login.role,
            role_name: Arc::from(startup.user.as_str()),
            superuser: login.superuser,
        });
        session.apply_startup(&login.settings, &startup.settings)?;
        Ok(session)
    });
    match session {
        Ok(session) => {
            encode::authentication(&mut out, 0, &[]);
            Ok(Some(Connection::new(socket, input, out, session)))
        }
        Err(error) => {
            auth::refuse(&mut socket, &mut out, &error).await?;
            Ok(None)
        }
    }
}

fn not_entered(refused: Refused) -> SqlError {
    match refused {
        Refused::TooMany => SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already"),
        Refused::ShuttingDown => {
            SqlError::new(SqlState::CANNOT_CONNECT_NOW, "the database system is shutting down")
        }
    }
}

/// Passwords and data leave the machine only encrypted.
fn needs_tls(socket: &Socket, peer: SocketAddr, shared: &Shared) -> Option<SqlError> {
    let must = shared.authentication == Authentication::Password && !peer.ip().is_loopback();
    (must && !socket.is_tls()).then(|| {
        SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            format!("connections from {} must use TLS", peer.ip()),
        )
        .with_hint("Connect with sslmode=require or stronger.")
    })
}
