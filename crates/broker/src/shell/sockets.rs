//! The sockets of all clients: what has come goes to the core, what the core has goes out.
//!
//! One buffer is read into and one is written from, whoever's turn it is; a connection owns bytes
//! only while part of a record, part of a packet or something the operating system does not take
//! is left over. Everything that arrived is read before anything is written, so that one write
//! carries all that a turn has for a client.
//!
//! The operating system tells of a change once (edge-triggered): what it told stands in
//! [`Socket::readable`] and [`Socket::blocked`] until a system call shows otherwise.

mod socket;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::net::Shutdown;
use std::time::Duration;

use bytes::BytesMut;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use tokio::sync::OwnedSemaphorePermit;
// How patient we are with a socket is not a matter of the platform's clock, which may be invented.
use tokio::time::Instant;

use super::tls::Session;
use crate::core::{Connection, Core, End, Key, Now};
use socket::Socket;

/// Bytes read for one client before it is the next one's turn.
const TURN_MAX: usize = 64 * 1024;
/// Room for part of a record before what is read.
const RECORD_MAX: usize = 20 * 1024;
/// Output encrypted at once; the rest stays where the core sees how much it is.
const CHUNK: usize = 256 * 1024;
/// Buffers beyond this are given back to the allocator once they are empty.
const SPARE_MAX: usize = 1024 * 1024;
/// How long the last bytes of a connection may take to leave.
const LINGER: Duration = Duration::from_secs(1);

/// A client that was taken in, with what came and is to go along with its handshake.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) key: Key<Connection>,
    pub(super) tcp: std::net::TcpStream,
    pub(super) tls: Session,
    pub(super) incoming: Vec<u8>,
    pub(super) plain: BytesMut,
    pub(super) outgoing: Vec<u8>,
    pub(super) slot: OwnedSemaphorePermit,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    sockets: HashMap<usize, Box<Socket>, BuildHasherDefault<KeyHasher>>,
    /// Those to be read.
    ready: Vec<usize>,
    /// Those whose socket takes nothing, by since when.
    stalled: BTreeSet<(Instant, usize)>,
    /// Those that close, by when at the latest.
    closing: BTreeSet<(Instant, usize)>,
    scratch: Vec<u8>,
    inbox: BytesMut,
    outbox: Vec<u8>,
    write_timeout: Duration,
}

impl Sockets {
    pub(super) fn new(registry: Registry, write_timeout: Duration) -> Self {
        Self {
            registry,
            sockets: HashMap::default(),
            ready: Vec::new(),
            stalled: BTreeSet::new(),
            closing: BTreeSet::new(),
            scratch: vec![0; TURN_MAX + RECORD_MAX],
            inbox: BytesMut::new(),
            outbox: Vec::new(),
            write_timeout,
        }
    }

    /// Takes a client in.
    ///
    /// # Errors
    /// When the operating system does not watch its socket.
    pub(super) fn admit(&mut self, client: Admitted) -> io::Result<()> {
        let token = client.key.bits();
        let mut tcp = TcpStream::from_std(client.tcp);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut tcp, Token(token), both)?;
        self.ready.push(token);
        self.sockets.insert(
            token,
            Box::new(Socket {
                key: client.key,
                tcp,
                tls: client.tls,
                incoming: client.incoming,
                plain: client.plain,
                outgoing: client.outgoing,
                readable: false,
                read_closed: false,
                hung_up: false,
                blocked: false,
                paused: false,
                queued: true,
                ended: false,
                stalled_since: None,
                closes_by: None,
                _slot: client.slot,
            }),
        );
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Whether somebody is to be read at once.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How long until [`Sockets::give_up`] must be called.
    pub(super) fn patience(&self) -> Option<Duration> {
        let stalls = self
            .stalled
            .first()
            .map(|(since, _)| *since + self.write_timeout);
        let closes = self.closing.first().map(|(by, _)| *by);
        let by = [stalls, closes].into_iter().flatten().min()?;
        Some(by.saturating_duration_since(Instant::now()))
    }

