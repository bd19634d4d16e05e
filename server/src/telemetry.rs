//! Logs: one subscriber for the process, as lines for people or as JSON.

use crate::config::{Config, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Sends logs to standard error; an unreadable filter is an error of configuration.
pub fn init(config: &Config) -> Result<(), crate::config::ConfigError> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| crate::config::ConfigError(format!("log: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let installed = match config.log_format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // A second start in one process (tests) keeps the first subscriber.
    drop(installed);
    Ok(())
}
