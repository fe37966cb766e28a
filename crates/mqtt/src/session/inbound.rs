//! The receiving side of QoS 1 and 2: what is a repeat, what may be said when.
//!
//! ```text
//!                     answer         next_ack
//!   QoS 1  Unanswered ──────▶ Answered ─────▶ PUBACK, done
//!
//!                     answer          next_ack                       release
//!   QoS 2  Undecided ───────▶ Received ─────▶ PUBREC, still Received ─────▶ PUBCOMP
//!              └─ answer with an error, next_ack ─▶ PUBREC with the error, done
//!
//!   PUBLISH again, same id:  Undecided ─▶ nothing to do (its PUBREC will come)
//!                            Received  ─▶ PUBREC again, do not route
//! ```
//!
//! A message is answered when whoever must have it has it, which may be out of
//! order and after the connection is gone. Acknowledgements leave in the order
//! in which the messages came, so an early answer waits for the ones before it.
//!
//! QoS 2 state outlives the connection, the rest does not: a client repeats what
//! was not acknowledged, and QoS 1 may then arrive twice.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU16;

use super::{InboundAliases, SessionError};
use crate::packet::{Ack, AckProperties, Packet, Publish, QoS, ReasonCode};

/// QoS 2 exchanges that may be open in any case, so that a lower maximum after
/// a restart does not strand a session that was filled under a higher one.
const EXCHANGES_MAX: usize = 1024;

/// What the peer has sent and we have not finished with.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The Receive Maximum that we announced.
    receive_maximum: NonZeroU16,
    aliases: InboundAliases,
    next_number: u64,
    /// Of this connection, in order of arrival; never more than the maximum.
    unacknowledged: VecDeque<Unacknowledged>,
    /// QoS 2 exchanges that are open.
    exactly_once: BTreeMap<NonZeroU16, Exchange>,
    /// Those of them whose PUBREC went out on this connection.
    recorded_here: usize,
}

#[derive(Clone, Debug)]
struct Unacknowledged {
    ticket: Ticket,
    answer: Option<(ReasonCode, AckProperties)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchange {
    /// Being routed, under this ticket.
    Undecided(Ticket),
    /// Taken; never to be routed again until PUBREL.
    Received {
        /// Whether its PUBREC went out on this connection.
        recorded_here: bool,
    },
}

/// Stands for one message that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    number: u64,
    packet_id: NonZeroU16,
    qos: QoS,
}

/// What to do with a PUBLISH.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Route it, then call [`Inbound::answer`] with the ticket; QoS 0 has none.
    New(Option<Ticket>),
    /// A repeat of a message that is being routed. Do nothing: it will be
    /// acknowledged when that one is answered.
    Pending,
    /// A repeat of a message that was taken. Send this PUBREC, do not route.
    Repeat(Ack),
}

/// The QoS 2 exchanges of an [`Inbound`], to be stored between connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundState {
    /// Packet ids of messages that were taken and not yet released. A message
    /// without an answer is not among them: if it is lost with this process, it
    /// has to be sent again.
    pub received: Vec<NonZeroU16>,
}

impl Inbound {
    /// A new session on a new connection; the maxima are what we announced.
    pub fn new(receive_maximum: NonZeroU16, topic_alias_maximum: u16) -> Self {
        Self::from_parts(
            InboundState::default(),
            receive_maximum,
            topic_alias_maximum,
        )
    }

    /// A stored session on a new connection; the maxima are what we announced.
    pub fn from_parts(
        state: InboundState,
        receive_maximum: NonZeroU16,
        topic_alias_maximum: u16,
    ) -> Self {
        let received = Exchange::Received {
            recorded_here: false,
        };
        Self {
            receive_maximum,
            aliases: InboundAliases::new(topic_alias_maximum),
            next_number: 0,
            unacknowledged: VecDeque::new(),
            exactly_once: state
                .received
                .into_iter()
                .map(|id| (id, received))
                .collect(),
            recorded_here: 0,
        }
    }

    /// What to store.
    pub fn into_parts(self) -> InboundState {
        let is_received = |exchange: &Exchange| matches!(exchange, Exchange::Received { .. });
        let open = self.exactly_once.into_iter();
        let received = open
            .filter(|(_, exchange)| is_received(exchange))
            .map(|(id, _)| id);
        InboundState {
            received: received.collect(),
        }
    }

