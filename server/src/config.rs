//! Configuration: flag over `PHANTOMDB_…` variable over TOML file over default, as one checked value.

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// SCRAM-SHA-256.
    Password,
    /// Nobody is asked (`--insecure`).
    Trust,
}

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Human,
    Json,
}

/// The options of `phantomdb start`, each also a variable and a key of the file.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// Directory of the data, made when missing [default: ./phantom-data]
    #[arg(long, env = "PHANTOMDB_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the SQL port [default: 127.0.0.1:5432]
    #[arg(long, env = "PHANTOMDB_SQL_ADDR", value_name = "HOST:PORT")]
    pub sql_addr: Option<String>,
    /// Address of the HTTP port [default: 127.0.0.1:8080]
    #[arg(long, env = "PHANTOMDB_HTTP_ADDR", value_name = "HOST:PORT")]
    pub http_addr: Option<String>,
    /// Address for other nodes: not supported yet
    #[arg(long, env = "PHANTOMDB_RPC_ADDR", value_name = "HOST:PORT")]
    pub rpc_addr: Option<String>,
    /// Host name that other nodes use: not supported yet
    #[arg(long, env = "PHANTOMDB_ADVERTISE_ADDR", value_name = "HOST")]
    pub advertise_addr: Option<String>,
    /// Nodes of the cluster to join: not supported yet
    #[arg(long, env = "PHANTOMDB_JOIN", value_name = "HOST:PORT,..")]
    pub join: Option<String>,
    /// Where the node stands: not supported yet
    #[arg(long, env = "PHANTOMDB_LOCALITY", value_name = "region=R,zone=Z")]
    pub locality: Option<String>,
    /// Memory of the node: a size (4GiB) or a share of the machine's [default: 25%]
    #[arg(long, env = "PHANTOMDB_MEMORY", value_name = "SIZE|PERCENT")]
    pub memory: Option<String>,
    /// Most client connections [default: 1000]
    #[arg(long, env = "PHANTOMDB_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// No TLS and no passwords; loopback addresses only, unless --insecure-anywhere
    #[arg(long, env = "PHANTOMDB_INSECURE", num_args = 0..=1, default_missing_value = "true")]
    pub insecure: Option<bool>,
    /// Lets --insecure listen beyond loopback
    #[arg(long, env = "PHANTOMDB_INSECURE_ANYWHERE", num_args = 0..=1, default_missing_value = "true")]
    pub insecure_anywhere: Option<bool>,
    /// PEM file of the certificate chain [default: made in the data directory]
    #[arg(long, env = "PHANTOMDB_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key
    #[arg(long, env = "PHANTOMDB_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Form of the log lines [default: human]
    #[arg(long, env = "PHANTOMDB_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Level of the log, or a filter such as `info,sql=debug` [default: info]
    #[arg(long, env = "PHANTOMDB_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// TOML file with any of these options as keys
    #[arg(long, env = "PHANTOMDB_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// Names the file may use, for the nearest one to a misspelt key.
const KEYS: [&str; 15] = [
    "data-dir",
    "sql-addr",
    "http-addr",
    "rpc-addr",
    "advertise-addr",
    "join",
    "locality",
    "memory",
    "max-connections",
    "insecure",
    "insecure-anywhere",
    "tls-cert",
    "tls-key",
    "log-format",
    "log",
];

/// The checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub data_dir: PathBuf,
    pub sql_addr: SocketAddr,
    pub http_addr: SocketAddr,
    /// Bytes.
    pub memory: u64,
    pub max_connections: usize,
    pub authentication: Authentication,
    /// Certificate chain and key given by the user.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    pub log_format: LogFormat,
    pub log: String,
}

/// What is wrong with the configuration, in one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

fn wrong<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(message.into()))
}

