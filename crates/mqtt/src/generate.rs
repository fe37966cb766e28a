//! Packets for tests: strategies that make valid ones, and the check that holds
//! for any bytes at all. For the tests of this crate, of those above it, and for
//! the fuzz targets; no part of the product.

mod check;

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

pub use check::{check_decode, check_topics, limits};

use crate::packet::*;
use crate::topic::{TopicLimits, TopicName};

/// Any valid packet that `sender` may send in `version`.
pub fn packet(version: Version, sender: Sender) -> BoxedStrategy<Packet> {
    let both = prop_oneof![
        4 => publish(version, sender).prop_map(Packet::Publish),
        1 => ack(version, sender, PacketType::PubAck).prop_map(Packet::PubAck),
        1 => ack(version, sender, PacketType::PubRec).prop_map(Packet::PubRec),
        1 => ack(version, sender, PacketType::PubRel).prop_map(Packet::PubRel),
        1 => ack(version, sender, PacketType::PubComp).prop_map(Packet::PubComp),
    ];
    let own = match sender {
        Sender::Client => prop_oneof![
            connect(version).prop_map(|connect| Packet::Connect(Box::new(connect))),
            subscribe(version).prop_map(Packet::Subscribe),
            unsubscribe(version).prop_map(Packet::Unsubscribe),
            Just(Packet::PingReq),
            disconnect(version, sender).prop_map(Packet::Disconnect),
        ]
        .boxed(),
        Sender::Server => prop_oneof![
            connack(version).prop_map(|connack| Packet::ConnAck(Box::new(connack))),
            suback(version).prop_map(Packet::SubAck),
            unsuback(version).prop_map(Packet::UnsubAck),
            Just(Packet::PingResp),
        ]
        .boxed(),
    };
    match (version, sender) {
        (Version::V311, _) => prop_oneof![both, own].boxed(),
        (Version::V5, Sender::Client) => {
            prop_oneof![4 => both, 4 => own, 1 => auth(sender).prop_map(Packet::Auth)].boxed()
        }
        (Version::V5, Sender::Server) => prop_oneof![
            4 => both,
            4 => own,
            1 => auth(sender).prop_map(Packet::Auth),
            1 => disconnect(version, sender).prop_map(Packet::Disconnect),
        ]
        .boxed(),
    }
}

/// Text as MQTT permits it: any character but U+0000.
pub fn text() -> impl Strategy<Value = String> {
    "[a-c/+#$ é€𝄞\u{1}]{0,8}"
}

/// A topic name of few letters, so that names meet.
pub fn topic() -> impl Strategy<Value = TopicName> {
    "[$ab/é]{1,12}".prop_filter_map("a topic name", |text| {
        TopicName::parse(&text, &TopicLimits::STANDARD).ok()
    })
}

fn binary() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn secret() -> impl Strategy<Value = Secret> {
    binary().prop_map(Secret::new)
}

fn packet_id() -> impl Strategy<Value = NonZeroU16> {
    any::<NonZeroU16>()
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![
        Just(QoS::AtMostOnce),
        Just(QoS::AtLeastOnce),
        Just(QoS::ExactlyOnce)
    ]
}

fn user_properties() -> impl Strategy<Value = UserProperties> {
    vec((text(), text()), 0..4)
}

fn payload_format() -> impl Strategy<Value = PayloadFormat> {
    prop_oneof![Just(PayloadFormat::Unspecified), Just(PayloadFormat::Utf8)]
}

fn identifier() -> impl Strategy<Value = SubscriptionIdentifier> {
    (1..=SubscriptionIdentifier::MAX).prop_filter_map("not zero", SubscriptionIdentifier::new)
}

/// What only version 5 has.
fn only_v5<T: Clone + Default + std::fmt::Debug + 'static>(
    version: Version,
    properties: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    match version {
        Version::V311 => Just(T::default()).boxed(),
        Version::V5 => prop_oneof![1 => Just(T::default()), 3 => properties].boxed(),
    }
}

fn reason(packet: PacketType, sender: Sender) -> BoxedStrategy<ReasonCode> {
    let legal: Vec<_> = ReasonCode::ALL
        .into_iter()
        .filter(|code| code.legal_in(packet, sender))
        .collect();
    proptest::sample::select(legal).boxed()
}

/// Any CONNECT of `version`.
pub fn connect(version: Version) -> impl Strategy<Value = Connect> {
    let who = (text(), of(text()), of(secret()));
    let how = (any::<bool>(), any::<u16>(), of(will(version)));
    (who, how, only_v5(version, connect_properties())).prop_map(move |(who, how, properties)| {
        let (client_id, username, password) = who;
        let (clean_start, keep_alive_s, will) = how;
        let permitted = version == Version::V5 || username.is_some();
        let password = password.filter(|_| permitted);
        Connect {
            version,
            client_id,
            clean_start,
            keep_alive_s,
            will,
            username,
            password,
            properties,
        }
    })
}

