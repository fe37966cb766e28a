//! MQTT 3.1.1 as the load generator speaks it: written by hand, so that the bytes are not those of
//! the codec under measurement and cost next to nothing.

use anyhow::{Result, bail, ensure};

/// DISCONNECT, whole.
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];
/// Bytes of the longest fixed header.
const HEADER_MAX: usize = 5;

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    ConnAck { code: u8 },
    SubAck { code: u8 },
    PubAck { id: u16 },
    Publish(Publish<'a>),
    Other(u8),
}

/// A PUBLISH from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Publish<'a> {
    pub(crate) topic: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) id: u16,
    pub(crate) payload: &'a [u8],
}

/// The first packet in `bytes` and its length; `None` when it is not whole yet.
///
/// # Errors
/// When it is none.
pub(crate) fn next(bytes: &[u8]) -> Result<Option<(Incoming<'_>, usize)>> {
    let Some((body_len, header_len)) = remaining_length(bytes)? else {
        return Ok(None);
    };
    let whole = header_len + body_len;
    if bytes.len() < whole {
        return Ok(None);
    }
    let first = bytes[0];
    let body = &bytes[header_len..whole];
    let incoming = match first >> 4 {
        2 => {
            ensure!(body.len() == 2, "a CONNACK of {} bytes", body.len());
            Incoming::ConnAck { code: body[1] }
        }
        3 => Incoming::Publish(publish_of(first, body)?),
        4 => {
            ensure!(body.len() == 2, "a PUBACK of {} bytes", body.len());
            Incoming::PubAck { id: number(body) }
        }
        9 => {
            ensure!(body.len() == 3, "a SUBACK of {} bytes", body.len());
            Incoming::SubAck { code: body[2] }
        }
        kind => Incoming::Other(kind),
    };
    Ok(Some((incoming, whole)))
}

fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut len = 0;
    for (index, byte) in bytes.iter().enumerate().take(HEADER_MAX).skip(1) {
        len |= usize::from(byte & 0x7F) << (7 * (index - 1));
        if byte & 0x80 == 0 {
            return Ok(Some((len, index + 1)));
        }
    }
    if HEADER_MAX <= bytes.len() {
        bail!("a remaining length of more than four bytes");
    }
    Ok(None)
}

fn publish_of(first: u8, body: &[u8]) -> Result<Publish<'_>> {
    let qos = (first >> 1) & 3;
    ensure!(2 <= body.len(), "a PUBLISH without a topic");
    let topic_end = 2 + usize::from(number(body));
    let id_len = if qos == 0 { 0 } else { 2 };
    ensure!(topic_end + id_len <= body.len(), "a PUBLISH cut short");
    Ok(Publish {
        topic: &body[2..topic_end],
        qos,
        id: if qos == 0 {
            0
        } else {
            number(&body[topic_end..])
        },
        payload: &body[topic_end + id_len..],
    })
}

fn number(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// CONNECT; `clean` ends the session with the connection.
pub(crate) fn connect(out: &mut Vec<u8>, client_id: &str, clean: bool, keep_alive_s: u16) {
    header(out, 0x10, 12 + client_id.len());
    text(out, "MQTT");
    out.extend_from_slice(&[4, if clean { 0x02 } else { 0 }]);
    out.extend_from_slice(&keep_alive_s.to_be_bytes());
    text(out, client_id);
}

/// SUBSCRIBE to one filter.
pub(crate) fn subscribe(out: &mut Vec<u8>, id: u16, filter: &str, qos: u8) {
    header(out, 0x82, 5 + filter.len());
    out.extend_from_slice(&id.to_be_bytes());
    text(out, filter);
    out.push(qos);
}

/// PUBLISH; `id` is left out at QoS 0.
pub(crate) fn publish(out: &mut Vec<u8>, topic: &str, qos: u8, id: u16, payload: &[u8]) {
    let id_len = if qos == 0 { 0 } else { 2 };
    header(
        out,
        0x30 | (qos << 1),
        2 + topic.len() + id_len + payload.len(),
    );
    text(out, topic);
    if qos != 0 {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(payload);
}

/// PUBACK.
pub(crate) fn puback(out: &mut Vec<u8>, id: u16) {
    out.extend_from_slice(&[0x40, 2]);
    out.extend_from_slice(&id.to_be_bytes());
}

fn header(out: &mut Vec<u8>, first: u8, body_len: usize) {
    out.push(first);
    let mut rest = body_len;
    loop {
        let low = u8::try_from(rest & 0x7F).unwrap_or_default();
        rest >>= 7;
        out.push(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            return;
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_read_as_written_and_not_before_it_is_whole() {
        for (qos, payload_len) in [(0, 0), (0, 128), (1, 128), (1, 20_000)] {
            let payload = vec![7; payload_len];
            let mut bytes = Vec::new();
            publish(&mut bytes, "t/p0/d", qos, 513, &payload);
            for cut in 0..bytes.len().min(200) {
                assert!(next(&bytes[..cut]).expect("no fault").is_none());
            }
            let len = bytes.len();
            bytes.push(0x40);
            let (packet, used) = next(&bytes).expect("legal").expect("whole");
            let expected = Publish {
                topic: b"t/p0/d",
                qos,
                id: if qos == 0 { 0 } else { 513 },
                payload: &payload,
            };
            assert_eq!((packet, used), (Incoming::Publish(expected), len));
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let cases: [(&[u8], Incoming<'_>); 4] = [
            (&[0x20, 2, 0, 5], Incoming::ConnAck { code: 5 }),
            (&[0x40, 2, 1, 2], Incoming::PubAck { id: 258 }),
            (&[0x90, 3, 0, 1, 0x80], Incoming::SubAck { code: 0x80 }),
            (&[0xD0, 0], Incoming::Other(13)),
        ];
        for (bytes, expected) in cases {
            let (packet, used) = next(bytes).expect("legal").expect("whole");
            assert_eq!((packet, used), (expected, bytes.len()));
        }
        assert!(next(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
        assert!(next(&[0x30, 3, 0, 9, 1]).is_err());
    }
}
