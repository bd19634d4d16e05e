//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's half, against a stored verifier
//! `SCRAM-SHA-256$iterations:salt$stored_key:server_key` (base64), PostgreSQL's `rolpassword` form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};

/// Bytes of randomness in the server's part of the nonce.
const NONCE_BYTES: usize = 18;

/// A parsed verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Verifier {
    pub(super) fn parse(text: &str) -> Option<Verifier> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let verifier = Verifier {
            iterations: iterations.parse().ok().filter(|n| *n > 0)?,
            salt: STANDARD.decode(salt).ok()?,
            stored_key: STANDARD.decode(stored).ok()?,
            server_key: STANDARD.decode(server).ok()?,
        };
        (verifier.stored_key.len() == 32 && verifier.server_key.len() == 32).then_some(verifier)
    }

    /// A verifier that no password fits, the same for a name at every try: an unknown role must look
    /// like a known one.
    pub(super) fn mock(secret: &[u8], name: &str) -> Verifier {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let salt = hmac::sign(&key, name.as_bytes()).as_ref()[..16].to_vec();
        Verifier { iterations: 4096, salt, stored_key: vec![0; 32], server_key: vec![0; 32] }
    }
}

/// Whether the client may bind to the TLS channel, and the certificate's hash if so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    None,
    Certificate(Vec<u8>),
}

/// The exchange between the two messages of the client.
pub(super) struct Exchange {
    verifier: Verifier,
    /// `n,,` or `p=tls-server-end-point,,`, then the hash: what the client repeats in base64.
    channel: Vec<u8>,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

/// Why an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// 08P01 with these words.
    Malformed(&'static str),
    WrongPassword,
}

impl Exchange {
    /// Reads the client's first message; `plus` says whether it chose SCRAM-SHA-256-PLUS.
    pub(super) fn begin(
        verifier: Verifier,
        client_first: &str,
        plus: bool,
        binding: &Binding,
    ) -> Result<Exchange, Failure> {
        let random: [u8; NONCE_BYTES] = rand::random();
        Exchange::begin_with(verifier, client_first, plus, binding, &STANDARD.encode(random))
    }

    fn begin_with(
        verifier: Verifier,
        client_first: &str,
        plus: bool,
        binding: &Binding,
        server_nonce: &str,
    ) -> Result<Exchange, Failure> {
        let malformed = Failure::Malformed("malformed SCRAM message");
        let (flag, rest) = client_first.split_once(',').ok_or(malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(malformed)?;
        if !authzid.is_empty() {
            return Err(Failure::Malformed("client uses authorization identity, but it is not supported"));
        }
        let mut channel = format!("{flag},,").into_bytes();
        match (flag, plus, binding) {
            ("p=tls-server-end-point", true, Binding::Certificate(hash)) => channel.extend_from_slice(hash),
            ("n", false, _) | ("y", false, Binding::None) => {}
            // The client thinks that we cannot bind, yet we offered to: somebody is in between.
            ("y", false, Binding::Certificate(_)) => {
                return Err(Failure::Malformed("SCRAM channel binding negotiation error"));
            }
            _ => return Err(malformed),
        }
        let mut parts = bare.split(',');
        let user = parts.next().and_then(|part| part.strip_prefix("n="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let (Some(_), Some(nonce)) = (user, nonce) else { return Err(malformed) };
        if nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Failure::Malformed("non-printable characters in SCRAM nonce"));
        }
        let nonce = format!("{nonce}{server_nonce}");
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        Ok(Exchange { verifier, channel, nonce, client_first_bare: bare.to_owned(), server_first })
    }

    pub(super) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's proof; the answer is the server's signature.
    pub(super) fn finish(self, client_final: &str) -> Result<String, Failure> {
        let malformed = Failure::Malformed("malformed SCRAM message");
        let (without_proof, proof) = client_final.rsplit_once(",p=").ok_or(malformed)?;
        let mut parts = without_proof.split(',');
        let channel = parts.next().and_then(|part| part.strip_prefix("c=")).ok_or(malformed)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(malformed)?;
        if STANDARD.decode(channel).ok().as_deref() != Some(&self.channel) {
            return Err(Failure::Malformed("SCRAM channel binding check failed"));
        }
        if nonce != self.nonce {
            return Err(Failure::Malformed("invalid SCRAM response"));
        }
        let proof: [u8; 32] = STANDARD.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or(malformed)?;
        let message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let stored = hmac::Key::new(hmac::HMAC_SHA256, &self.verifier.stored_key);
        let signature = hmac::sign(&stored, message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let hashed = digest::digest(&digest::SHA256, &client_key);
        // Both sides are hashes: comparing them tells an observer nothing about the password.
        if hashed.as_ref() != self.verifier.stored_key {
            return Err(Failure::WrongPassword);
        }
        let server = hmac::Key::new(hmac::HMAC_SHA256, &self.verifier.server_key);
        Ok(format!("v={}", STANDARD.encode(hmac::sign(&server, message.as_bytes()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use postgres_protocol::password::scram_sha_256;

    fn exchange(stored: &str, given: &str, binding: &Binding) -> Result<(), Failure> {
        let verifier = Verifier::parse(&scram_sha_256(stored.as_bytes())).expect("a verifier");
        let (plus, client) = match binding {
            Binding::None => (false, ChannelBinding::unsupported()),
            Binding::Certificate(hash) => (true, ChannelBinding::tls_server_end_point(hash.clone())),
        };
        let mut client = ScramSha256::new(given.as_bytes(), client);
        let first = std::str::from_utf8(client.message()).unwrap().to_owned();
        let exchange = Exchange::begin(verifier, &first, plus, binding)?;
        client.update(exchange.server_first().as_bytes()).unwrap();
        let last = std::str::from_utf8(client.message()).unwrap().to_owned();
        let signature = exchange.finish(&last)?;
        client.finish(signature.as_bytes()).expect("the client trusts the server");
        Ok(())
    }

    #[test]
    fn the_right_password_passes_and_another_does_not() {
        assert_eq!(exchange("sécret", "sécret", &Binding::None), Ok(()));
        assert_eq!(exchange("secret", "Secret", &Binding::None), Err(Failure::WrongPassword));
        let bound = Binding::Certificate(vec![7; 32]);
        assert_eq!(exchange("secret", "secret", &bound), Ok(()));
    }

    #[test]
    fn a_downgraded_binding_is_noticed() {
        let verifier = Verifier::parse(&scram_sha_256(b"x")).unwrap();
        let bound = Binding::Certificate(vec![7; 32]);
        let result = Exchange::begin(verifier, "y,,n=,r=abc", false, &bound);
        assert_eq!(result.err(), Some(Failure::Malformed("SCRAM channel binding negotiation error")));
    }

    #[test]
    fn malformed_messages_are_told_from_wrong_passwords() {
        let verifier = Verifier::mock(b"k", "nobody");
        for first in ["", "n", "n,,", "n,,n=a", "n,a=x,n=,r=abc", "n,,n=,r=", "p=other,,n=,r=abc"] {
            assert!(Exchange::begin(verifier.clone(), first, false, &Binding::None).is_err(), "{first:?}");
        }
        let exchange = Exchange::begin(verifier, "n,,n=,r=abc", false, &Binding::None).unwrap();
        assert_eq!(
            exchange.finish("c=biws,r=other,p=AA=="),
            Err(Failure::Malformed("invalid SCRAM response"))
        );
    }
}
