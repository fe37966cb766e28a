//! Handshakes, on the runtime: their arithmetic must not hold up messages.
//!
//! The client's first message says by ALPN which service it wants. MQTT goes on with a session
//! that owns no buffers; HTTPS goes on with `tokio-rustls`.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::server::{Accepted, Acceptor};
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tls::{Progress, Session};

/// Bytes read at once.
const READ_BYTES: usize = 4 * 1024;
/// What a client may send before its handshake is done: chains are refused far below.
const HANDSHAKE_BYTES_MAX: usize = 128 * 1024;

/// An MQTT client whose handshake is done.
#[derive(Debug)]
pub(super) struct Shaken {
    pub(super) tcp: TcpStream,
    pub(super) tls: Session,
    /// The beginning of a record.
    pub(super) incoming: Vec<u8>,
    /// What it has said already.
    pub(super) plain: BytesMut,
    /// What is still to be sent, such as a ticket; it can wait for the first answer.
    pub(super) outgoing: Vec<u8>,
}

/// Reads the client's first message: what it offers, and the bytes that were read.
///
/// # Errors
/// When that is no TLS, or the connection breaks.
pub(super) async fn greet(tcp: &mut TcpStream) -> io::Result<(Accepted, Vec<u8>)> {
    let mut acceptor = Acceptor::default();
    let mut incoming = Vec::new();
    loop {
        let before = incoming.len();
        read(tcp, &mut incoming).await?;
        let mut new = incoming.get(before..).unwrap_or_default();
        while !new.is_empty() {
            if acceptor.read_tls(&mut new)? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok((accepted, incoming)),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut outgoing = Vec::new();
                alert.write_all(&mut outgoing)?;
                // It says why, if it still gets through.
                let _gone = tcp.write_all(&outgoing).await;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

/// The rest of the handshake with an MQTT client that has sent `incoming`.
///
/// # Errors
/// When it fails, or the connection breaks.
pub(super) async fn shake_hands(
    mut tcp: TcpStream,
    config: Arc<ServerConfig>,
    mut incoming: Vec<u8>,
) -> io::Result<Shaken> {
    let mut tls = Session::new(config)?;
    let mut plain = BytesMut::new();
    let mut outgoing = Vec::new();
    loop {
        let received = tls.receive(&mut incoming, &mut plain, &mut outgoing);
        let (progress, done) = match received {
            Ok(received) => received,
            Err(error) => {
                let _gone = tcp.write_all(&outgoing).await;
                return Err(error);
            }
        };
        incoming.drain(..done);
        match progress {
            Progress::Open => {
                // With TLS 1.2 the client waits for our Finished; with 1.3 it has all it needs.
                if tls.agreed().protocol_version() == Some(ProtocolVersion::TLSv1_2) {
                    tcp.write_all(&outgoing).await?;
                    outgoing.clear();
                }
                incoming.shrink_to_fit();
                return Ok(Shaken {
                    tcp,
                    tls,
                    incoming,
                    plain,
                    outgoing,
                });
            }
            Progress::Ended => return Err(io::ErrorKind::UnexpectedEof.into()),
            Progress::Handshaking => {}
        }
        if !outgoing.is_empty() {
            tcp.write_all(&outgoing).await?;
            outgoing.clear();
        }
        read(&mut tcp, &mut incoming).await?;
    }
}

/// Appends what comes next.
async fn read(tcp: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<()> {
    if into.len() >= HANDSHAKE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    into.reserve(READ_BYTES);
    match tcp.read_buf(into).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
