//! `bad-input`: hostile messages and hopeless starts. Each gets a clear answer, and the server goes on.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use bench::launch::phantomdb::Phantomdb;
use bench::launch::{Server, free_port};
use clap::Parser;
use sqllogic::wire::{Target, Wire, WireError, frontend};

/// The longest that a start which must fail may take.
const FAILING_START: Duration = Duration::from_secs(20);
/// The longest that one answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// Hostile messages and hopeless starts.
#[derive(Parser)]
struct Options {
    /// PhantomDB's binary.
    #[arg(long)]
    binary: PathBuf,
    /// Leave out the flipped bits.
    #[arg(long)]
    no_flips: bool,
    /// Where data directories are made.
    #[arg(long, default_value = "/var/tmp")]
    work_dir: PathBuf,
}

/// Instead of a SQLSTATE: any error, or the end of the connection, which is PostgreSQL's answer to a length that
/// cannot be.
const CLOSED: &str = "closed";

/// One test's name and what it found.
type Finding = (String, Result<String, String>);

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn main() -> ExitCode {
    let options = Options::parse();
    let findings = match run(&options) {
        Ok(findings) => findings,
        Err(error) => {
            eprintln!("bad-input: {error}");
            return ExitCode::FAILURE;
        }
    };
    for (name, finding) in &findings {
        match finding {
            Ok(answer) => println!("ok    {name}: {}", answer.replace('\n', " ")),
            Err(fault) => println!("FAIL  {name}: {}", fault.replace('\n', " ")),
        }
    }
    let failed = findings.iter().filter(|(_, finding)| finding.is_err()).count();
    println!("{} cases, {failed} failed", findings.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> Result<Vec<Finding>, String> {
    let place = tempfile::Builder::new().prefix("phantomdb-bad-").tempdir_in(&options.work_dir);
    let place = place.map_err(|error| format!("{}: {error}", options.work_dir.display()))?;
    let node = Phantomdb::new(&options.binary, &place.path().join("data"));
    let mut server = started(&node)?;
    sql(&server.target, "CREATE TABLE kept (id int PRIMARY KEY, v text)")
        .map_err(|error| error.to_string())?;
    sql(&server.target, "INSERT INTO kept SELECT g, 'row ' || g FROM generate_series(1, 1000) g")
        .map_err(|error| error.to_string())?;
    let mut findings = on_the_wire(&server.target);
    findings
        .push(("second start on the same directory".into(), refused(&options.binary, &node.data_dir, &[])));
    findings.push(("busy port".into(), busy_port(options, place.path())));
    let other = place.path().join("other");
    findings.push(("unknown flag".into(), refused(&options.binary, &other, &["--sql-adr", "127.0.0.1:1"])));
    findings.push(("bad memory".into(), refused(&options.binary, &other, &["--memory", "lots"])));
    findings.push(("unknown key in the configuration".into(), unknown_key(options, place.path())));
    let stopped = server.stop(Duration::from_secs(60)).map_err(|error| error.to_string())?;
    findings.push((
        "clean stop".into(),
        if stopped.success() { Ok("exit 0".into()) } else { Err(stopped.to_string()) },
    ));
    if !options.no_flips {
        findings.extend(flipped_bits(&node, place.path())?);
    }
    Ok(findings)
}

fn started(node: &Phantomdb) -> Result<Server, String> {
    let mut server = node.start().map_err(|error| error.to_string())?;
    server.wait_ready(Duration::from_secs(60)).map_err(|error| error.to_string())?;
    Ok(server)
}

fn sql(target: &Target, text: &str) -> Result<String, WireError> {
    let answers = Wire::connect(target, ANSWER)?.simple(text)?;
    Ok(answers.first().and_then(|answer| answer.single()).unwrap_or_default().to_owned())
}

/// Bytes for an established connection. Whatever the answer, it comes, and the next connection works.
fn on_the_wire(target: &Target) -> Vec<Finding> {
    let text = |sql: String| frontend::query(&sql);
    let sync = |mut bytes: Vec<u8>| {
        bytes.extend(frontend::sync());
        bytes
    };
    let values = vec![Some("1"); 65_536];
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a string of 16 MiB", text(format!("SELECT length('{}')", "x".repeat(16 << 20))), ""),
        ("200 parentheses", text(format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200))), ""),
        ("100,000 parentheses", text(format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000))), ""),
        ("200 nested functions", text(format!("SELECT {}1{}", "abs(".repeat(200), ")".repeat(200))), ""),
        ("10,000 additions", text(format!("SELECT 1{}", "+1".repeat(10_000))), ""),
        ("invalid UTF-8", frontend::message(b'Q', b"SELECT '\xff'\0"), "22021"),
        ("a query without its end", frontend::message(b'Q', b"SELECT 1"), "08P01"),
        ("two billion bytes announced", vec![b'Q', 0x7f, 0xff, 0xff, 0xff], CLOSED),
        ("a negative length", vec![b'Q', 0xff, 0xff, 0xff, 0xff], CLOSED),
        (
            "two billion parameters announced",
            [
                frontend::parse("", "SELECT $1", &[]),
                sync(frontend::message(b'B', b"\0\0\0\0\x7f\xff\x7f\xff\xff\xff")),
            ]
            .concat(),
            "08P01",
        ),
        ("65,536 parameters", sync(frontend::bind("", "", &[], &values, &[])), ""),
        ("an unknown message", frontend::message(b'y', b""), "08P01"),
        ("an unknown setting", text("SET no_such_setting = 1".into()), "42704"),
    ];
    let finding = |(name, bytes, code): (&str, Vec<u8>, &str)| {
        let answered = answer_to(target, &bytes, code);
        let alive = sql(target, "SELECT count(*) FROM kept").map_err(|error| format!("afterwards: {error}"));
        let whole =
            |count: String| if count == "1000" { Ok(()) } else { Err(format!("{count} rows afterwards")) };
        (name.to_owned(), answered.and_then(|answer| alive.and_then(whole).map(|()| answer)))
    };
    cases.into_iter().map(finding).collect()
}

