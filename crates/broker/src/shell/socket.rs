//! A TLS connection whose handshake is done, driven by hand.
//!
//! `rustls` is fed from and drained into the socket directly, so that a wake-up reads all there
//! is and writes all there is in as few system calls as possible, and an idle connection owns no
//! buffer of ours.

use std::io::{self, BufRead as _, Write as _};

use bytes::{Buf as _, BytesMut};
use rustls::ServerConnection;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Plaintext taken in one turn, so that one busy client does not hold up the others.
const TURN_MAX: usize = 64 * 1024;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct TlsSocket {
    tcp: TcpStream,
    tls: ServerConnection,
    /// Plaintext that `rustls` has not taken yet.
    unsent: BytesMut,
    /// The peer has said that it sends no more.
    ended: bool,
}

/// What a turn of reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Plaintext was appended.
    Bytes,
    /// Nothing now.
    Nothing,
    /// The peer sends no more.
    End,
}

impl TlsSocket {
    pub(crate) fn new(tcp: TcpStream, tls: ServerConnection) -> Self {
        Self {
            tcp,
            tls,
            unsent: BytesMut::new(),
            ended: false,
        }
    }

    /// Appends what has come to `into`.
    ///
    /// # Errors
    /// When the connection or its encryption breaks.
    pub(crate) fn read(&mut self, into: &mut BytesMut) -> io::Result<Incoming> {
        let before = into.len();
        loop {
            self.take_plaintext(into)?;
            if self.ended || into.len() - before >= TURN_MAX {
                break;
            }
            match self.tls.read_tls(&mut TryIo(&self.tcp)) {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    if let Err(error) = self.tls.process_new_packets() {
                        // The alert says why, if it still gets through.
                        let _gone = self.tls.write_tls(&mut TryIo(&self.tcp));
                        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(match into.len() > before {
            true => Incoming::Bytes,
            false if self.ended => Incoming::End,
            false => Incoming::Nothing,
        })
    }

    fn take_plaintext(&mut self, into: &mut BytesMut) -> io::Result<()> {
        let mut reader = self.tls.reader();
        loop {
            match reader.fill_buf() {
                Ok([]) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(chunk) => {
                    into.extend_from_slice(chunk);
                    let taken = chunk.len();
                    reader.consume(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The peer closed without saying so: to MQTT no different from a broken network.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.ended = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes `bytes` to be written.
    pub(crate) fn push(&mut self, bytes: BytesMut) {
        if self.unsent.is_empty() {
            self.unsent = bytes;
        } else {
            self.unsent.extend_from_slice(&bytes);
        }
    }

    /// Whether something is left to be written.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.tls.wants_write()
    }

    /// Whether [`TlsSocket::push`] may be called without piling up.
    pub(crate) fn takes_more(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Writes as much as the socket takes now; whether it took anything.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) fn write(&mut self) -> io::Result<bool> {
        let mut progress = false;
        while self.has_unsent() {
            if !self.unsent.is_empty() {
                let taken = self.tls.writer().write(&self.unsent)?;
                self.unsent.advance(taken);
            }
            match self.tls.write_tls(&mut TryIo(&self.tcp)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(progress),
                Err(error) => return Err(error),
            }
        }
        // An idle connection owns no buffer.
        self.unsent = BytesMut::new();
        Ok(progress)
    }

    /// Says that nothing more will be written.
    pub(crate) fn close(&mut self) {
        self.tls.send_close_notify();
    }

    /// Waits until the socket can be read, or written.
    pub(crate) async fn ready(&self, reading: bool, writing: bool) -> io::Result<()> {
        let interest = match (reading, writing) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return std::future::pending().await,
        };
        self.tcp.ready(interest).await.map(|_| ())
    }
}

/// A socket that never waits.
struct TryIo<'a>(&'a TcpStream);

impl io::Read for TryIo<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl io::Write for TryIo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
