//! The first packets of a connection: TLS in its two forms, CancelRequest, the startup packet.

use super::decode::Reader;
use super::encode::message;
use super::input::Input;
use sql::{SqlError, SqlState};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// Requests for encryption that one connection may make before its startup packet.
const MAX_NEGOTIATIONS: usize = 4;

/// A connection, encrypted or not.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Socket::Tls(_))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Socket::Tls(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Socket::Tls(socket) => Pin::new(socket).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Tls(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Tls(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

/// What the client asked for in its startup packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Startup {
    pub user: String,
    pub database: String,
    /// Settings, those of `options` first.
    pub settings: Vec<(String, String)>,
    /// A NegotiateProtocolVersion message is due, listing these options.
    pub unknown_options: Option<Vec<String>>,
}

/// How the first packets ended.
pub(super) enum Opened {
    Session(Startup),
    Cancel {
        pid: i32,
        secret: Vec<u8>,
    },
    /// The client left, or was told why it may not stay.
    Closed,
    Refused(SqlError),
}

/// Negotiates until the startup packet is there.
pub(super) async fn open(
    socket: TcpStream,
    input: &mut Input,
    tls: Option<&TlsAcceptor>,
) -> io::Result<(Socket, Opened)> {
    let mut first = [0];
    let is_direct = socket.peek(&mut first).await? == 1 && first[0] == TLS_HANDSHAKE;
    let mut socket = Socket::Plain(socket);
    if is_direct {
        match direct_tls(socket, tls).await? {
            Some(encrypted) => socket = encrypted,
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "TLS is not available")),
        }
    }
    for _ in 0..=MAX_NEGOTIATIONS {
        let range = loop {
            match input.startup() {
                Ok(Some(range)) => break range,
                Ok(None) => {}
                Err(error) => return Ok((socket, Opened::Refused(error))),
            }
            if input.read(&mut socket).await? == 0 {
                return Ok((socket, Opened::Closed));
            }
        };
        let packet = input.slice(range).to_vec();
        let code = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
        match code {
            SSL_REQUEST if !socket.is_tls() && tls.is_some() => {
                if !input.is_empty() {
                    let error = SqlError::new(
                        SqlState::PROTOCOL_VIOLATION,
                        "received unencrypted data after SSL request",
                    );
                    return Ok((socket, Opened::Refused(error)));
                }
                socket.write_all(b"S").await?;
                socket = accept_tls(socket, tls).await?;
                input.clear();
            }
            SSL_REQUEST | GSS_REQUEST => socket.write_all(b"N").await?,
            CANCEL_REQUEST => {
                let mut reader = Reader::new(&packet[4..]);
                let opened = match reader.i32() {
                    Ok(pid) => Opened::Cancel { pid, secret: reader.rest().to_vec() },
                    Err(_) => Opened::Closed,
                };
                return Ok((socket, opened));
            }
            version => {
                let opened = match parse(version, &packet[4..]) {
                    Ok(startup) => Opened::Session(startup),
                    Err(error) => Opened::Refused(error),
                };
                return Ok((socket, opened));
            }
        }
    }
    Ok((socket, Opened::Closed))
}

async fn accept_tls(socket: Socket, tls: Option<&TlsAcceptor>) -> io::Result<Socket> {
    match (socket, tls) {
        (Socket::Plain(plain), Some(acceptor)) => Ok(Socket::Tls(Box::new(acceptor.accept(plain).await?))),
        (socket, _) => Ok(socket),
    }
}

/// TLS without a request before it: the client must have named the protocol by ALPN.
async fn direct_tls(socket: Socket, tls: Option<&TlsAcceptor>) -> io::Result<Option<Socket>> {
    if tls.is_none() {
        return Ok(None);
    }
    match accept_tls(socket, tls).await? {
        Socket::Tls(encrypted) if encrypted.get_ref().1.alpn_protocol() == Some(b"postgresql") => {
            Ok(Some(Socket::Tls(encrypted)))
        }
        _ => Ok(None),
    }
}