    /// Notes what the operating system tells; whether something can be written again.
    pub(super) fn note(&mut self, event: &Event) -> Option<Key<Connection>> {
        let token = event.token().0;
        let socket = self.sockets.get_mut(&token)?;
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            socket.readable = true;
            socket.read_closed |= event.is_read_closed() || event.is_error();
            // What was read of it already may still be dealt with; more does not matter.
            socket.hung_up |= socket.paused && (event.is_error() || event.is_write_closed());
            if !socket.queued && (!socket.paused || socket.hung_up) {
                socket.queued = true;
                self.ready.push(token);
            }
        }
        let unblocked = socket.blocked && event.is_writable();
        if unblocked {
            socket.blocked = false;
        }
        unblocked.then_some(socket.key)
    }

    /// Reads those who have something, each for one turn.
    pub(super) fn read(&mut self, core: &mut Core, now: Now) {
        let ready = std::mem::take(&mut self.ready);
        for token in &ready {
            if let Some(socket) = self.sockets.get_mut(token) {
                socket.queued = false;
                if socket.closes_by.is_some() {
                    continue;
                }
                let buffers = (&mut self.scratch, &mut self.inbox, &mut self.outbox);
                let again = match socket.read(core, now, buffers) {
                    Ok(again) => again,
                    Err(error) => {
                        tracing::debug!(%error, "connection broke");
                        socket.ended = true;
                        core.closed(now, socket.key);
                        false
                    }
                };
                if again {
                    socket.queued = true;
                    self.ready.push(*token);
                }
            }
        }
        if self.ready.is_empty() {
            // Its memory is used again.
            self.ready = ready;
            self.ready.clear();
        }
        shrink(&mut self.inbox);
    }

    /// Writes what the core has for a client, as far as the operating system takes it.
    pub(super) fn write(&mut self, core: &mut Core, now: Now, key: Key<Connection>) {
        let token = key.bits();
        let Some(socket) = self.sockets.get_mut(&token) else {
            return;
        };
        if let Some(by) = socket.closes_by {
            if socket.write_out(&mut self.outbox).is_err() || !socket.blocked {
                self.closing.remove(&(by, token));
                self.sockets.remove(&token);
            }
            return;
        }
        let before = socket.stalled_since;
        match socket.write(core, &mut self.outbox) {
            Ok(()) => {
                if socket.paused && !socket.queued {
                    socket.queued = true;
                    self.ready.push(token);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "connection broke");
                socket.stalled_since = None;
                socket.ended = true;
                core.closed(now, key);
            }
        }
        if before != socket.stalled_since {
            if let Some(since) = before {
                self.stalled.remove(&(since, token));
            }
            if let Some(since) = socket.stalled_since {
                self.stalled.insert((since, token));
            }
        }
    }

    /// The core has ended a connection: sends its last bytes and closes.
    pub(super) fn close(&mut self, key: Key<Connection>, last: &[u8]) {
        let token = key.bits();
        let Some(socket) = self.sockets.get_mut(&token) else {
            return;
        };
        if let Some(since) = socket.stalled_since.take() {
            self.stalled.remove(&(since, token));
        }
        if socket.take_leave(last, &mut self.outbox).is_err() {
            self.sockets.remove(&token);
            return;
        }
        if !socket.blocked {
            // With unread bytes of its peer a close would reset the connection, and the last bytes
            // with it. They have until the end of the lingering to get through.
            let lingers = socket.readable && socket.tcp.shutdown(Shutdown::Write).is_ok();
            if !lingers {
                self.sockets.remove(&token);
                return;
            }
        }
        let by = Instant::now() + LINGER;
        socket.closes_by = Some(by);
        self.closing.insert((by, token));
    }

    /// Cuts those who read too slowly; drops those whose last bytes find nobody.
    pub(super) fn give_up(&mut self, core: &mut Core, now: Now) {
        let at = Instant::now();
        while let Some(&(by, token)) = self.closing.first()
            && by <= at
        {
            self.closing.pop_first();
            self.sockets.remove(&token);
        }
        while let Some(&(since, token)) = self.stalled.first()
            && since + self.write_timeout <= at
        {
            self.stalled.pop_first();
            if let Some(socket) = self.sockets.get_mut(&token) {
                socket.stalled_since = None;
                core.cut(now, socket.key, End::too_slow());
            }
        }
    }
}

/// Gives memory back that one large packet took.
fn shrink(buffer: &mut BytesMut) {
    buffer.clear();
    if SPARE_MAX < buffer.capacity() {
        *buffer = BytesMut::new();
    }
}

/// Keys are spread by their index already; a client does not choose them.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        // The golden ratio of 2^64: moves what differs into the bits a table looks at.
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
