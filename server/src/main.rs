//! The command line.

use clap::{Parser, Subcommand};
use server::config::Options;
use server::start::{self, StartError};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A PostgreSQL-compatible distributed database.
#[derive(Parser)]
#[command(name = "phantomdb", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a node
    Start(Box<Options>),
    /// Start a throw-away server with sample data; everything goes when it ends
    Demo(Box<Demo>),
    /// Nodes of a cluster: not supported yet
    Node(Rest),
    /// A cluster: not supported yet
    Cluster(Rest),
    /// Print the version
    Version,
}

#[derive(clap::Args)]
struct Demo {
    #[command(flatten)]
    options: Options,
    /// Leave the sample data out
    #[arg(long)]
    no_load: bool,
    /// Number of nodes: one is supported
    #[arg(long, value_name = "N", default_value_t = 1)]
    nodes: u32,
}

/// Words of a command that is not there yet.
#[derive(clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    _words: Vec<String>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Start(options) => start(*options),
        Command::Demo(options) => demo(*options),
        Command::Node(_) => Err(one_node("phantomdb node")),
        Command::Cluster(_) => Err(one_node("phantomdb cluster")),
        Command::Version => {
            use std::io::Write;
            let line = concat!("phantomdb ", env!("CARGO_PKG_VERSION"), " (PostgreSQL 15 compatible)\n");
            std::io::stdout().write_all(line.as_bytes()).map_err(|error| error.to_string())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "phantomdb: {message}");
            ExitCode::FAILURE
        }
    }
}

fn one_node(what: &str) -> String {
    format!("{what} is not supported yet: there is one node (docs/limits.md)")
}

fn start(options: Options) -> Result<(), String> {
    let config = options.load().map_err(|error| error.to_string())?;
    block_on(start::run(&config))
}

fn block_on(serve: impl Future<Output = Result<(), StartError>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(serve).map_err(|error| error.to_string())
}

/// A server in a directory of its own, removed at the end.
fn demo(demo: Demo) -> Result<(), String> {
    let mut options = demo.options;
    if demo.nodes != 1 {
        return Err(one_node("a demo with several nodes"));
    }
    if options.data_dir.is_some() {
        return Err("a demo has a directory of its own; to keep data, use phantomdb start".to_owned());
    }
    let dir = tempfile::Builder::new().prefix("phantomdb-demo-").tempdir();
    let dir = dir.map_err(|error| format!("cannot make a temporary directory: {error}"))?;
    options.data_dir = Some(dir.path().to_owned());
    if options.config.is_none() {
        any_free_port(&mut options.sql_addr, "127.0.0.1:5432");
        any_free_port(&mut options.http_addr, "127.0.0.1:8080");
    }
    let config = options.load().map_err(|error| error.to_string())?;
    let result = block_on(start::run_demo(&config, !demo.no_load));
    let path = dir.path().to_owned();
    let removed = dir.close();
    result?;
    removed.map_err(|error| format!("cannot remove {}: {error}", path.display()))
}

/// Another port when the usual one is taken and nobody asked for it.
fn any_free_port(address: &mut Option<String>, usual: &str) {
    if address.is_none() && std::net::TcpListener::bind(usual).is_err() {
        *address = Some("127.0.0.1:0".to_owned());
    }
}
