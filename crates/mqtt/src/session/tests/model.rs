//! The session against slow and obvious lists, under any sequence of events,
//! also those that no honest peer causes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Send(bool),
    PubAck(u16),
    PubRec(u16, bool),
    PubComp(u16),
    Reconnect(u16),
    Restart(u16),
    Resend,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let known_id = proptest::sample::select(vec![65_533, 65_534, 65_535, 1, 2, 3, 4]);
    let event = prop_oneof![
        6 => any::<bool>().prop_map(Event::Send),
        4 => known_id.clone().prop_map(Event::PubAck),
        4 => (known_id.clone(), any::<bool>()).prop_map(|(id, ok)| Event::PubRec(id, ok)),
        3 => known_id.prop_map(Event::PubComp),
        1 => (1_u16..5).prop_map(Event::Reconnect),
        1 => (1_u16..5).prop_map(Event::Restart),
        3 => Just(Event::Resend),
    ];
    proptest::collection::vec(event, 0..80)
}

/// What is in flight, in order: packet id, QoS 2 or not, the message if it is
/// still needed, whether its PUBLISH is out on this connection.
#[derive(Clone, Debug)]
struct Open {
    packet_id: u16,
    twice: bool,
    message: Option<u32>,
    published_here: bool,
}

proptest! {
    #[test]
    fn outbound_agrees_with_a_list(events in events()) {
        let mut window = 4;
        // Near the end of the ids, so that order is not that of the ids.
        let mut outbound = near_the_last_id(window);
        let mut list: Vec<Open> = Vec::new();
        let mut unsent: Vec<u16> = Vec::new();
        let mut message = 0;
        for event in events {
            match event {
                Event::Send(twice) => {
                    let room = outbound.has_room();
                    let sent = if twice {
                        outbound.send_exactly_once(message)
                    } else {
                        outbound.send_at_least_once(message)
                    };
                    prop_assert_eq!(sent.is_ok(), room);
                    let Ok(packet_id) = sent.map(NonZeroU16::get) else { continue };
                    prop_assert!(list.iter().all(|open| open.packet_id != packet_id));
                    prop_assert!(unsent.is_empty());
                    let (message_now, published_here) = (Some(message), true);
                    list.push(Open { packet_id, twice, message: message_now, published_here });
                    message += 1;
                }
                Event::PubAck(number) => {
                    let at = list.iter().position(|open| open.packet_id == number);
                    let expected = match at.map(|at| list[at].twice) {
                        None => Ok(None),
                        Some(true) => Err(()),
                        Some(false) => Ok(list.remove(at.unwrap()).message),
                    };
                    prop_assert_eq!(outbound.puback(id(number)).map_err(|_| ()), expected);
                }
                Event::PubRec(number, ok) => {
                    let reason = if ok { ReasonCode::Success } else { ReasonCode::QuotaExceeded };
                    let found = outbound.pubrec(id(number), reason);
                    let Some(at) = list.iter().position(|open| open.packet_id == number) else {
                        let answer = found.unwrap();
                        prop_assert_eq!((answer.message, answer.pubrel.is_some()), (None, ok));
                        continue;
                    };
                    if !list[at].twice {
                        prop_assert!(found.is_err());
                        continue;
                    }
                    let message = list[at].message.take();
                    let pubrel = ok.then(|| Ack::success(id(number)));
                    prop_assert_eq!(found, Ok(PubRecAnswer { message, pubrel }));
                    if !ok {
                        list.remove(at);
                    }
                }
                Event::PubComp(number) => {
                    let at = list.iter().position(|open| open.packet_id == number);
                    let expected = match at {
                        None => Ok(false),
                        Some(at) if list[at].message.is_some() => Err(()),
                        Some(at) => {
                            list.remove(at);
                            Ok(true)
                        }
                    };
                    prop_assert_eq!(outbound.pubcomp(id(number)).map_err(|_| ()), expected);
                }
                Event::Reconnect(new) | Event::Restart(new) => {
                    window = new;
                    if matches!(event, Event::Restart(_)) {
                        outbound = Outbound::from_parts(outbound.into_parts(), id(window));
                    } else {
                        outbound.reconnect(id(window));
                    }
                    list.iter_mut().for_each(|open| open.published_here = false);
                    unsent = list.iter().map(|open| open.packet_id).collect();
                }
                Event::Resend => loop {
                    unsent.retain(|number| list.iter().any(|open| open.packet_id == *number));
                    let here = list.iter().filter(|open| open.published_here).count();
                    let next = unsent.first().copied();
                    let open = list.iter_mut().find(|open| Some(open.packet_id) == next);
                    let expected = match open {
                        None => None,
                        Some(Open { packet_id, message: None, .. }) => Some((*packet_id, None)),
                        Some(_) if here >= usize::from(window) => None,
                        Some(open) => {
                            open.published_here = true;
                            Some((open.packet_id, open.message))
                        }
                    };
                    let found = outbound.next_resend().map(|resend| match resend {
                        Resend::Publish { packet_id, message, .. } => {
                            (packet_id.get(), Some(*message))
                        }
                        Resend::PubRel(ack) => (ack.packet_id.get(), None),
                    });
                    prop_assert_eq!(found, expected);
                    if found.is_none() {
                        break;
                    }
                    unsent.remove(0);
                },
            }
            unsent.retain(|number| list.iter().any(|open| open.packet_id == *number));
            let here = list.iter().filter(|open| open.published_here).count();
            prop_assert!(here <= usize::from(window), "{} over {}", here, window);
            prop_assert_eq!(outbound.len(), list.len());
        }
        let state = outbound.into_parts();
        let stored: Vec<_> = state.in_flight.iter().map(|open| open.packet_id.get()).collect();
        let expected: Vec<_> = list.iter().map(|open| open.packet_id).collect();
        prop_assert_eq!(stored, expected);
    }

    /// Acknowledgements keep the order of arrival, one for each message that
    /// was to be routed; a QoS 2 message taken is never routed again before its
    /// PUBREL; the maximum holds.
    #[test]
    fn inbound_agrees_with_a_list(
        events in proptest::collection::vec((0_u8..8, 1_u16..5, any::<bool>()), 0..80),
    ) {
        let maximum = 3;
        let mut inbound = Inbound::new(id(maximum), 0);
        // Arrivals of this connection without an acknowledgement: ticket, id, QoS.
        let mut waiting: Vec<(Ticket, u16, QoS)> = Vec::new();
        let mut answered: BTreeMap<usize, ReasonCode> = BTreeMap::new();
        let mut numbers: Vec<Ticket> = Vec::new();
        let mut taken: Vec<u16> = Vec::new();
        for (kind, number, ok) in events {
            match kind {
                0..=3 => {
                    let qos = if kind < 2 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                    let had_room = inbound.has_room();
                    match inbound.publish(&mut publish(qos, Some(number))) {
                        Ok(Received::New(ticket)) => {
                            prop_assert!(had_room);
                            prop_assert!(qos == QoS::AtLeastOnce || !taken.contains(&number));
                            waiting.push((ticket.unwrap(), number, qos));
                            numbers.push(ticket.unwrap());
                        }
                        Ok(Received::Repeat(ack)) => {
                            prop_assert_eq!(ack, Ack::success(id(number)));
                            prop_assert!(qos == QoS::ExactlyOnce && taken.contains(&number));
                        }
                        Ok(Received::Pending) => prop_assert!(qos == QoS::ExactlyOnce),
                        Err(SessionError::ReceiveMaximumExceeded { .. }) => {
                            prop_assert!(!had_room);
                        }
                        Err(_) => prop_assert!(qos == QoS::AtLeastOnce),
                    }
                }
                4 | 5 if !waiting.is_empty() => {
                    let (ticket, packet_id, qos) = waiting[usize::from(number) % waiting.len()];
                    let at = numbers.iter().position(|known| *known == ticket).unwrap();
                    let reason = if ok { ReasonCode::Success } else { ReasonCode::NotAuthorized };
                    inbound.answer(ticket, reason, AckProperties::default());
                    if answered.insert(at, *answered.get(&at).unwrap_or(&reason)).is_none()
                        && ok
                        && qos == QoS::ExactlyOnce
                    {
                        taken.push(packet_id);
                    }
                }
                6 => while let Some(packet) = inbound.next_ack() {
                    let (ticket, packet_id, qos) = waiting.remove(0);
                    let at = numbers.iter().position(|known| *known == ticket).unwrap();
                    let ack = Ack::with_reason(id(packet_id), answered[&at]);
                    let expected = match qos {
                        QoS::AtLeastOnce => Packet::PubAck(ack),
                        _ => Packet::PubRec(ack),
                    };
                    prop_assert_eq!(packet, expected);
                },
                7 => match inbound.release(id(number)) {
                    Ok(ack) => {
                        let known = taken.contains(&number);
                        prop_assert_eq!(ack.reason == ReasonCode::Success, known);
                        taken.retain(|open| *open != number);
                    }
                    Err(_) => prop_assert!(!taken.contains(&number)),
                },
                _ => (),
            }
            prop_assert!(waiting.len() <= usize::from(maximum));
        }
        let mut stored: Vec<_> =
            inbound.into_parts().received.into_iter().map(NonZeroU16::get).collect();
        stored.sort_unstable();
        taken.sort_unstable();
        prop_assert_eq!(stored, taken);
    }
}
