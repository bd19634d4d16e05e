//! `with-server --binary phantomdb -- COMMAND..`: runs a command beside a fresh server and passes on its exit code.
//!
//! The command finds the server in libpq's environment variables and in `DATABASE_URL`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use bench::launch::phantomdb::{Access, Phantomdb, wait_http_ready};
use bench::launch::postgres::Postgres;
use bench::launch::{LaunchError, Server};
use clap::Parser;

/// Runs a command beside a fresh server on loopback.
#[derive(Parser)]
struct Options {
    /// PhantomDB's binary; without it PostgreSQL 15 is started.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// With a password (SCRAM) and TLS instead of trust.
    #[arg(long)]
    secure: bool,
    /// Where the data directory is made.
    #[arg(long, default_value = "/var/tmp")]
    work_dir: PathBuf,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// A started server and what its clients need to know.
struct Ready {
    server: Server,
    password: Option<String>,
    certificate: Option<PathBuf>,
    environment: Vec<(&'static str, String)>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("with-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<u8, String> {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::Builder::new().prefix("phantomdb-with-").tempdir_in(&options.work_dir);
    let place = place.map_err(|error| format!("{}: {error}", options.work_dir.display()))?;
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    let mut ready = match &options.binary {
        Some(binary) => start_phantomdb(options, binary, place.path()),
        None => start_postgres(options, place.path()),
    }
    .map_err(|error| format!("{error}\n{}", output_tail(place.path())))?;
    let status =
        client(options, &ready).status().map_err(|error| format!("{}: {error}", options.command[0]))?;
    let stopped = ready.server.stop(Duration::from_secs(60)).map_err(|error| error.to_string())?;
    if !stopped.success() {
        return Err(format!("the server ended with {stopped}\n{}", output_tail(place.path())));
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn start_phantomdb(options: &Options, binary: &Path, place: &Path) -> Result<Ready, LaunchError> {
    let mut node = Phantomdb::new(binary, &place.join("data"));
    node.access = if options.secure { Access::Password } else { Access::Trust };
    let (mut server, http) = node.start_with_http()?;
    if options.secure {
        wait_http_ready(http, Duration::from_secs(60))?;
    } else {
        server.wait_ready(Duration::from_secs(60))?;
    }
    let password = options.secure.then(|| node.password()).transpose()?;
    let certificate = options.secure.then(|| node.certificate()).transpose()?;
    let environment = vec![("PHANTOMDB_HTTP_PORT", http.to_string())];
    Ok(Ready { server, password, certificate, environment })
}

fn start_postgres(options: &Options, place: &Path) -> Result<Ready, LaunchError> {
    let programs =
        Postgres::find().ok_or_else(|| LaunchError::Failed("PostgreSQL 15 is not installed".into()))?;
    let mut postgres = Postgres::new(&programs, &place.join("data"));
    let mut certificate = None;
    if options.secure {
        let (cert, key) = self_signed(place)?;
        postgres.give(&cert)?;
        postgres.give(&key)?;
        postgres.auth = "scram-sha-256".into();
        postgres.password = Some("a password with spaces".into());
        postgres.settings = vec![
            "ssl=on".into(),
            format!("ssl_cert_file={}", cert.display()),
            format!("ssl_key_file={}", key.display()),
        ];
        certificate = Some(cert);
    }
    postgres.init()?;
    let mut server = postgres.start()?;
    if options.secure {
        // The test client knows no SCRAM: a refused login shows that the server is up.
        std::thread::sleep(Duration::from_secs(3));
    } else {
        server.wait_ready(Duration::from_secs(60))?;
    }
    Ok(Ready { server, password: postgres.password.clone(), certificate, environment: Vec::new() })
}

/// A certificate for localhost and 127.0.0.1, made by openssl.
fn self_signed(place: &Path) -> Result<(PathBuf, PathBuf), LaunchError> {
    let (cert, key) = (place.join("server.crt"), place.join("server.key"));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .output();
    match output {
        Ok(output) if output.status.success() => Ok((cert, key)),
        Ok(output) => Err(LaunchError::Failed(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(source) => Err(LaunchError::Io { what: "running openssl".into(), source }),
    }
}

fn client(options: &Options, ready: &Ready) -> Command {
    let target = &ready.server.target;
    let mut command = Command::new(&options.command[0]);
    command.args(&options.command[1..]);
    command.env("PGHOST", &target.host).env("PGPORT", target.port.to_string());
    command.env("PGUSER", &target.user).env("PGDATABASE", &target.database);
    command.env(
        "DATABASE_URL",
        format!("postgres://{}@{}:{}/{}", target.user, target.host, target.port, target.database),
    );
    if let Some(password) = &ready.password {
        command.env("PGPASSWORD", password);
    }
    if let Some(certificate) = &ready.certificate {
        command.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", certificate);
    }
    command.envs(ready.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// The last lines of what the server printed.
fn output_tail(place: &Path) -> String {
    let text = std::fs::read_to_string(place.join("data.out")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