/// Reads the startup packet behind its version.
fn parse(version: u32, body: &[u8]) -> Result<Startup, SqlError> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"),
        ));
    }
    let mut startup = Startup::default();
    let mut unknown = Vec::new();
    let mut reader = Reader::new(body);
    let layout = || {
        SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            "invalid startup packet layout: expected terminator as last byte",
        )
    };
    loop {
        let name = reader.string().map_err(|_| layout())?;
        if name.is_empty() {
            break;
        }
        let value = reader.string().map_err(|_| layout())?;
        match name {
            "user" => startup.user = value.to_owned(),
            "database" => startup.database = value.to_owned(),
            "options" => startup.settings.splice(0..0, options(value)?).for_each(drop),
            "replication" if matches!(value, "false" | "off" | "no" | "0") => {}
            "replication" => return Err(SqlError::not_built("the replication protocol")),
            _ if name.starts_with("_pq_.") => unknown.push(name.to_owned()),
            _ => startup.settings.push((name.to_owned(), value.to_owned())),
        }
    }
    reader.end().map_err(|_| layout())?;
    if startup.user.is_empty() {
        return Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    if startup.database.is_empty() {
        startup.database.clone_from(&startup.user);
    }
    if minor > 0 || !unknown.is_empty() {
        startup.unknown_options = Some(unknown);
    }
    Ok(startup)
}

/// `-c name=value`, `-cname=value` and `--name=value`, split at blanks that no backslash protects.
fn options(text: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("never empty");
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_ascii_whitespace() && word.is_empty() => {}
            c if c.is_ascii_whitespace() => words.push(String::new()),
            c => word.push(c),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let pair = match word.as_str() {
            "-c" => words.next().unwrap_or_default(),
            other => match other.strip_prefix("--").or_else(|| other.strip_prefix("-c")) {
                Some(rest) => rest.to_owned(),
                None => {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        format!("invalid command-line argument for server process: {other}"),
                    ));
                }
            },
        };
        let Some((name, value)) = pair.split_once('=') else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("-c {pair} requires a value")));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// The newest version is 3.0, and these options are not known.
pub(super) fn negotiate_version(out: &mut Vec<u8>, unknown: &[String]) {
    message(out, b'v', |out| {
        out.extend_from_slice(&0u32.to_be_bytes());
        out.extend_from_slice(&(unknown.len() as u32).to_be_bytes());
        for name in unknown {
            out.extend_from_slice(name.as_bytes());
            out.push(0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3: u32 = 3 << 16;

    #[test]
    fn the_startup_packet_gives_user_database_and_settings() {
        let body = b"user\0ann\0options\0-c work_mem=8MB --search-path=a\\ b\0application_name\0x\0\0";
        let startup = parse(V3, body).unwrap();
        assert_eq!((startup.user.as_str(), startup.database.as_str()), ("ann", "ann"));
        let pairs: Vec<_> = startup.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("work_mem", "8MB"), ("search_path", "a b"), ("application_name", "x")]);
        assert_eq!(startup.unknown_options, None);
        let newer = parse(V3 + 2, b"user\0a\0_pq_.x\0y\0\0").unwrap();
        assert_eq!(newer.unknown_options, Some(vec!["_pq_.x".to_owned()]));
    }

    #[test]
    fn bad_startup_packets_are_refused() {
        let code = |version, body: &[u8]| parse(version, body).unwrap_err().code();
        assert_eq!(code(2 << 16, b"user\0a\0\0"), SqlState::FEATURE_NOT_SUPPORTED);
        assert_eq!(code(V3, b"user\0a\0"), SqlState::PROTOCOL_VIOLATION);
        assert_eq!(code(V3, b"user\0a"), SqlState::PROTOCOL_VIOLATION);
        assert_eq!(code(V3, b"\0"), SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
        assert_eq!(code(V3, b"user\0a\0replication\0true\0\0"), SqlState::FEATURE_NOT_SUPPORTED);
        assert_eq!(code(V3, b"user\0a\0options\0-c x\0\0"), SqlState::SYNTAX_ERROR);
    }
}
