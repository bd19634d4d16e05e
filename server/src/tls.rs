//! TLS of the SQL port: the user's certificate, or one made at the first start.

use ring::digest;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

/// An acceptor and the certificate's hash for channel binding.
pub struct Tls {
    pub acceptor: TlsAcceptor,
    pub certificate_hash: Vec<u8>,
}

/// What is wrong with the certificate or its key: names the file.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {file}: {cause}")]
pub struct TlsError {
    file: String,
    cause: String,
}

fn fault(file: &Path, cause: impl ToString) -> TlsError {
    TlsError { file: file.display().to_string(), cause: cause.to_string() }
}

/// Reads certificate chain and key (PEM).
pub fn load(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| fault(certificate, error))?;
    let Some(first) = chain.first() else { return Err(fault(certificate, "no certificate in it")) };
    let certificate_hash = digest::digest(&digest::SHA256, first).as_ref().to_vec();
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, error))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| fault(certificate, error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| fault(certificate, error))?;
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_hash })
}

/// Where the first start keeps its own certificate: chain, key.
pub fn own_files(data_dir: &Path) -> (PathBuf, PathBuf) {
    let dir = data_dir.join("certs");
    (dir.join("server.crt"), dir.join("server.key"))
}

/// Makes a self-signed certificate for this machine, unless there is one.
pub fn make(data_dir: &Path) -> io::Result<()> {
    let (certificate, key) = own_files(data_dir);
    if certificate.exists() && key.exists() {
        return Ok(());
    }
    fs::create_dir_all(certificate.parent().unwrap_or(data_dir))?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
        names.push(host.trim().to_owned());
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
    fs::write(&certificate, made.cert.pem())
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
