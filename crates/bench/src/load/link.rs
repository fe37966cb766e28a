//! One connection of the generator: a socket that never blocks, with TLS or without.

use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup};
use rustls_pki_types::ServerName;

/// Bytes read of a socket at once; the one buffer all links share.
pub(crate) const READ_BUFFER: usize = 256 * 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Plain bytes to send; written by [`Link::flush`].
    pub(crate) out: Vec<u8>,
    /// The beginning of a packet whose end has not come.
    partial: Vec<u8>,
}

/// How a link was secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Secured {
    pub(crate) resumed: bool,
    pub(crate) hybrid: bool,
}

impl Secured {
    /// Not at all.
    pub(crate) const PLAIN: Self = Self {
        resumed: false,
        hybrid: false,
    };
}

impl Link {
    /// Begins to connect, from `source` when one is named.
    pub(crate) fn open(
        to: SocketAddrV4,
        source: Option<Ipv4Addr>,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        if let Some(source) = source {
            bind(&socket, &SocketAddrV4::new(source, 0))?;
        }
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        sockopt::set_tcp_nodelay(&socket, true)?;
        let tls = match tls {
            None => None,
            Some((config, name)) => {
                let mut tls = ClientConnection::new(config, name).map_err(Error::other)?;
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
        };
        Ok(Self {
            socket: socket.into(),
            tls,
            out: Vec::new(),
            partial: Vec::new(),
        })
    }

    /// Reads what is there: `plain` holds the unread part of before and all that came. Answers
    /// whether the connection is still open.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], plain: &mut Vec<u8>) -> Result<bool> {
        plain.clear();
        plain.append(&mut self.partial);
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(len) => {
                    if !self.take(&buffer[..len], plain)? {
                        return Ok(false);
                    }
                    if len < buffer.len() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<bool> {
        let Some(tls) = &mut self.tls else {
            plain.extend_from_slice(bytes);
            return Ok(true);
        };
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            let state = tls.process_new_packets().map_err(Error::other)?;
            let (at, len) = (plain.len(), state.plaintext_bytes_to_read());
            if 0 < len {
                plain.resize(at + len, 0);
                tls.reader().read_exact(&mut plain[at..])?;
            }
            if state.peer_has_closed() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps what follows byte `from` of `plain` until more comes.
    pub(crate) fn keep(&mut self, plain: &[u8], from: usize) {
        self.partial.extend_from_slice(&plain[from..]);
    }

    /// Writes what waits; answers whether some still does.
    pub(crate) fn flush(&mut self) -> Result<bool> {
        let Some(tls) = &mut self.tls else {
            return self.flush_plain();
        };
        if !self.out.is_empty() {
            tls.writer().write_all(&self.out)?;
            self.out.clear();
        }
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if waits(&error) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn flush_plain(&mut self) -> Result<bool> {
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(len) => drop(self.out.drain(..len)),
                Err(error) if waits(&error) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// How it was secured; `None` while the handshake lasts and without TLS.
    pub(crate) fn secured(&self) -> Option<Secured> {
        let tls = self.tls.as_ref()?;
        let group = tls.negotiated_key_exchange_group()?.name();
        Some(Secured {
            resumed: tls.handshake_kind()? == HandshakeKind::Resumed,
            hybrid: group == NamedGroup::X25519MLKEM768,
        })
    }

    /// Says that nothing more will be sent; sent by the next [`Link::flush`].
    pub(crate) fn finish(&mut self) -> Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.socket.shutdown(Shutdown::Write);
        };
        tls.writer().write_all(&self.out)?;
        self.out.clear();
        tls.send_close_notify();
        Ok(())
    }

    /// Closes so that the port can be used again at once.
    pub(crate) fn abort(self) {
        // A socket that keeps its port a while is no fault.
        let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn waits(error: &Error) -> bool {
    // A socket whose connect is under way is not connected yet.
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}