/// `code` empty: any orderly answer. Otherwise an error with this SQLSTATE.
fn answer_to(target: &Target, bytes: &[u8], code: &str) -> Result<String, String> {
    let mut wire = Wire::connect(target, ANSWER).map_err(|error| format!("connecting: {error}"))?;
    // The server may refuse and close before it has read all of it.
    let sent = wire.send(bytes);
    if wire_is_short(bytes) {
        wire.set_timeout(Duration::from_secs(10)).map_err(|error| error.to_string())?;
    }
    loop {
        match wire.receive() {
            Ok(message) if message.tag == b'E' => {
                let error = message.error().map_err(|error| error.to_string())?;
                let found = error.field(b'C').to_owned();
                return if code.is_empty() || code == CLOSED || found == code {
                    Ok(error.to_string())
                } else {
                    Err(format!("wanted {code}: {error}"))
                };
            }
            Ok(message) if message.tag == b'Z' && code.is_empty() => return Ok("answered".into()),
            Ok(message) if message.tag == b'Z' => return Err(format!("no error, wanted {code}")),
            Ok(_) => {}
            Err(WireError::Io(error)) if code == CLOSED && error.kind() != std::io::ErrorKind::WouldBlock => {
                return Ok("closed".into());
            }
            Err(error) => return Err(format!("no answer ({error}; sending: {sent:?})")),
        }
    }
}

fn wire_is_short(bytes: &[u8]) -> bool {
    bytes.len() < 64
}

fn busy_port(options: &Options, place: &Path) -> Result<String, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    refused(&options.binary, &place.join("busy"), &["--sql-addr", &addr.to_string()])
}

fn unknown_key(options: &Options, place: &Path) -> Result<String, String> {
    let file = place.join("bad.toml");
    fs::write(&file, "sql-adr = \"127.0.0.1:1\"\n").map_err(|error| error.to_string())?;
    let line = refused(&options.binary, &place.join("config"), &["--config", &file.to_string_lossy()])?;
    if line.contains("sql-addr") { Ok(line) } else { Err(format!("the nearest key is not named: {line}")) }
}

/// Starts a node that must not start: non-zero exit in time, and something on stderr that says why.
fn refused(binary: &Path, data_dir: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = start_to_the_end(binary, data_dir, arguments)?;
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match (output.status.code(), error.is_empty()) {
        (Some(0), _) => Err("it started, or ended with 0".into()),
        (None, _) => Err(format!("killed by a signal: {error}")),
        (Some(_), true) => Err("no reason on stderr".into()),
        (Some(_), false) if error.contains("panicked") => Err(error),
        (Some(code), false) => Ok(format!("exit {code}: {error}")),
    }
}

fn start_to_the_end(binary: &Path, data_dir: &Path, arguments: &[&str]) -> Result<Output, String> {
    let mut command = Command::new(binary);
    command.args(["start", "--insecure", "--data-dir"]).arg(data_dir);
    for flag in ["--sql-addr", "--http-addr"] {
        if !arguments.contains(&flag) {
            command.arg(flag).arg(format!("127.0.0.1:{}", free_port().map_err(|error| error.to_string())?));
        }
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let began = Instant::now();
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if began.elapsed() > FAILING_START {
            // It is running: end it, and let the caller see that it did not end by itself.
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            return Err("it started although it should not".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().map_err(|error| error.to_string())
}

/// Flips one bit in the middle of each file: the start is refused with a reason, or every row is right.
fn flipped_bits(node: &Phantomdb, place: &Path) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for file in files_below(&node.data_dir) {
        let name = file.strip_prefix(&node.data_dir).unwrap_or(&file).display().to_string();
        let copy = place.join("flipped");
        let copied = Command::new("cp").arg("-a").arg(&node.data_dir).arg(&copy).status();
        if !copied.is_ok_and(|status| status.success()) {
            return Err("cp -a failed".into());
        }
        let target = copy.join(&name);
        let mut bytes = fs::read(&target).map_err(|error| error.to_string())?;
        if let Some(middle) = bytes.len().checked_div(2).filter(|middle| *middle < bytes.len()) {
            bytes[middle] ^= 0x10;
            fs::write(&target, &bytes).map_err(|error| error.to_string())?;
            findings.push((format!("a flipped bit in {name}"), after_flip(node, &copy)));
        }
        fs::remove_dir_all(&copy).map_err(|error| error.to_string())?;
    }
    Ok(findings)
}

fn after_flip(node: &Phantomdb, copy: &Path) -> Result<String, String> {
    let damaged = Phantomdb { data_dir: copy.to_owned(), ..node.clone() };
    let mut server = match started(&damaged) {
        Ok(server) => server,
        Err(_) => {
            let log = fs::read_to_string(copy.with_extension("out")).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default().to_owned();
            fs::remove_file(copy.with_extension("out")).ok();
            let clear = !last.is_empty() && !log.contains("panicked");
            return if clear {
                Ok(format!("refused: {last}"))
            } else {
                Err(format!("no clear reason: {last}"))
            };
        }
    };
    let read = sql(&server.target, "SELECT count(*) FROM kept WHERE v = 'row ' || id");
    server.kill();
    match read {
        Ok(count) if count == "1000" => Ok("started, every row is right".into()),
        Ok(count) => Err(format!("started with {count} of 1000 rows and no error")),
        Err(WireError::Db(error)) => Ok(format!("started, reading says {error}")),
        Err(error) => Err(error.to_string()),
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
