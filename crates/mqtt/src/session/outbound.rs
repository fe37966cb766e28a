//! The sending side of QoS 1 and 2: packet ids, the window, what to send again.
//!
//! ```text
//!                        PUBACK
//!   QoS 1  AwaitingPubAck ─────▶ done
//!
//!                        PUBREC                  PUBCOMP
//!   QoS 2  AwaitingPubRec ─────▶ AwaitingPubComp ─────▶ done
//!                 │    (send PUBREL)
//!                 └─ PUBREC with an error ─▶ done
//!
//!   new connection: AwaitingPubAck, AwaitingPubRec ─▶ send PUBLISH again, DUP = 1
//!                   AwaitingPubComp                ─▶ send PUBREL again
//! ```
//!
//! A message is held until the receiver has it, and in the order in which it
//! was first sent. `M` is whatever the caller can send it again from.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU16;

use super::SessionError;
use crate::packet::{Ack, QoS, ReasonCode};

/// What is in flight to the peer.
#[derive(Clone, Debug)]
pub struct Outbound<M> {
    /// The peer's Receive Maximum.
    window: NonZeroU16,
    /// Messages sent on this connection that still take up the window.
    in_window: usize,
    /// The packet id to try next.
    next_id: NonZeroU16,
    /// Counts messages, to keep their order.
    next_order: u64,
    in_flight: HashMap<NonZeroU16, Entry<M>, BuildHasherDefault<IdHasher>>,
    /// What this connection has not repeated yet, in order.
    to_resend: VecDeque<NonZeroU16>,
}

#[derive(Clone, Debug)]
struct Entry<M> {
    order: u64,
    /// Whether its PUBLISH went out on this connection.
    in_window: bool,
    stage: Stage<M>,
}

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage<M> {
    /// QoS 1, sent.
    AwaitingPubAck(M),
    /// QoS 2, sent.
    AwaitingPubRec(M),
    /// QoS 2, received; the message itself is no longer needed.
    AwaitingPubComp,
}

/// What to send again after a reconnect.
#[derive(Debug, PartialEq, Eq)]
pub enum Resend<'a, M> {
    /// PUBLISH with DUP set.
    Publish {
        /// Under the same id as before.
        packet_id: NonZeroU16,
        /// The QoS it was first sent at.
        qos: QoS,
        /// The message.
        message: &'a M,
    },
    /// PUBREL.
    PubRel(Ack),
}

/// What a PUBREC leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct PubRecAnswer<M> {
    /// The message, if this PUBREC is the first word about it: received, or
    /// refused if the PUBREC was an error.
    pub message: Option<M>,
    /// The PUBREL to send, if any.
    pub pubrel: Option<Ack>,
}

/// An [`Outbound`] at rest, to be stored between connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundState<M> {
    /// The packet id to try next.
    pub next_id: NonZeroU16,
    /// In the order of first sending.
    pub in_flight: Vec<InFlight<M>>,
}

/// One message in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight<M> {
    /// Its packet id.
    pub packet_id: NonZeroU16,
    /// How far it has come.
    pub stage: Stage<M>,
}

impl<M> Outbound<M> {
    /// Nothing in flight; `window` is the peer's Receive Maximum, or what we
    /// allow if that is less.
    pub fn new(window: NonZeroU16) -> Self {
        Self::from_parts(
            OutboundState {
                next_id: NonZeroU16::MIN,
                in_flight: Vec::new(),
            },
            window,
        )
    }

    /// A stored session on a new connection: everything is to be sent again.
    ///
    /// Of two messages with one packet id the later is kept.
    pub fn from_parts(state: OutboundState<M>, window: NonZeroU16) -> Self {
        let mut outbound = Self {
            window,
            in_window: 0,
            next_id: state.next_id,
            next_order: 0,
            in_flight: HashMap::default(),
            to_resend: VecDeque::new(),
        };
        for InFlight { packet_id, stage } in state.in_flight {
            let order = outbound.take_order();
            outbound.in_flight.insert(
                packet_id,
                Entry {
                    order,
                    in_window: false,
                    stage,
                },
            );
        }
        outbound.reconnect(window);
        outbound
    }

    /// What to store.
    pub fn into_parts(self) -> OutboundState<M> {
        let mut entries: Vec<_> = self.in_flight.into_iter().collect();
        entries.sort_unstable_by_key(|(_, entry)| entry.order);
        let in_flight = entries
            .into_iter()
            .map(|(packet_id, entry)| InFlight {
                packet_id,
                stage: entry.stage,
            })
            .collect();
        OutboundState {
            next_id: self.next_id,
            in_flight,
        }
    }