impl Options {
    /// Reads the file, if there is one, and puts these options over it.
    pub fn load(self) -> Result<Config, ConfigError> {
        let file = match &self.config {
            None => Options::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))?;
                parse_file(&text).map_err(|error| ConfigError(format!("{}: {}", path.display(), error.0)))?
            }
        };
        self.over(file).check()
    }

    fn over(self, file: Options) -> Options {
        Options {
            data_dir: self.data_dir.or(file.data_dir),
            sql_addr: self.sql_addr.or(file.sql_addr),
            http_addr: self.http_addr.or(file.http_addr),
            rpc_addr: self.rpc_addr.or(file.rpc_addr),
            advertise_addr: self.advertise_addr.or(file.advertise_addr),
            join: self.join.or(file.join),
            locality: self.locality.or(file.locality),
            memory: self.memory.or(file.memory),
            max_connections: self.max_connections.or(file.max_connections),
            insecure: self.insecure.or(file.insecure),
            insecure_anywhere: self.insecure_anywhere.or(file.insecure_anywhere),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            log_format: self.log_format.or(file.log_format),
            log: self.log.or(file.log),
            config: None,
        }
    }

    /// Options that only several nodes need are refused, not ignored.
    fn check_one_node(&self) -> Result<(), ConfigError> {
        let cluster = [
            ("join", &self.join),
            ("rpc-addr", &self.rpc_addr),
            ("advertise-addr", &self.advertise_addr),
            ("locality", &self.locality),
        ];
        match cluster.into_iter().find(|(_, value)| value.is_some()) {
            None => Ok(()),
            Some((name, _)) => {
                wrong(format!("{name} is not supported yet: there is one node (docs/limits.md)"))
            }
        }
    }

    fn check(self) -> Result<Config, ConfigError> {
        self.check_one_node()?;
        let sql_addr = address("sql-addr", self.sql_addr.as_deref().unwrap_or("127.0.0.1:5432"))?;
        let http_addr = address("http-addr", self.http_addr.as_deref().unwrap_or("127.0.0.1:8080"))?;
        let insecure = self.insecure.unwrap_or(false);
        let beyond = [("sql-addr", sql_addr)].into_iter().find(|(_, a)| !a.ip().is_loopback());
        if let (true, false, Some((name, addr))) = (insecure, self.insecure_anywhere.unwrap_or(false), beyond)
        {
            return wrong(format!(
                "insecure mode listens on loopback addresses only, but {name} is {addr} (insecure-anywhere lifts this)"
            ));
        }
        let tls_files = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return wrong("tls-cert and tls-key go together"),
        };
        let max_connections = self.max_connections.unwrap_or(1000);
        if max_connections == 0 {
            return wrong("max-connections must be at least 1");
        }
        Ok(Config {
            data_dir: self.data_dir.unwrap_or_else(|| PathBuf::from("phantom-data")),
            sql_addr,
            http_addr,
            memory: memory(self.memory.as_deref().unwrap_or("25%"))?,
            max_connections,
            authentication: if insecure { Authentication::Trust } else { Authentication::Password },
            tls_files,
            log_format: self.log_format.unwrap_or_default(),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
        })
    }
}

/// The file's options; an unknown key is refused with the nearest known one.
fn parse_file(text: &str) -> Result<Options, ConfigError> {
    let table: toml::Table =
        text.parse().map_err(|e: toml::de::Error| ConfigError(e.message().to_owned()))?;
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let nearest = KEYS.iter().min_by_key(|key| strsim::damerau_levenshtein(key, unknown));
        return wrong(format!("unknown key \"{unknown}\"; did you mean \"{}\"?", nearest.unwrap_or(&"")));
    }
    table.try_into().map_err(|e: toml::de::Error| ConfigError(e.message().to_owned()))
}

fn address(name: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    use std::net::ToSocketAddrs;
    match text.to_socket_addrs().map(|mut all| all.next()) {
        Ok(Some(address)) => Ok(address),
        _ => wrong(format!("{name}: \"{text}\" is not an address like 127.0.0.1:5432")),
    }
}

/// `25%` of the machine's memory, or a size with a unit.
fn memory(text: &str) -> Result<u64, ConfigError> {
    const LEAST: u64 = 64 << 20;
    let bad = || ConfigError(format!("memory: \"{text}\" is neither a size like 4GiB nor a share like 25%"));
    let bytes = if let Some(percent) = text.strip_suffix('%') {
        let percent: u64 = percent.trim().parse().ok().filter(|p| (1..=100).contains(p)).ok_or_else(bad)?;
        machine_memory() / 100 * percent
    } else {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| bad())?;
        let shift = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "kib" | "kb" | "k" => 10,
            "mib" | "mb" | "m" => 20,
            "gib" | "gb" | "g" => 30,
            "tib" | "tb" | "t" => 40,
            _ => return Err(bad()),
        };
        number.checked_mul(1 << shift).ok_or_else(bad)?
    };
    if bytes < LEAST {
        return wrong("memory: at least 64MiB are needed");
    }
    Ok(bytes)
}

/// Bytes of the machine's memory; 4 GiB when it cannot be told.
fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok());
    kib.map_or(4 << 30, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = parse_file("sql-addr = '127.0.0.1:7000'\nmemory = '1GiB'").unwrap();
        let flags = Options { memory: Some("2GiB".to_owned()), ..Options::default() };
        let config = flags.over(file).check().unwrap();
        assert_eq!(config.sql_addr.port(), 7000);
        assert_eq!(config.memory, 2 << 30);
        assert_eq!(config.http_addr.port(), 8080);
        assert_eq!(config.authentication, Authentication::Password);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_name() {
        let error = parse_file("sql-adr = 'x'").unwrap_err();
        assert_eq!(error.0, "unknown key \"sql-adr\"; did you mean \"sql-addr\"?");
    }

    #[test]
    fn what_needs_several_nodes_is_refused() {
        let file = parse_file("join = '10.0.0.1:7432'").unwrap();
        let error = Options::default().over(file).check().unwrap_err();
        assert_eq!(error.0, "join is not supported yet: there is one node (docs/limits.md)");
    }

    #[test]
    fn insecure_stays_on_loopback_and_bad_values_are_refused() {
        let open = |anywhere| Options {
            insecure: Some(true),
            insecure_anywhere: Some(anywhere),
            sql_addr: Some("0.0.0.0:5432".to_owned()),
            ..Options::default()
        };
        assert!(open(false).check().is_err());
        assert!(open(true).check().is_ok());
        for bad in ["0%", "101%", "12XB", "", "1KiB"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }
}
