//! The sockets of all clients: what has come goes to the core, what the core has goes out.
//!
//! One buffer is read into and one is written from, whoever's turn it is; a connection owns bytes
//! only while part of a record, part of a packet or something the operating system does not take
//! is left over. Everything that arrived is read before anything is written, so that one write
//! carries all that a turn has for a client.
//!
//! The operating system tells of a change once (edge-triggered): what it told stands in
//! [`Socket::readable`] and [`Socket::blocked`] until a system call shows otherwise.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use bytes::BytesMut;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use tokio::sync::OwnedSemaphorePermit;
// How patient we are with a socket is not a matter of the platform's clock, which may be invented.
use tokio::time::Instant;

use super::tls::{Progress, Session};
use crate::core::{Connection, Core, End, Key, Now, Reading};

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

/// A client's socket.
#[derive(Debug)]
struct Socket {
    key: Key<Connection>,
    tcp: TcpStream,
    tls: Session,
    /// Part of a record.
    incoming: Vec<u8>,
    /// Part of a packet; while paused, packets too.
    plain: BytesMut,
    /// Encrypted, and not taken by the operating system.
    outgoing: Vec<u8>,
    /// There may be something to read.
    readable: bool,
    /// The peer may have ended its side: read until that is seen.
    read_closed: bool,
    /// The connection is broken: nobody is there who could be waited for.
    hung_up: bool,
    /// The operating system takes nothing now.
    blocked: bool,
    /// The core reads no more until something was sent.
    paused: bool,
    /// It stands in the list of those to be read.
    queued: bool,
    /// The peer sends no more.
    ended: bool,
    stalled_since: Option<Instant>,
    /// The core has ended the connection; only the last bytes are left, until then.
    closes_by: Option<Instant>,
    /// Its place among the connections; free again when dropped.
    _slot: OwnedSemaphorePermit,
}

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

impl Socket {
    /// Hands what has come to the core; whether there may be more at once.
    fn read(
        &mut self,
        core: &mut Core,
        now: Now,
        (scratch, inbox, outbox): (&mut Vec<u8>, &mut BytesMut, &mut Vec<u8>),
    ) -> io::Result<bool> {
        inbox.clear();
        // A large packet that comes in small pieces stays where it is.
        let continues = !self.plain.is_empty();
        if continues {
            std::mem::swap(&mut self.plain, inbox);
        }
        let again = self.read_into(core, now, (&mut *scratch, &mut *inbox, outbox));
        if continues {
            std::mem::swap(&mut self.plain, inbox);
            if self.plain.is_empty() {
                self.plain = BytesMut::new();
            }
        } else if !inbox.is_empty() {
            self.plain = BytesMut::from(inbox.as_ref());
        }
        if self.ended && !self.paused || self.hung_up {
            core.closed(now, self.key);
        }
        again
    }

    fn read_into(
        &mut self,
        core: &mut Core,
        now: Now,
        (scratch, inbox, outbox): (&mut Vec<u8>, &mut BytesMut, &mut Vec<u8>),
    ) -> io::Result<bool> {
        let mut is_new = true;
        self.paused = false;
        let mut taken = 0;
        loop {
            if is_new && !inbox.is_empty() && core.received(now, self.key, inbox) == Reading::Paused
            {
                self.paused = true;
                break;
            }
            if !self.readable || taken >= TURN_MAX {
                break;
            }
            let before = inbox.len();
            taken += self.read_once(scratch, inbox, outbox)?;
            is_new = inbox.len() > before;
        }
        Ok(self.readable && !self.paused)
    }

    /// One system call; how many bytes came.
    fn read_once(
        &mut self,
        scratch: &mut [u8],
        inbox: &mut BytesMut,
        outbox: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let held = self.incoming.len();
        let (start, room) = scratch.split_at_mut_checked(held).unwrap_or_default();
        let read = match self.tcp.read(room) {
            Ok(0) => {
                self.ended = true;
                self.readable = false;
                return Ok(0);
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(error),
        };
        if read < room.len() && !self.read_closed {
            // A stream that gives less than it was asked for has no more.
            self.readable = false;
        }
        start.copy_from_slice(&self.incoming);
        let incoming = scratch.get_mut(..held + read).unwrap_or_default();
        outbox.clear();
        let received = self.tls.receive(incoming, inbox, outbox);
        if !outbox.is_empty() {
            self.outgoing.extend_from_slice(outbox);
            self.write_out(outbox)?;
        }
        let (progress, done) = received?;
        if progress == Progress::Ended {
            self.ended = true;
            self.readable = false;
        }
        let rest = incoming.get(done..).unwrap_or_default();
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
        Ok(read)
    }

    /// Writes what is left and what the core has, until nothing is left or nothing is taken.
    fn write(&mut self, core: &mut Core, outbox: &mut Vec<u8>) -> io::Result<()> {
        while !self.blocked {
            outbox.clear();
            outbox.append(&mut self.outgoing);
            let output = core.output(self.key);
            let chunk = output.get(..CHUNK).unwrap_or(output);
            if chunk.is_empty() && outbox.is_empty() {
                break;
            }
            if !chunk.is_empty() {
                self.tls.encrypt(chunk, outbox)?;
                let len = chunk.len();
                core.sent(self.key, len);
            }
            if self.put(outbox)? {
                self.stalled_since = None;
            }
        }
        if self.blocked {
            self.stalled_since.get_or_insert_with(Instant::now);
        } else {
            self.stalled_since = None;
            // An idle connection owns no buffer.
            self.outgoing = Vec::new();
        }
        if SPARE_MAX < outbox.capacity() {
            *outbox = Vec::new();
        }
        Ok(())
    }

    /// Writes what is encrypted already.
    fn write_out(&mut self, outbox: &mut Vec<u8>) -> io::Result<()> {
        if !self.outgoing.is_empty() && !self.blocked {
            outbox.clear();
            outbox.append(&mut self.outgoing);
            self.put(outbox)?;
        }
        Ok(())
    }

    /// Writes `bytes`, and keeps what is not taken; whether something was.
    fn put(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.tcp.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    self.outgoing.extend_from_slice(rest);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rest.len() < bytes.len())
    }

    fn take_leave(&mut self, last: &[u8], outbox: &mut Vec<u8>) -> io::Result<()> {
        outbox.clear();
        outbox.append(&mut self.outgoing);
        if !last.is_empty() {
            self.tls.encrypt(last, outbox)?;
        }
        // A peer that has gone already does not need to be told.
        let _gone = self.tls.close(outbox);
        if self.blocked {
            self.outgoing.append(outbox);
            return Ok(());
        }
        self.put(outbox).map(|_| ())
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
