//! One client's socket: from the operating system to the core and back.

use std::io::{self, Read as _, Write as _};

use bytes::BytesMut;
use mio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
// How patient we are with a socket is not a matter of the platform's clock, which may be invented.
use tokio::time::Instant;

use super::super::tls::{Progress, Session};
use super::{CHUNK, SPARE_MAX, TURN_MAX};
use crate::core::{Connection, Core, Key, Now, Reading};

/// A client's socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) key: Key<Connection>,
    pub(super) tcp: TcpStream,
    pub(super) tls: Session,
    /// Part of a record.
    pub(super) incoming: Vec<u8>,
    /// Part of a packet; while paused, packets too.
    pub(super) plain: BytesMut,
    /// Encrypted, and not taken by the operating system.
    pub(super) outgoing: Vec<u8>,
    /// There may be something to read.
    pub(super) readable: bool,
    /// The peer may have ended its side: read until that is seen.
    pub(super) read_closed: bool,
    /// The connection is broken: nobody is there who could be waited for.
    pub(super) hung_up: bool,
    /// The operating system takes nothing now.
    pub(super) blocked: bool,
    /// The core reads no more until something was sent.
    pub(super) paused: bool,
    /// It stands in the list of those to be read.
    pub(super) queued: bool,
    /// The peer sends no more.
    pub(super) ended: bool,
    pub(super) stalled_since: Option<Instant>,
    /// The core has ended the connection; only the last bytes are left, until then.
    pub(super) closes_by: Option<Instant>,
    /// Its place among the connections; free again when dropped.
    pub(super) _slot: OwnedSemaphorePermit,
}

impl Socket {
    /// Hands what has come to the core; whether there may be more at once.
    pub(super) fn read(
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
    pub(super) fn write(&mut self, core: &mut Core, outbox: &mut Vec<u8>) -> io::Result<()> {
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
    pub(super) fn write_out(&mut self, outbox: &mut Vec<u8>) -> io::Result<()> {
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

    pub(super) fn take_leave(&mut self, last: &[u8], outbox: &mut Vec<u8>) -> io::Result<()> {
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