fn connect_properties() -> impl Strategy<Value = ConnectProperties> {
    (
        (
            of(any::<u32>()),
            of(any::<NonZeroU16>()),
            of(any::<NonZeroU32>()),
            of(any::<u16>()),
        ),
        (of(any::<bool>()), of(any::<bool>()), user_properties()),
        of((text(), of(secret()))),
    )
        .prop_map(|(numbers, requests, authentication)| {
            let (session_expiry_s, receive_maximum, packet_bytes_max, topic_alias_maximum) =
                numbers;
            let (request_response_information, request_problem_information, user_properties) =
                requests;
            let (authentication_method, authentication_data) = authentication.unzip();
            ConnectProperties {
                session_expiry_s,
                receive_maximum,
                packet_bytes_max,
                topic_alias_maximum,
                request_response_information,
                request_problem_information,
                user_properties,
                authentication_method,
                authentication_data: authentication_data.flatten(),
            }
        })
}

fn will(version: Version) -> impl Strategy<Value = Will> {
    let properties = (
        (
            of(any::<u32>()),
            of(payload_format()),
            of(any::<u32>()),
            of(text()),
        ),
        (of(topic()), of(binary()), user_properties()),
    )
        .prop_map(|(first, second)| {
            let (delay_s, payload_format, message_expiry_s, content_type) = first;
            let (response_topic, correlation_data, user_properties) = second;
            WillProperties {
                delay_s,
                payload_format,
                message_expiry_s,
                content_type,
                response_topic,
                correlation_data,
                user_properties,
            }
        });
    (
        topic(),
        binary(),
        qos(),
        any::<bool>(),
        only_v5(version, properties),
    )
        .prop_map(|(topic, payload, qos, retain, properties)| Will {
            topic,
            payload,
            qos,
            retain,
            properties,
        })
}

fn connack(version: Version) -> impl Strategy<Value = ConnAck> {
    let reason = match version {
        Version::V5 => reason(PacketType::ConnAck, Sender::Server),
        Version::V311 => (0_u8..6)
            .prop_filter_map("known", ReasonCode::from_connack_v311)
            .boxed(),
    };
    (
        any::<bool>(),
        reason,
        only_v5(version, connack_properties()),
    )
        .prop_map(|(stored, reason, properties)| ConnAck {
            session_present: stored && !reason.is_error(),
            reason,
            properties,
        })
}

fn connack_properties() -> impl Strategy<Value = ConnAckProperties> {
    let maximum_qos = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)];
    let flag = || of(any::<bool>());
    (
        (
            of(any::<u32>()),
            of(any::<NonZeroU16>()),
            of(maximum_qos),
            of(any::<NonZeroU32>()),
        ),
        (flag(), flag(), flag(), flag()),
        (
            of(text()),
            of(any::<u16>()),
            of(text()),
            user_properties(),
            of(any::<u16>()),
        ),
        (of(text()), of(text()), of(text()), of(secret())),
    )
        .prop_map(|(limits, available, session, other)| ConnAckProperties {
            session_expiry_s: limits.0,
            receive_maximum: limits.1,
            maximum_qos: limits.2,
            packet_bytes_max: limits.3,
            retain_available: available.0,
            wildcard_subscription_available: available.1,
            subscription_identifiers_available: available.2,
            shared_subscription_available: available.3,
            assigned_client_id: session.0,
            topic_alias_maximum: session.1,
            reason_string: session.2,
            user_properties: session.3,
            server_keep_alive_s: session.4,
            response_information: other.0,
            server_reference: other.1,
            authentication_method: other.2,
            authentication_data: other.3,
        })
}

/// Any PUBLISH that `sender` may send in `version`.
pub fn publish(version: Version, sender: Sender) -> impl Strategy<Value = Publish> {
    let properties = only_v5(version, publish_properties(sender));
    let flags = (any::<bool>(), qos(), any::<bool>(), any::<bool>());
    (flags, topic(), packet_id(), properties, binary()).prop_map(
        |((dup, qos, retain, by_alias), topic, packet_id, properties, payload)| {
            let has_id = qos != QoS::AtMostOnce;
            Publish {
                dup: dup && has_id,
                qos,
                retain,
                topic: Some(topic).filter(|_| !(by_alias && properties.topic_alias.is_some())),
                packet_id: Some(packet_id).filter(|_| has_id),
                properties,
                payload,
            }
        },
    )
}

