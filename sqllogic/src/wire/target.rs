//! Connection strings: `postgres://user[:password]@host[:port]/database`.

use std::str::FromStr;

/// Where to connect and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Password, sent only if the server asks for it in clear text.
    pub password: Option<String>,
    /// Database.
    pub database: String,
}

impl Target {
    /// Role and database `postgres` on loopback.
    pub fn local(port: u16) -> Target {
        Target {
            host: "127.0.0.1".into(),
            port,
            user: "postgres".into(),
            password: None,
            database: "postgres".into(),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or_else(|| format!("{text:?}: expected postgres://user@host:port/database"))?;
        let rest = rest.split('?').next().unwrap_or(rest);
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = authority.rsplit_once('@').unwrap_or(("postgres", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (login, None),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| format!("{text:?}: bad port {port:?}"))?),
            None => (address, 5432),
        };
        let database = if database.is_empty() { user } else { database };
        Ok(Target {
            host: if host.is_empty() { "127.0.0.1".into() } else { host.into() },
            port,
            user: user.into(),
            password,
            database: database.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_usual_forms() {
        let full: Target = "postgres://ann:pw@db:6000/shop?sslmode=disable".parse().expect("valid");
        assert_eq!((full.host.as_str(), full.port, full.database.as_str()), ("db", 6000, "shop"));
        assert_eq!(full.password.as_deref(), Some("pw"));
        let short: Target = "postgresql://127.0.0.1".parse().expect("valid");
        assert_eq!(
            (short.user.as_str(), short.port, short.database.as_str()),
            ("postgres", 5432, "postgres")
        );
        assert!("host=localhost".parse::<Target>().is_err());
        assert!("postgres://h:notaport/db".parse::<Target>().is_err());
    }
}
