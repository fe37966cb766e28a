//! When the disk does not follow: whoever would add to what waits for it is not read until it does,
//! everybody else is. So a full disk holds up what has to survive, and nothing else.
//!
//! What is not asked for here (acknowledgements, the end of connections) adds a bounded number of
//! ops for each connection.

use mqtt::Version;
use mqtt::packet::PacketType;

use super::arena::Key;
use super::connection::Connection;
use super::{Core, Now};

impl Core {
    /// Whether a packet of `key` that begins with `first` is left unread for now.
    pub(super) fn waits_for_disk(&mut self, key: Key<Connection>, first: u8) -> bool {
        if self.journal.awaited() < self.settings.limits.store_backlog_max || !adds(first) {
            return false;
        }
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.waits_for_disk
        {
            connection.waits_for_disk = true;
            self.behind_disk.push(key);
        }
        true
    }

    /// Has those read on who waited, once the disk follows.
    pub(super) fn read_on_behind_disk(&mut self, now: Now) {
        if self.behind_disk.is_empty()
            || self.settings.limits.store_backlog_max <= self.journal.awaited()
        {
            return;
        }
        for key in std::mem::take(&mut self.behind_disk) {
            let Some(connection) = self.connections.get_mut(key) else {
                continue;
            };
            connection.waits_for_disk = false;
            if let Some(serving) = connection.serving_mut() {
                serving.keep_alive.heard(now.instant);
            }
            if !connection.announced {
                connection.announced = true;
                self.announced.push(key);
            }
        }
    }

    /// Whether `key` is not read because of the disk: it is not silent then.
    pub(super) fn is_held_by_disk(&self, key: Key<Connection>) -> bool {
        let Some(connection) = self.connections.get(key) else {
            return false;
        };
        let Some(serving) = connection.serving() else {
            return connection.waits_for_disk;
        };
        // A 3.1.1 client whose window is full is not read either, its pings included.
        let owed = self.sessions.get(serving.session).is_some_and(|session| {
            session.version == Version::V311
                && session.inbound.owes()
                && !session.inbound.has_room()
        });
        connection.waits_for_disk || !serving.welcomed || owed
    }
}

/// Whether a packet may have to be stored: all but a plain QoS 0 message, acknowledgements, a ping
/// and DISCONNECT.
fn adds(first: u8) -> bool {
    const QOS_AND_RETAIN: u8 = 0b0000_0111;
    let publishes = first >> 4 == PacketType::Publish as u8 && first & QOS_AND_RETAIN != 0;
    let asks = [
        PacketType::Connect,
        PacketType::Subscribe,
        PacketType::Unsubscribe,
    ];
    publishes || asks.iter().any(|kind| first >> 4 == *kind as u8)
}
