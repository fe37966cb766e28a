//! A TLS session that owns no buffers: what has come and what is to go lies with the caller.
//!
//! `rustls` keeps buffers for each connection unless it is used like this; among ten thousand
//! connections that are mostly idle they would be most of the memory. The session is driven
//! through its handshake on the runtime and then handed to the broker's thread.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, ServerConfig};

/// What a record adds: a header of 5 bytes, a tag of 16, the type or, in TLS 1.2, a nonce of 8.
const RECORD_OVERHEAD: usize = 32;
/// Plaintext of one record.
const RECORD_PLAINTEXT_MAX: usize = 16 * 1024;
/// Records that are still to be sent after an error; there is one alert.
const LAST_WORDS_MAX: usize = 4;

/// See the module documentation.
pub(super) struct Session {
    tls: Box<UnbufferedServerConnection>,
    /// The peer broke the protocol: nothing may be asked of the session any more.
    broken: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Session")
    }
}

/// How far a session is, once everything that has come was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The handshake needs more from the peer.
    Handshaking,
    /// Application data may be sent.
    Open,
    /// The peer sends no more.
    Ended,
}

impl Session {
    /// A server's session that begins.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub(super) fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        match UnbufferedServerConnection::new(config) {
            Ok(tls) => Ok(Self {
                tls: Box::new(tls),
                broken: false,
            }),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
        }
    }

    /// What was agreed on in the handshake.
    pub(super) fn agreed(&self) -> &CommonState {
        &self.tls
    }

    /// Deals with every whole record at the start of `incoming`: how far the session is then, and how
    /// many bytes are done with; what follows is part of a record. Application data is appended to
    /// `plain`, what has to be answered to `outgoing`.
    ///
    /// # Errors
    /// When the peer breaks the protocol; the alert that says how is in `outgoing`.
    pub(super) fn receive(
        &mut self,
        incoming: &mut [u8],
        plain: &mut BytesMut,
        outgoing: &mut Vec<u8>,
    ) -> io::Result<(Progress, usize)> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let received = self.receive_all(incoming, plain, outgoing);
        let received = received.and_then(|(progress, done)| {
            let rest = incoming.get(done..).unwrap_or_default();
            // `rustls` keeps the place of a message that is cut in two by its records, and must be
            // shown those records again whatever is asked of it. Once the handshake is done there
            // is no such message from an honest peer: they are a few bytes.
            match progress == Progress::Open && begins_with_record(rest) {
                true => Err(io::ErrorKind::InvalidData.into()),
                false => Ok((progress, done)),
            }
        });
        self.broken = received.is_err();
        received
    }

    fn receive_all(
        &mut self,
        incoming: &mut [u8],
        plain: &mut BytesMut,
        outgoing: &mut Vec<u8>,
    ) -> io::Result<(Progress, usize)> {
        let mut done = 0;
        loop {
            let rest = incoming.get_mut(done..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(rest);
            let progress = match state {
                Ok(ConnectionState::ReadTraffic(mut records)) => {
                    while let Some(record) = records.next_record() {
                        plain.extend_from_slice(record.map_err(broken)?.payload);
                    }
                    None
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, outgoing)?;
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::WriteTraffic(_)) => Some(Progress::Open),
                Ok(ConnectionState::BlockedHandshake) => Some(Progress::Handshaking),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Progress::Ended),
                // Early data, which is never offered, and what a later version may add.
                Ok(_) => return Err(io::ErrorKind::Unsupported.into()),
                Err(error) => {
                    last_words(&mut self.tls, outgoing);
                    return Err(broken(error));
                }
            };
            done += discard;
            if let Some(progress) = progress {
                return Ok((progress, done));
            }
        }
    }

    /// Encrypts all of `plain` and appends it to `outgoing`.
    ///
    /// # Errors
    /// When the session takes no data any more.
    pub(super) fn encrypt(&mut self, plain: &[u8], outgoing: &mut Vec<u8>) -> io::Result<()> {
        let records = plain.len().div_ceil(RECORD_PLAINTEXT_MAX);
        let room = plain.len() + records * RECORD_OVERHEAD;
        self.with_traffic(outgoing, room, |traffic, out| traffic.encrypt(plain, out))
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// When the session takes no data any more.
    pub(super) fn close(&mut self, outgoing: &mut Vec<u8>) -> io::Result<()> {
        self.with_traffic(outgoing, RECORD_OVERHEAD * 2, |traffic, out| {
            traffic.queue_close_notify(out)
        })
    }

    /// Lets `write` append to `outgoing`, with this much room at first.
    fn with_traffic(
        &mut self,
        outgoing: &mut Vec<u8>,
        room: usize,
        mut write: impl FnMut(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        loop {
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut []);
            match state.map_err(broken)? {
                // An answer to a key update goes first.
                ConnectionState::EncodeTlsData(data) => encode(data, outgoing)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    return append(outgoing, room, |out| match write(&mut traffic, out) {
                        Err(EncryptError::InsufficientSize(error)) => Err(Some(error)),
                        Err(EncryptError::EncryptExhausted) => Err(None),
                        Ok(written) => Ok(written),
                    });
                }
                // The peer has said that it sends no more; it may still listen.
                ConnectionState::PeerClosed => {}
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }
}

fn encode(
    mut data: EncodeTlsData<'_, ServerConnectionData>,
    outgoing: &mut Vec<u8>,
) -> io::Result<()> {
    append(outgoing, 0, |out| match data.encode(out) {
        Err(EncodeError::InsufficientSize(error)) => Err(Some(error)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
        Ok(written) => Ok(written),
    })
}

/// Appends what `write` puts into the room it asks for.
fn append(
    outgoing: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> io::Result<()> {
    let start = outgoing.len();
    outgoing.resize(start + room, 0);
    loop {
        match write(outgoing.get_mut(start..).unwrap_or_default()) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(Some(InsufficientSizeError { required_size })) => {
                outgoing.resize(start + required_size, 0);
            }
            Err(None) => {
                outgoing.truncate(start);
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }
}

/// Whether a whole record stands at the start of `bytes`.
fn begins_with_record(bytes: &[u8]) -> bool {
    const HEADER: usize = 5;
    match bytes {
        [_, _, _, high, low, ..] => {
            HEADER + usize::from(u16::from_be_bytes([*high, *low])) <= bytes.len()
        }
        _ => false,
    }
}

/// After an error: the alert that tells the peer. What waits to be sent is given before anything
/// else is looked at.
fn last_words(tls: &mut UnbufferedServerConnection, outgoing: &mut Vec<u8>) {
    for _ in 0..LAST_WORDS_MAX {
        if !tls.wants_write() {
            return;
        }
        match tls.process_tls_records(&mut []).state {
            Ok(ConnectionState::EncodeTlsData(data)) => {
                if encode(data, outgoing).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