fn publish_properties(sender: Sender) -> impl Strategy<Value = PublishProperties> {
    let identifiers_max = if sender == Sender::Server { 3 } else { 0 };
    (
        (
            of(payload_format()),
            of(any::<u32>()),
            of(any::<NonZeroU16>()),
            of(topic()),
        ),
        (
            of(binary()),
            user_properties(),
            vec(identifier(), 0..=identifiers_max),
            of(text()),
        ),
    )
        .prop_map(|(first, second)| {
            let (payload_format, message_expiry_s, topic_alias, response_topic) = first;
            let (correlation_data, user_properties, subscription_identifiers, content_type) =
                second;
            PublishProperties {
                payload_format,
                message_expiry_s,
                topic_alias,
                response_topic,
                correlation_data,
                user_properties,
                subscription_identifiers,
                content_type,
            }
        })
}

fn ack_properties(version: Version) -> BoxedStrategy<AckProperties> {
    let properties =
        (of(text()), user_properties()).prop_map(|(reason_string, user)| AckProperties {
            reason_string,
            user_properties: user,
        });
    only_v5(version, properties)
}

fn ack(version: Version, sender: Sender, packet: PacketType) -> impl Strategy<Value = Ack> {
    (
        packet_id(),
        only_v5(version, reason(packet, sender)),
        ack_properties(version),
    )
        .prop_map(|(packet_id, reason, properties)| Ack {
            packet_id,
            reason,
            properties,
        })
}

fn subscribe(version: Version) -> impl Strategy<Value = Subscribe> {
    let properties =
        (of(identifier()), user_properties()).prop_map(|(identifier, user)| SubscribeProperties {
            subscription_identifier: identifier,
            user_properties: user,
        });
    (
        packet_id(),
        vec(request(version), 1..4),
        only_v5(version, properties),
    )
        .prop_map(|(packet_id, filters, properties)| Subscribe {
            packet_id,
            filters,
            properties,
        })
}

fn request(version: Version) -> impl Strategy<Value = SubscriptionRequest> {
    let handling = prop_oneof![
        Just(RetainHandling::Send),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::DoNotSend),
    ];
    let options = only_v5(version, (any::<bool>(), any::<bool>(), handling));
    (text(), qos(), options).prop_map(|(filter, qos, options)| {
        let (no_local, retain_as_published, retain_handling) = options;
        SubscriptionRequest {
            filter,
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        }
    })
}

fn suback(version: Version) -> impl Strategy<Value = SubAck> {
    let code = match version {
        Version::V5 => reason(PacketType::SubAck, Sender::Server),
        Version::V311 => proptest::sample::select(vec![0_u8, 1, 2, 0x80])
            .prop_filter_map("known", ReasonCode::from_suback_v311)
            .boxed(),
    };
    (packet_id(), vec(code, 1..4), ack_properties(version)).prop_map(
        |(packet_id, reasons, properties)| SubAck {
            packet_id,
            reasons,
            properties,
        },
    )
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Unsubscribe> {
    let properties = user_properties().prop_map(|user| UnsubscribeProperties {
        user_properties: user,
    });
    (packet_id(), vec(text(), 1..4), only_v5(version, properties)).prop_map(
        |(packet_id, filters, properties)| Unsubscribe {
            packet_id,
            filters,
            properties,
        },
    )
}

fn unsuback(version: Version) -> impl Strategy<Value = UnsubAck> {
    let reasons = match version {
        Version::V5 => vec(reason(PacketType::UnsubAck, Sender::Server), 1..4).boxed(),
        Version::V311 => Just(Vec::new()).boxed(),
    };
    (packet_id(), reasons, ack_properties(version)).prop_map(|(packet_id, reasons, properties)| {
        UnsubAck {
            packet_id,
            reasons,
            properties,
        }
    })
}

fn disconnect(version: Version, sender: Sender) -> impl Strategy<Value = Disconnect> {
    let properties = (of(any::<u32>()), of(text()), user_properties(), of(text())).prop_map(
        move |(expiry, reason_string, user_properties, reference)| DisconnectProperties {
            session_expiry_s: expiry.filter(|_| sender == Sender::Client),
            reason_string,
            user_properties,
            server_reference: reference.filter(|_| sender == Sender::Server),
        },
    );
    let reason = only_v5(version, reason(PacketType::Disconnect, sender));
    (reason, only_v5(version, properties))
        .prop_map(|(reason, properties)| Disconnect { reason, properties })
}

fn auth(sender: Sender) -> impl Strategy<Value = Auth> {
    (
        reason(PacketType::Auth, sender),
        text(),
        of(secret()),
        of(text()),
        user_properties(),
    )
        .prop_map(
            |(reason, method, authentication_data, reason_string, user_properties)| Auth {
                reason,
                properties: AuthProperties {
                    authentication_method: Some(method),
                    authentication_data,
                    reason_string,
                    user_properties,
                },
            },
        )
}
