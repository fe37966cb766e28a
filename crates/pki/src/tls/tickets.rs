//! Session tickets for TLS 1.3 only, of bounded size, under rotated keys.
//!
//! `rustls` has one ticketer for both versions. In TLS 1.2 a ticket is sent in the clear and
//! resumes without new key exchange, so a stolen ticket key would open the session; TLS 1.3 has
//! neither fault. The version stands at the front of the session that is to be sealed; anything
//! else than TLS 1.3 at that place, were the layout to change, gets no ticket.

use std::sync::Arc;

use rustls::server::ProducesTickets;

/// Longest session sealed into a ticket, in bytes; it holds the client's whole chain, and a
/// client with a longer one makes a full handshake each time.
const SESSION_BYTES_MAX: usize = 8 * 1024;

const TLS13: [u8; 2] = [0x03, 0x04];

#[derive(Debug)]
pub(super) struct Tls13Tickets {
    /// Rotates its keys every six hours and forgets them after twelve.
    sealed: Arc<dyn ProducesTickets>,
}

impl Tls13Tickets {
    pub(super) fn new() -> Result<Self, rustls::Error> {
        Ok(Self {
            sealed: rustls::crypto::aws_lc_rs::Ticketer::new()?,
        })
    }
}

impl ProducesTickets for Tls13Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.sealed.lifetime()
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let fits = session.len() <= SESSION_BYTES_MAX;
        (fits && is_tls13(session)).then(|| self.sealed.encrypt(session))?
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.sealed.decrypt(ticket)
    }
}

/// A session begins with the server name (0, or 1 and a counted name), then its version.
fn is_tls13(session: &[u8]) -> bool {
    let version = match session {
        [0, rest @ ..] => Some(rest),
        [1, len, rest @ ..] => rest.get(usize::from(*len)..),
        _ => None,
    };
    version.is_some_and(|version| version.starts_with(&TLS13))
}
