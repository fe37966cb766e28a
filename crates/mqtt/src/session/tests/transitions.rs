//! Every state with every event, printed for people to read: the state, the
//! event, what is left in flight, the effect.

use super::*;

fn compare(found: &str, expected: &str) {
    let tidy = |text: &str| -> Vec<String> {
        text.trim()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    };
    assert_eq!(tidy(found), tidy(expected), "\n{found}");
}

#[test]
fn outbound() {
    let mut table = String::new();
    let states = [
        "unknown",
        "AwaitingPubAck",
        "AwaitingPubRec",
        "AwaitingPubComp",
    ];
    for state in states {
        for event in ["PUBACK", "PUBREC", "PUBREC error", "PUBCOMP", "reconnect"] {
            let mut outbound = Outbound::new(id(10));
            match state {
                "AwaitingPubAck" => drop(outbound.send_at_least_once(5)),
                "AwaitingPubRec" => drop(outbound.send_exactly_once(5)),
                "AwaitingPubComp" => {
                    outbound.send_exactly_once(5).unwrap();
                    outbound.pubrec(id(1), ReasonCode::Success).unwrap();
                }
                _ => (),
            }
            let effect = match event {
                "PUBACK" => outbound.puback(id(1)).map(|message| format!("{message:?}")),
                "PUBREC" => outbound.pubrec(id(1), ReasonCode::Success).map(show),
                "PUBREC error" => outbound.pubrec(id(1), ReasonCode::QuotaExceeded).map(show),
                "PUBCOMP" => outbound.pubcomp(id(1)).map(|known| format!("{known}")),
                _ => {
                    outbound.reconnect(id(10));
                    Ok(resent(&mut outbound).join(", "))
                }
            };
            let effect = effect.unwrap_or_else(refusal);
            let next = match outbound
                .into_parts()
                .in_flight
                .pop()
                .map(|entry| entry.stage)
            {
                None => "unknown",
                Some(Stage::AwaitingPubAck(_)) => "AwaitingPubAck",
                Some(Stage::AwaitingPubRec(_)) => "AwaitingPubRec",
                Some(Stage::AwaitingPubComp) => "AwaitingPubComp",
            };
            table.push_str(&format!("{state} | {event} | {next} | {effect}\n"));
        }
    }
    compare(&table, OUTBOUND);
}

fn refusal(error: SessionError) -> String {
    format!("DISCONNECT {:02x}", error.reason_code().byte())
}

fn show(answer: PubRecAnswer<u32>) -> String {
    let pubrel = answer
        .pubrel
        .map(|ack| format!("PUBREL {:02x}", ack.reason.byte()));
    format!("{:?}, {}", answer.message, pubrel.unwrap_or_default())
}

const OUTBOUND: &str = "
    unknown | PUBACK | unknown | None
    unknown | PUBREC | unknown | None, PUBREL 92
    unknown | PUBREC error | unknown | None,
    unknown | PUBCOMP | unknown | false
    unknown | reconnect | unknown |
    AwaitingPubAck | PUBACK | unknown | Some(5)
    AwaitingPubAck | PUBREC | AwaitingPubAck | DISCONNECT 82
    AwaitingPubAck | PUBREC error | AwaitingPubAck | DISCONNECT 82
    AwaitingPubAck | PUBCOMP | AwaitingPubAck | DISCONNECT 82
    AwaitingPubAck | reconnect | AwaitingPubAck | PUBLISH 1 QoS 1 = 5
    AwaitingPubRec | PUBACK | AwaitingPubRec | DISCONNECT 82
    AwaitingPubRec | PUBREC | AwaitingPubComp | Some(5), PUBREL 00
    AwaitingPubRec | PUBREC error | unknown | Some(5),
    AwaitingPubRec | PUBCOMP | AwaitingPubRec | DISCONNECT 82
    AwaitingPubRec | reconnect | AwaitingPubRec | PUBLISH 1 QoS 2 = 5
    AwaitingPubComp | PUBACK | AwaitingPubComp | DISCONNECT 82
    AwaitingPubComp | PUBREC | AwaitingPubComp | None, PUBREL 00
    AwaitingPubComp | PUBREC error | unknown | None,
    AwaitingPubComp | PUBCOMP | unknown | true
    AwaitingPubComp | reconnect | AwaitingPubComp | PUBREL 1
";

#[test]
fn inbound() {
    let mut table = String::new();
    for state in ["unknown", "Unanswered", "Undecided", "Received"] {
        for event in [
            "PUBLISH QoS 1",
            "PUBLISH QoS 2",
            "PUBREL",
            "answer",
            "answer error",
        ] {
            let mut inbound = Inbound::new(id(10), 0);
            let open = match state {
                "unknown" => None,
                "Unanswered" => Some(ticket(&mut inbound, QoS::AtLeastOnce, 1)),
                _ => Some(ticket(&mut inbound, QoS::ExactlyOnce, 1)),
            };
            let answer = |inbound: &mut Inbound, reason| {
                if let Some(open) = open {
                    inbound.answer(open, reason, AckProperties::default());
                }
                acks(inbound).join(", ")
            };
            if state == "Received" {
                answer(&mut inbound, ReasonCode::Success);
            }
            let effect = match event {
                "PUBLISH QoS 1" => received(&mut inbound, QoS::AtLeastOnce),
                "PUBLISH QoS 2" => received(&mut inbound, QoS::ExactlyOnce),
                "PUBREL" => inbound
                    .release(id(1))
                    .map(|ack| format!("PUBCOMP {:02x}", ack.reason.byte())),
                "answer" => Ok(answer(&mut inbound, ReasonCode::Success)),
                _ => Ok(answer(&mut inbound, ReasonCode::QuotaExceeded)),
            };
            let effect = effect.unwrap_or_else(refusal);
            let open = inbound.exchanges();
            table.push_str(&format!("{state} | {event} | {open} open | {effect}\n"));
        }
    }
    compare(&table, INBOUND);
}

fn received(inbound: &mut Inbound, qos: QoS) -> Result<String, SessionError> {
    let received = inbound.publish(&mut publish(qos, Some(1)))?;
    Ok(match received {
        Received::New(_) => "route".to_owned(),
        Received::Pending => "wait".to_owned(),
        Received::Repeat(ack) => format!("PUBREC {:02x}", ack.reason.byte()),
    })
}

const INBOUND: &str = "
    unknown | PUBLISH QoS 1 | 0 open | route
    unknown | PUBLISH QoS 2 | 1 open | route
    unknown | PUBREL | 0 open | PUBCOMP 92
    unknown | answer | 0 open |
    unknown | answer error | 0 open |
    Unanswered | PUBLISH QoS 1 | 0 open | route
    Unanswered | PUBLISH QoS 2 | 1 open | route
    Unanswered | PUBREL | 0 open | PUBCOMP 92
    Unanswered | answer | 0 open | PUBACK 1 00
    Unanswered | answer error | 0 open | PUBACK 1 97
    Undecided | PUBLISH QoS 1 | 1 open | DISCONNECT 82
    Undecided | PUBLISH QoS 2 | 1 open | wait
    Undecided | PUBREL | 1 open | DISCONNECT 82
    Undecided | answer | 1 open | PUBREC 1 00
    Undecided | answer error | 0 open | PUBREC 1 97
    Received | PUBLISH QoS 1 | 1 open | DISCONNECT 82
    Received | PUBLISH QoS 2 | 1 open | PUBREC 00
    Received | PUBREL | 0 open | PUBCOMP 00
    Received | answer | 1 open |
    Received | answer error | 1 open |
";