    /// The session goes on over a new connection: everything is to be sent
    /// again, within the new window.
    // spec mqtt5 [MQTT-4.4.0-1], [MQTT-4.6.0-1]; spec mqtt311 [MQTT-4.4.0-1], [MQTT-4.6.0-1]
    // spec aws-iot [MQ-36]
    pub fn reconnect(&mut self, window: NonZeroU16) {
        self.window = window;
        self.in_window = 0;
        let mut order: Vec<_> = self
            .in_flight
            .iter_mut()
            .map(|(&packet_id, entry)| {
                entry.in_window = false;
                (entry.order, packet_id)
            })
            .collect();
        order.sort_unstable();
        self.to_resend = order.into_iter().map(|(_, packet_id)| packet_id).collect();
    }

    /// What to send again next; `None` when all is sent, or the window is full
    /// until the peer acknowledges something.
    pub fn next_resend(&mut self) -> Option<Resend<'_, M>> {
        while let Some(&packet_id) = self.to_resend.front() {
            match self.in_flight.get(&packet_id).map(|entry| &entry.stage) {
                // Acknowledged since.
                None => {
                    self.to_resend.pop_front();
                }
                // spec mqtt5 [4.9]: PUBREL needs no room in the window.
                Some(Stage::AwaitingPubAck(_) | Stage::AwaitingPubRec(_))
                    if !self.window_has_room() =>
                {
                    return None;
                }
                Some(_) => {
                    self.to_resend.pop_front();
                    return self.resend(packet_id);
                }
            }
        }
        None
    }

    fn resend(&mut self, packet_id: NonZeroU16) -> Option<Resend<'_, M>> {
        let entry = self.in_flight.get_mut(&packet_id)?;
        let (qos, message) = match &entry.stage {
            Stage::AwaitingPubAck(message) => (QoS::AtLeastOnce, message),
            Stage::AwaitingPubRec(message) => (QoS::ExactlyOnce, message),
            // spec mqtt5 [MQTT-4.3.3-7]
            Stage::AwaitingPubComp => return Some(Resend::PubRel(Ack::success(packet_id))),
        };
        entry.in_window = true;
        self.in_window = self.in_window.saturating_add(1);
        Some(Resend::Publish {
            packet_id,
            qos,
            message,
        })
    }

    /// Whether another message may be sent now: all is sent again, the window
    /// has room, and the peer does not leave too many exchanges open.
    // spec mqtt5 [MQTT-3.3.4-7], [MQTT-4.9.0-2]
    pub fn has_room(&self) -> bool {
        self.to_resend.is_empty()
            && self.window_has_room()
            && self.in_flight.len() < self.in_flight_max()
    }

    fn window_has_room(&self) -> bool {
        self.in_window < usize::from(self.window.get())
    }

    /// Over several connections more can be in flight than the window: QoS 2
    /// exchanges that the peer never completes. Twice the window is what a peer
    /// that completes them can reach; and there must be a free packet id.
    fn in_flight_max(&self) -> usize {
        usize::from(self.window.get())
            .saturating_mul(2)
            .min(usize::from(u16::MAX))
    }

    /// Takes a QoS 1 message into flight; returns the packet id to send it
    /// under, or the message if there is no room.
    ///
    /// # Errors
    ///
    /// The message, when [`Self::has_room`] is false.
    pub fn send_at_least_once(&mut self, message: M) -> Result<NonZeroU16, M> {
        self.send(message, Stage::AwaitingPubAck)
    }

    /// Takes a QoS 2 message into flight; returns the packet id to send it
    /// under, or the message if there is no room.
    ///
    /// # Errors
    ///
    /// The message, when [`Self::has_room`] is false.
    pub fn send_exactly_once(&mut self, message: M) -> Result<NonZeroU16, M> {
        self.send(message, Stage::AwaitingPubRec)
    }

    fn send(&mut self, message: M, stage: fn(M) -> Stage<M>) -> Result<NonZeroU16, M> {
        if !self.has_room() {
            return Err(message);
        }
        let packet_id = self.take_packet_id();
        let order = self.take_order();
        self.in_flight.insert(
            packet_id,
            Entry {
                order,
                in_window: true,
                stage: stage(message),
            },
        );
        self.in_window = self.in_window.saturating_add(1);
        Ok(packet_id)
    }

    // spec mqtt5 [MQTT-2.2.1-4]: an id that is not in use. `has_room` has seen
    // that there is one.
    // spec mqtt5 [MQTT-4.3.2-1], [MQTT-4.3.3-1]; spec mqtt311 [MQTT-2.3.1-4]
    fn take_packet_id(&mut self) -> NonZeroU16 {
        let after = |id: NonZeroU16| id.checked_add(1).unwrap_or(NonZeroU16::MIN);
        let mut packet_id = self.next_id;
        while self.in_flight.contains_key(&packet_id) {
            packet_id = after(packet_id);
        }
        self.next_id = after(packet_id);
        packet_id
    }

    fn take_order(&mut self) -> u64 {
        let order = self.next_order;
        self.next_order = order.wrapping_add(1);
        order
    }

    /// PUBACK came in, whatever its reason: the exchange is over. Returns the
    /// message; `None` if no message has this id.
    ///
    /// # Errors
    ///
    /// When the message with this id is of QoS 2.
    // spec mqtt5 [MQTT-4.3.2-3], [MQTT-4.4.0-2]
    pub fn puback(&mut self, packet_id: NonZeroU16) -> Result<Option<M>, SessionError> {
        match self.in_flight.get(&packet_id).map(|entry| &entry.stage) {
            None => Ok(None),
            Some(Stage::AwaitingPubAck(_)) => Ok(self.finish(packet_id)),
            Some(_) => Err(wrong("PUBACK", packet_id)),
        }
    }

    /// PUBREC came in.
    ///
    /// # Errors
    ///
    /// When the message with this id is of QoS 1.
    // spec mqtt5 [MQTT-4.3.3-3], [MQTT-4.3.3-4], [MQTT-4.4.0-2]
    pub fn pubrec(
        &mut self,
        packet_id: NonZeroU16,
        reason: ReasonCode,
    ) -> Result<PubRecAnswer<M>, SessionError> {
        let pubrel = Some(Ack::success(packet_id));
        let Some(entry) = self.in_flight.get_mut(&packet_id) else {
            // A receiver that waits for PUBREL must get one.
            let unknown = Ack::with_reason(packet_id, ReasonCode::PacketIdentifierNotFound);
            let pubrel = (!reason.is_error()).then_some(unknown);
            return Ok(PubRecAnswer {
                message: None,
                pubrel,
            });
        };
        match &entry.stage {
            Stage::AwaitingPubAck(_) => Err(wrong("PUBREC", packet_id)),
            Stage::AwaitingPubRec(_) if reason.is_error() => Ok(PubRecAnswer {
                message: self.finish(packet_id),
                pubrel: None,
            }),
            Stage::AwaitingPubRec(_) => {
                let message =
                    into_message(std::mem::replace(&mut entry.stage, Stage::AwaitingPubComp));
                Ok(PubRecAnswer { message, pubrel })
            }
            Stage::AwaitingPubComp if reason.is_error() => {
                self.finish(packet_id);
                Ok(PubRecAnswer {
                    message: None,
                    pubrel: None,
                })
            }
            Stage::AwaitingPubComp => Ok(PubRecAnswer {
                message: None,
                pubrel,
            }),
        }
    }

    /// PUBCOMP came in, whatever its reason: the exchange is over. Returns
    /// whether there was one.
    ///
    /// # Errors
    ///
    /// When the message with this id is of QoS 1, or not yet received.
    // spec mqtt5 [MQTT-4.3.3-6]
    pub fn pubcomp(&mut self, packet_id: NonZeroU16) -> Result<bool, SessionError> {
        match self.in_flight.get(&packet_id).map(|entry| &entry.stage) {
            None => Ok(false),
            Some(Stage::AwaitingPubComp) => {
                self.finish(packet_id);
                Ok(true)
            }
            Some(_) => Err(wrong("PUBCOMP", packet_id)),
        }
    }

    fn finish(&mut self, packet_id: NonZeroU16) -> Option<M> {
        let entry = self.in_flight.remove(&packet_id)?;
        if self.in_flight.is_empty() && IDLE_CAPACITY_MAX < self.in_flight.capacity() {
            self.in_flight = HashMap::default();
        }
        if entry.in_window {
            self.in_window = self.in_window.saturating_sub(1);
        }
        into_message(entry.stage)
    }

    /// How many messages the peer takes unacknowledged.
    pub fn window(&self) -> u16 {
        self.window.get()
    }

    /// How many messages are in flight.
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }
}

/// Room for messages that an idle session keeps.
const IDLE_CAPACITY_MAX: usize = 16;

/// Packet ids are counted up by us, so that their low bits tell them apart.
#[derive(Clone, Copy, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u16(u16::from(*byte));
        }
    }

    fn write_u16(&mut self, id: u16) {
        // The table also looks at the highest bits.
        self.0 = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn into_message<M>(stage: Stage<M>) -> Option<M> {
    match stage {
        Stage::AwaitingPubAck(message) | Stage::AwaitingPubRec(message) => Some(message),
        Stage::AwaitingPubComp => None,
    }
}

fn wrong(packet: &'static str, packet_id: NonZeroU16) -> SessionError {
    SessionError::WrongExchange {
        packet,
        packet_id: packet_id.get(),
    }
}
