//! `phantomdb start`: the node, its ports, the status block, and the drain at the end.

use crate::config::{Authentication, Config};
use crate::http::{self, Status};
use crate::node::Node;
use crate::pgwire::{Listener, Shared};
use crate::{demo, telemetry, tls};
use sql::session::Sessions;
use sql::session::run::SqlNode;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Time that sessions get to end after they were told to.
const DRAIN: Duration = Duration::from_secs(5);
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// Why the server did not start or ended badly, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

fn failed(error: impl ToString) -> StartError {
    StartError(error.to_string())
}

/// A running server.
pub struct Server {
    pub sql_addr: SocketAddr,
    pub http_addr: SocketAddr,
    /// The password of `postgres`, when this start made it.
    pub password: Option<String>,
    sessions: Arc<Sessions>,
    node: Node,
    status: Arc<Status>,
    listening: tokio::task::JoinHandle<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts everything; the ports answer when it returns.
    pub async fn start(config: &Config) -> Result<Server, StartError> {
        telemetry::init(config).map_err(failed)?;
        // Ports first: a busy one must not cost a replay.
        let sql = bind("SQL", config.sql_addr).await?;
        let web = bind("HTTP", config.http_addr).await?;
        let node = Node::open(config).await.map_err(StartError)?;
        let tls = match config.authentication {
            Authentication::Trust => None,
            Authentication::Password => Some(secure(config).map_err(failed)?),
        };
        let password = node.password.clone();
        let sessions = Sessions::new(config.max_connections);
        let (tls, certificate_hash) =
            tls.map_or((None, None), |tls| (Some(tls.acceptor), Some(tls.certificate_hash)));
        let shared = Arc::new(Shared {
            node: node.sql.clone(),
            sessions: sessions.clone(),
            authentication: config.authentication,
            tls,
            certificate_hash,
            mock_secret: rand::random(),
        });
        let status = Arc::new(Status { ready: AtomicBool::new(true), sessions: sessions.clone() });
        let router = http::router(status.clone());
        let (sql_addr, http_addr) = (local(&sql)?, local(&web)?);
        let listening = tokio::spawn(Listener::new(sql, shared).run());
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(web, router).await {
                tracing::error!(%error, "the HTTP port failed");
            }
        });
        Ok(Server { sql_addr, http_addr, password, sessions, node, status, listening, serving })
    }

    /// The SQL layer, for what runs inside the process.
    pub(crate) fn sql(&self) -> &Arc<SqlNode> {
        &self.node.sql
    }

    pub(crate) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Lets no one in any more, ends the sessions with 57P01 and closes the node.
    pub async fn shutdown(self) -> Result<(), StartError> {
        self.status.ready.store(false, Ordering::Release);
        self.listening.abort();
        self.sessions.close();
        self.sessions.terminate_all();
        let end = tokio::time::Instant::now() + DRAIN;
        while !self.sessions.is_empty() && tokio::time::Instant::now() < end {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.serving.abort();
        self.node.close().await.map_err(StartError)
    }

    /// What `start` prints.
    pub fn status_block(&self, config: &Config) -> String {
        let password = self.password.as_ref().map(|p| format!(":{p}")).unwrap_or_default();
        let mode = match config.authentication {
            Authentication::Trust => "sslmode=disable",
            Authentication::Password => "sslmode=require",
        };
        let mut text = format!(
            "PhantomDB {}\n  SQL         {}\n  HTTP        http://{}\n  data        {}\n  connect     postgresql://postgres{password}@{}/postgres?{mode}\n",
            env!("CARGO_PKG_VERSION"),
            self.sql_addr,
            self.http_addr,
            config.data_dir.display(),
            self.sql_addr,
        );
        match (config.authentication, &self.password) {
            (Authentication::Trust, _) => text.push_str("  security    none: no passwords, no TLS\n"),
            (_, Some(_)) => text
                .push_str("  password    shown this once; kept in postgres-password in the data directory\n"),
            (_, None) => {}
        }
        text
    }
}

/// The user's certificate, or the data directory's own.
fn secure(config: &Config) -> Result<tls::Tls, String> {
    let (certificate, key) = match &config.tls_files {
        Some(files) => files.clone(),
        None => {
            tls::make(&config.data_dir).map_err(|error| format!("cannot make a certificate: {error}"))?;
            tls::own_files(&config.data_dir)
        }
    };
    tls::load(&certificate, &key).map_err(|error| error.to_string())
}

async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError(format!("cannot listen on {address} ({name}): {error}")))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(failed)
}

/// Runs until SIGTERM or SIGINT, then drains.
pub async fn run(config: &Config) -> Result<(), StartError> {
    run_with(config, async |_| Ok(String::new())).await
}

/// Like `run` with the sample data in it, or without.
pub async fn run_demo(config: &Config, with_data: bool) -> Result<(), StartError> {
    run_with(config, async |server| {
        let data = if with_data { demo::load(server).await? } else { "none".to_owned() };
        Ok(format!("  sample data {data}\n  Ctrl-C ends the server and removes its directory.\n"))
    })
    .await
}

/// Prints the status block and what `prepare` adds to it once the server is up.
async fn run_with(
    config: &Config,
    prepare: impl AsyncFnOnce(&Server) -> Result<String, StartError>,
) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let server = Server::start(config).await?;
    let serve = async {
        let more = prepare(&server).await?;
        print(&(server.status_block(config) + &more));
        std::future::pending::<Result<(), StartError>>().await
    };
    let served = tokio::select! {
        served = serve => served,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    tracing::info!("shutting down");
    let down = server.shutdown().await;
    served.and(down)
}

/// Writes to standard output; a closed one is no reason to stop.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
