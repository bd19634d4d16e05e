//! Playing a case against a server.

use std::collections::HashMap;
use std::time::Duration;

use sqllogic::wire::{Target, Wire, WireError, frontend};

use super::script::{Case, Step};
use super::show;

/// The longest wait for an expected message.
const ANSWER: Duration = Duration::from_secs(10);
/// Silence after which `Quiet` ends.
const SILENCE: Duration = Duration::from_millis(300);
/// Time for a statement to be under way before it is cancelled.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// Plays a case on fresh connections and returns the transcript: the steps, and below each reading step the messages.
pub fn play(target: &Target, case: &Case) -> Result<Vec<String>, WireError> {
    let mut connections: HashMap<String, Wire> = HashMap::new();
    let mut current = "a".to_owned();
    connections.insert(current.clone(), Wire::connect(target, ANSWER)?);
    let mut transcript = vec![format!("== {}", case.name)];
    for (line, step) in &case.steps {
        transcript.push(format!("> {line}"));
        if let Step::On(name) = step {
            current.clone_from(name);
            if !connections.contains_key(name) {
                connections.insert(name.clone(), Wire::connect(target, ANSWER)?);
            }
            continue;
        }
        let wire = connections.get_mut(&current).expect("inserted when the name was first used");
        match step {
            // A server may have closed the connection: what it said before is read by the next step.
            Step::Send(bytes) => drop(wire.send(bytes)),
            Step::Cancel => cancel(target, wire)?,
            Step::Until(tag) => read(wire, Some(*tag), &mut transcript),
            Step::Quiet => read(wire, None, &mut transcript),
            Step::On(_) => {}
        }
    }
    Ok(transcript)
}

fn cancel(target: &Target, wire: &Wire) -> Result<(), WireError> {
    std::thread::sleep(UNDER_WAY);
    let (pid, secret) = wire.cancel_key.ok_or_else(|| WireError::Protocol("no BackendKeyData".into()))?;
    let mut other = Wire::open(target, ANSWER)?;
    other.send(&frontend::cancel(pid, secret))?;
    Ok(())
}

fn read(wire: &mut Wire, until: Option<u8>, transcript: &mut Vec<String>) {
    let limit = if until.is_some() { ANSWER } else { SILENCE };
    if wire.set_timeout(limit).is_err() {
        transcript.push("  (closed)".into());
        return;
    }
    loop {
        match wire.receive() {
            Ok(message) => {
                transcript.push(format!("  {}", show::line(&message)));
                if Some(message.tag) == until {
                    return;
                }
            }
            Err(error) => {
                let silent =
                    matches!(&error, WireError::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock);
                if !(silent && until.is_none()) {
                    transcript.push(if silent { "  (no answer)".into() } else { "  (closed)".to_owned() });
                }
                return;
            }
        }
    }
}

/// The reported settings of a fresh connection, as a transcript.
pub fn startup(target: &Target) -> Result<Vec<String>, WireError> {
    let wire = Wire::connect(target, ANSWER)?;
    let mut lines = vec!["== ParameterStatus at the start".to_owned()];
    let shown = |(name, value): &(String, String)| match name.as_str() {
        "server_version" => format!("  {name} = {}", value.split('.').next().unwrap_or(value)),
        "TimeZone" => format!("  {name}"),
        _ => format!("  {name} = {value}"),
    };
    let mut reported: Vec<String> = wire.parameters.iter().map(shown).collect();
    reported.sort();
    lines.extend(reported);
    Ok(lines)
}