    /// The session goes on over a new connection. Tickets of QoS 2 messages
    /// stay good, those of QoS 1 are forgotten.
    pub fn reconnect(&mut self, receive_maximum: NonZeroU16, topic_alias_maximum: u16) {
        self.receive_maximum = receive_maximum;
        self.aliases = InboundAliases::new(topic_alias_maximum);
        self.unacknowledged.clear();
        self.recorded_here = 0;
        for exchange in self.exactly_once.values_mut() {
            if let Exchange::Received { recorded_here } = exchange {
                *recorded_here = false;
            }
        }
    }

    /// Whether one more QoS 1 or 2 message may come in.
    ///
    /// A 3.1.1 client has not been told the maximum: while this is false and we
    /// [owe](Self::owes) it an answer, leave what it publishes unread.
    // spec aws-iot [MQ-34]
    pub fn has_room(&self) -> bool {
        let in_flight = self.unacknowledged.len().saturating_add(self.recorded_here);
        in_flight < usize::from(self.receive_maximum.get())
    }

    /// Whether a message waits for us to acknowledge it. Where none does, only
    /// the peer's PUBREL can make room.
    pub fn owes(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    /// PUBLISH came in. Its topic alias, if any, is replaced by the topic.
    ///
    /// # Errors
    ///
    /// On a bad alias, on a message over the maximum, on a QoS 1 message with
    /// the packet id of an open QoS 2 exchange.
    pub fn publish(&mut self, publish: &mut Publish) -> Result<Received, SessionError> {
        self.aliases.resolve(publish)?;
        let Some(packet_id) = publish.packet_id.filter(|_| publish.qos != QoS::AtMostOnce) else {
            return Ok(Received::New(None));
        };
        let known = self.exactly_once.get(&packet_id).copied();
        match (publish.qos, known) {
            // A client that uses an id again before its PUBACK gets one PUBACK
            // for each: at least once, and no more is promised.
            (_, None) => self.take_new(packet_id, publish.qos),
            (QoS::ExactlyOnce, Some(exchange)) => self.take_repeat(packet_id, exchange),
            (_, Some(_)) => {
                let packet_id = packet_id.get();
                Err(SessionError::WrongExchange {
                    packet: "PUBLISH",
                    packet_id,
                })
            }
        }
    }

    fn take_new(&mut self, packet_id: NonZeroU16, qos: QoS) -> Result<Received, SessionError> {
        self.check_room()?;
        let ticket = Ticket {
            number: self.next_number,
            packet_id,
            qos,
        };
        if qos == QoS::ExactlyOnce {
            let max = self.exchanges_max();
            if max <= self.exactly_once.len() {
                return Err(SessionError::TooManyUnfinished { max });
            }
            self.exactly_once
                .insert(packet_id, Exchange::Undecided(ticket));
        }
        self.next_number = self.next_number.wrapping_add(1);
        self.unacknowledged.push_back(Unacknowledged {
            ticket,
            answer: None,
        });
        Ok(Received::New(Some(ticket)))
    }

    // spec mqtt5 [MQTT-4.3.3-10]: until PUBREL, a repeat is answered, not routed.
    fn take_repeat(
        &mut self,
        packet_id: NonZeroU16,
        exchange: Exchange,
    ) -> Result<Received, SessionError> {
        match exchange {
            Exchange::Undecided(ticket) => {
                if !self
                    .unacknowledged
                    .iter()
                    .any(|waiting| waiting.ticket == ticket)
                {
                    self.check_room()?;
                    self.unacknowledged.push_back(Unacknowledged {
                        ticket,
                        answer: None,
                    });
                }
                Ok(Received::Pending)
            }
            Exchange::Received { .. } => {
                if self
                    .unacknowledged
                    .iter()
                    .any(|waiting| waiting.ticket.is_for(packet_id))
                {
                    return Ok(Received::Pending);
                }
                if exchange
                    == (Exchange::Received {
                        recorded_here: false,
                    })
                {
                    self.check_room()?;
                    self.record(packet_id);
                }
                Ok(Received::Repeat(Ack::success(packet_id)))
            }
        }
    }

    /// A client that completes its exchanges can have two maxima of them open:
    /// one of this connection, one left from the connection before.
    fn exchanges_max(&self) -> usize {
        usize::from(self.receive_maximum.get())
            .saturating_mul(2)
            .max(EXCHANGES_MAX)
    }

    // spec mqtt5 [MQTT-3.3.4-8], [MQTT-3.3.4-9]; spec aws-iot [MQ-34]
    fn check_room(&self) -> Result<(), SessionError> {
        if self.has_room() {
            Ok(())
        } else {
            Err(SessionError::ReceiveMaximumExceeded {
                max: self.receive_maximum.get(),
            })
        }
    }

    /// Says what became of a message: an error, or a success if whoever must
    /// have it has it. Then ask [`Self::next_ack`].
    ///
    /// Does nothing for a ticket that is answered, or of a QoS 1 message of an
    /// earlier connection.
    // spec aws-iot [MQ-33]
    pub fn answer(&mut self, ticket: Ticket, reason: ReasonCode, properties: AckProperties) {
        if ticket.qos == QoS::ExactlyOnce {
            let undecided = Some(&Exchange::Undecided(ticket));
            if self.exactly_once.get(&ticket.packet_id) != undecided {
                return;
            }
            if reason.is_error() {
                self.exactly_once.remove(&ticket.packet_id);
            } else {
                let received = Exchange::Received {
                    recorded_here: false,
                };
                self.exactly_once.insert(ticket.packet_id, received);
            }
        }
        let waiting = self
            .unacknowledged
            .iter_mut()
            .find(|waiting| waiting.ticket == ticket);
        if let Some(waiting) = waiting
            && waiting.answer.is_none()
        {
            waiting.answer = Some((reason, properties));
        }
    }

    /// The next PUBACK or PUBREC to send; `None` while the oldest message has
    /// no answer.
    // spec mqtt5 [MQTT-4.6.0-2], [MQTT-4.6.0-3]; spec mqtt311 [MQTT-4.6.0-2], [MQTT-4.6.0-3]
    // spec mqtt5 [MQTT-2.2.1-5], [MQTT-4.3.2-4], [MQTT-4.3.2-5], [MQTT-4.3.3-8], [MQTT-4.3.3-9]
    // spec mqtt311 [MQTT-2.3.1-6], [MQTT-4.3.2-2], [MQTT-4.3.3-2]
    pub fn next_ack(&mut self) -> Option<Packet> {
        self.unacknowledged.front()?.answer.as_ref()?;
        let Unacknowledged { ticket, answer } = self.unacknowledged.pop_front()?;
        let (reason, properties) = answer?;
        let ack = Ack {
            packet_id: ticket.packet_id,
            reason,
            properties,
        };
        if ticket.qos != QoS::ExactlyOnce {
            return Some(Packet::PubAck(ack));
        }
        if !reason.is_error() {
            self.record(ticket.packet_id);
        }
        Some(Packet::PubRec(ack))
    }

    /// The PUBREC of a message goes out on this connection.
    fn record(&mut self, packet_id: NonZeroU16) {
        if let Some(Exchange::Received { recorded_here }) = self.exactly_once.get_mut(&packet_id)
            && !*recorded_here
        {
            *recorded_here = true;
            self.recorded_here = self.recorded_here.saturating_add(1);
        }
    }

    /// PUBREL came in: the packet id is free again. Returns the PUBCOMP to send.
    ///
    /// # Errors
    ///
    /// When the message has not been acknowledged yet.
    // spec mqtt5 [MQTT-4.3.3-11], [MQTT-4.3.3-12]
    pub fn release(&mut self, packet_id: NonZeroU16) -> Result<Ack, SessionError> {
        match self.exactly_once.get(&packet_id) {
            None => Ok(Ack::with_reason(
                packet_id,
                ReasonCode::PacketIdentifierNotFound,
            )),
            Some(Exchange::Undecided(_)) => {
                let packet_id = packet_id.get();
                Err(SessionError::WrongExchange {
                    packet: "PUBREL",
                    packet_id,
                })
            }
            Some(&Exchange::Received { recorded_here }) => {
                self.exactly_once.remove(&packet_id);
                if recorded_here {
                    self.recorded_here = self.recorded_here.saturating_sub(1);
                }
                Ok(Ack::success(packet_id))
            }
        }
    }

    /// How many QoS 2 exchanges are open.
    pub fn exchanges(&self) -> usize {
        self.exactly_once.len()
    }
}

impl Ticket {
    fn is_for(self, packet_id: NonZeroU16) -> bool {
        self.qos == QoS::ExactlyOnce && self.packet_id == packet_id
    }
}
