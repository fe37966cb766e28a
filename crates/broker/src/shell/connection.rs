//! One task per connection: bytes in, bytes out, as the core says.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use device_api::DisconnectReason;
use mqtt::ReasonCode;
use tokio::time::Instant;

use super::socket::{Incoming, TlsSocket};
use super::{Outlet, Shell};
use crate::core::{Connection, End, Key, Reading};

/// How long the last bytes of a connection may take to leave.
const LINGER: Duration = Duration::from_secs(1);

/// What a task needs to know beside the shell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A socket that takes nothing for this long is cut.
    pub(crate) write: Duration,
    /// Writes that may wait for the disk before sockets are no longer read.
    pub(crate) store_backlog_max: u64,
}

impl Shell {
    /// Serves a connection until it ends.
    pub(crate) async fn serve(
        self: Rc<Self>,
        key: Key<Connection>,
        mut socket: TlsSocket,
        patience: Patience,
    ) {
        let outlet = self.outlet(key);
        if let Err(error) = self.converse(key, &mut socket, &outlet, patience).await {
            tracing::debug!(%error, "connection broke");
            self.with(|core, now| core.closed(now, key));
        }
        let last = outlet.last.take().unwrap_or_default();
        let _late = tokio::time::timeout(LINGER, take_leave(&mut socket, last)).await;
    }

    /// Reads and writes until the core has ended the connection, or it breaks.
    async fn converse(
        &self,
        key: Key<Connection>,
        socket: &mut TlsSocket,
        outlet: &Outlet,
        patience: Patience,
    ) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        let mut reading = Reading::On;
        let mut stalled_since: Option<Instant> = None;
        // What came with the handshake is there before the socket says so.
        let mut may_have_input = true;
        loop {
            if may_have_input || reading == Reading::Paused {
                let more = self.take_in(key, socket, &mut buffer, &mut reading, patience)?;
                may_have_input = false;
                if !more {
                    self.with(|core, now| core.closed(now, key));
                }
            }
            if outlet.last.borrow().is_some() {
                return Ok(());
            }
            self.give_out(key, socket, &mut stalled_since)?;
            let reads = reading == Reading::On && !self.is_backlogged(patience);
            let stalls_at = stalled_since.map(|since| since + patience.write);
            tokio::select! {
                ready = socket.ready(reads, socket.has_unsent()) => {
                    ready?;
                    may_have_input = reads;
                }
                () = outlet.wake.notified() => {}
                () = self.room_on_disk(patience), if reading == Reading::On && !reads => {
                    may_have_input = true;
                }
                () = until(stalls_at) => {
                    let end = End::new(DisconnectReason::Throttled, ReasonCode::QuotaExceeded);
                    let end = end.because("the client reads too slowly");
                    self.with(|core, now| core.cut(now, key, end));
                }
            }
        }
    }

    /// Hands what has come to the core; false when the peer sends no more.
    fn take_in(
        &self,
        key: Key<Connection>,
        socket: &mut TlsSocket,
        buffer: &mut BytesMut,
        reading: &mut Reading,
        patience: Patience,
    ) -> io::Result<bool> {
        let mut more = true;
        if *reading == Reading::On {
            if self.is_backlogged(patience) {
                return Ok(true);
            }
            more = socket.read(buffer)? != Incoming::End;
        }
        if !buffer.is_empty() {
            *reading = self.with(|core, now| core.received(now, key, buffer));
        }
        if buffer.is_empty() {
            // An idle connection owns no buffer.
            *buffer = BytesMut::new();
        }
        Ok(more)
    }

    /// Writes what the core has for the client, as far as the socket takes it.
    fn give_out(
        &self,
        key: Key<Connection>,
        socket: &mut TlsSocket,
        stalled_since: &mut Option<Instant>,
    ) -> io::Result<()> {
        loop {
            if socket.takes_more() {
                let output = self.core.borrow_mut().take_output(key);
                socket.push(output);
            }
            if !socket.has_unsent() {
                *stalled_since = None;
                return Ok(());
            }
            let progress = socket.write()?;
            if progress {
                *stalled_since = None;
            }
            if socket.has_unsent() {
                stalled_since.get_or_insert_with(Instant::now);
                return Ok(());
            }
        }
    }

    fn is_backlogged(&self, patience: Patience) -> bool {
        patience.store_backlog_max <= self.core.borrow().store_backlog()
    }

    /// Waits until the disk has caught up.
    async fn room_on_disk(&self, patience: Patience) {
        let mut persisted = self.persisted.subscribe();
        while self.is_backlogged(patience) {
            if persisted.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Writes the last bytes and closes.
async fn take_leave(socket: &mut TlsSocket, last: BytesMut) -> io::Result<()> {
    socket.push(last);
    let mut said_so = false;
    loop {
        socket.write()?;
        if !socket.has_unsent() {
            if said_so {
                return Ok(());
            }
            socket.close();
            said_so = true;
            continue;
        }
        socket.ready(false, true).await?;
    }
}
