//! `protocol-diff`: the same messages to two servers, the answers compared line by line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bench::dialog::script::Case;
use bench::dialog::{play, script};
use bench::launch::Server;
use bench::launch::postgres::Postgres;
use clap::Parser;
use sqllogic::wire::Target;

/// Compares a server's messages with PostgreSQL 15's.
#[derive(Parser)]
struct Options {
    /// The server under test.
    #[arg(long, env = "DATABASE_URL", default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    url: Target,
    /// Cases.
    #[arg(long, default_value = "bench/protocol/cases")]
    cases: PathBuf,
    /// Recorded answers of PostgreSQL 15; used unless `--postgres` is given.
    #[arg(long, default_value = "bench/protocol/expected")]
    expected: PathBuf,
    /// Accepted differences.
    #[arg(long, default_value = "bench/protocol/accepted.txt")]
    accepted: PathBuf,
    /// Start a PostgreSQL 15 and compare with it instead of the recorded answers.
    #[arg(long)]
    postgres: bool,
    /// Start a PostgreSQL 15 and record its answers; no server is tested.
    #[arg(long)]
    record: bool,
}

/// Stands in an accepted difference for a line that the other side has alone.
const NO_LINE: &str = "-";

/// A difference that is known and accepted: both lines, and why.
struct Accepted {
    case: String,
    expected: String,
    actual: String,
    reason: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("protocol-diff: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn run(options: &Options) -> Result<bool, String> {
    let files = case_files(&options.cases)?;
    let place = tempfile::Builder::new().prefix("phantomdb-protocol-").tempdir_in("/var/tmp");
    let place = place.map_err(|error| error.to_string())?;
    let judge = (options.postgres || options.record).then(|| start_postgres(place.path())).transpose()?;
    let accepted = read_accepted(&options.accepted)?;
    let (mut cases, mut different, mut excused) = (0, 0, BTreeMap::new());
    for (name, list) in &files {
        let recorded = options.expected.join(format!("{name}.txt"));
        if options.record {
            let judge = judge.as_ref().ok_or("PostgreSQL was not started")?;
            let text = transcripts(&judge.target, list).into_iter().map(|lines| lines.join("\n") + "\n\n");
            fs::create_dir_all(&options.expected).map_err(|error| error.to_string())?;
            fs::write(&recorded, text.collect::<String>()).map_err(|error| error.to_string())?;
            continue;
        }
        let expected = match &judge {
            Some(judge) => transcripts(&judge.target, list),
            None => read_transcripts(&recorded)?,
        };
        let actual = transcripts(&options.url, list);
        if expected.len() != actual.len() {
            return Err(format!(
                "{}: {} answers recorded for {} cases",
                recorded.display(),
                expected.len(),
                actual.len()
            ));
        }
        for (expected, actual) in expected.iter().zip(&actual) {
            cases += 1;
            different += usize::from(!same(name, expected, actual, &accepted, &mut excused));
        }
    }
    for (reason, count) in &excused {
        println!("accepted {count}x: {reason}");
    }
    if options.record {
        println!("recorded {} files", files.len());
        return Ok(true);
    }
    println!("{cases} cases, {different} different");
    Ok(different == 0 && cases > 0)
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn same(
    file: &str,
    expected: &[String],
    actual: &[String],
    accepted: &[Accepted],
    excused: &mut BTreeMap<String, usize>,
) -> bool {
    let case = expected.first().map_or("", |line| line.trim_start_matches("== "));
    let good = walk(case, expected, actual, accepted, excused);
    if !good {
        println!("DIFFERENT {file}: {case}");
        let first = expected.iter().zip(actual).position(|(left, right)| left != right);
        let first = first.unwrap_or(expected.len().min(actual.len()));
        for (who, lines) in [("postgres", expected), ("server  ", actual)] {
            for line in lines.iter().skip(first.saturating_sub(2)).take(6) {
                println!("  {who} {line}");
            }
        }
    }
    good
}

/// Goes through both transcripts; `false` at a difference that no accepted one explains.
fn walk(
    case: &str,
    expected: &[String],
    actual: &[String],
    accepted: &[Accepted],
    excused: &mut BTreeMap<String, usize>,
) -> bool {
    let (mut left, mut right) = (0, 0);
    while left < expected.len() || right < actual.len() {
        let (ours, theirs) = (actual.get(right), expected.get(left));
        if ours == theirs {
            (left, right) = (left + 1, right + 1);
            continue;
        }
        let fits = |line: Option<&String>, known: &str| {
            known == NO_LINE || line.is_some_and(|line| line.trim() == known)
        };
        let known = accepted.iter().find(|known| {
            (known.case == case || known.case == "*")
                && fits(theirs, &known.expected)
                && fits(ours, &known.actual)
        });
        let Some(known) = known else { return false };
        *excused.entry(known.reason.clone()).or_default() += 1;
        left += usize::from(known.expected != NO_LINE);
        right += usize::from(known.actual != NO_LINE);
    }
    true
}

fn transcripts(target: &Target, cases: &[Case]) -> Vec<Vec<String>> {
    let mut all = vec![play::startup(target).unwrap_or_else(|error| vec![format!("connecting: {error}")])];
    for case in cases {
        let lines = play::play(target, case);
        all.push(lines.unwrap_or_else(|error| vec![format!("== {}", case.name), format!("  {error}")]));
    }
    all
}

fn read_transcripts(path: &Path) -> Result<Vec<Vec<String>>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parts = text.split("\n\n").filter(|part| !part.is_empty());
    Ok(parts.map(|part| part.lines().map(str::to_owned).collect()).collect())
}

fn case_files(dir: &Path) -> Result<Vec<(String, Vec<Case>)>, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        files.push((name, script::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?));
    }
    files.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(files)
}

/// Four lines a difference: case (or `*`), PostgreSQL's line, ours (`-`: no such line), the reason; empty lines and `#` between.
fn read_accepted(path: &Path) -> Result<Vec<Accepted>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if !lines.len().is_multiple_of(4) {
        return Err(format!("{}: each difference has four lines", path.display()));
    }
    let one = |lines: &[&str]| Accepted {
        case: lines[0].trim().into(),
        expected: lines[1].trim().into(),
        actual: lines[2].trim().into(),
        reason: lines[3].trim().into(),
    };
    let accepted: Vec<Accepted> = lines.chunks(4).map(one).collect();
    if accepted.iter().any(|known| known.expected == NO_LINE && known.actual == NO_LINE) {
        return Err(format!("{}: a difference without lines", path.display()));
    }
    Ok(accepted)
}

fn start_postgres(place: &Path) -> Result<Server, String> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    let programs = Postgres::find().ok_or("PostgreSQL 15's server programs are not installed")?;
    let postgres = Postgres::new(&programs, &place.join("data"));
    let start = || {
        postgres.init()?;
        let mut server = postgres.start()?;
        server.wait_ready(Duration::from_secs(60))?;
        Ok::<Server, bench::launch::LaunchError>(server)
    };
    start().map_err(|error| error.to_string())
}
