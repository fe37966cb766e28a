//! A broker that is wrong once, on purpose: the generator must see it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::load::message::{Message, PAYLOAD};
use crate::load::wire;

/// The delivery that goes wrong.
const NTH: u64 = 100;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Drop,
    Repeat,
    Reorder,
    Payload,
    Topic,
    /// A message that nobody has sent, in place of one that somebody has.
    Invented,
    /// Delivered at QoS 0 though granted QoS 1.
    Quality,
    ForgetAcknowledgement,
    AcknowledgeTwice,
    HangUp,
}

pub(super) struct Toy {
    pub(super) address: SocketAddrV4,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    subscribers: Vec<Subscriber>,
    deliveries: u64,
    publishes: u64,
}

struct Subscriber {
    filter: String,
    qos: u8,
    socket: TcpStream,
    next_id: u16,
    /// A message that waits for the next of this publisher to overtake it.
    held: Option<(u32, Vec<u8>)>,
}

impl Toy {
    /// Serves `clients` connections and ends with the last of them.
    pub(super) fn start(clients: usize, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let SocketAddr::V4(address) = listener.local_addr().expect("bound") else {
            panic!("bound to IPv4");
        };
        let accepting = std::thread::spawn(move || {
            let state = Arc::new(Mutex::new(State::default()));
            let serve = |_| {
                let (socket, _) = listener.accept().expect("a client");
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(socket, &state, fault))
            };
            let serving: Vec<_> = (0..clients).map(serve).collect();
            for thread in serving {
                thread.join().expect("served");
            }
        });
        Self { address, accepting }
    }

    pub(super) fn end(self) {
        self.accepting.join().expect("ended");
    }
}

fn serve(mut socket: TcpStream, state: &Mutex<State>, fault: Fault) {
    while let Some((first, body)) = packet(&mut socket) {
        match first >> 4 {
            1 => answer(&mut socket, &[0x20, 2, 0, 0]),
            8 => {
                let (id, filter, qos) =
                    (&body[..2], &body[4..body.len() - 1], body[body.len() - 1]);
                let mut state = state.lock().expect("whole");
                answer(&mut socket, &[0x90, 3, id[0], id[1], qos]);
                state.subscribers.push(Subscriber {
                    filter: String::from_utf8(filter.to_vec()).expect("text"),
                    qos,
                    socket: socket.try_clone().expect("a handle"),
                    next_id: 1,
                    held: None,
                });
            }
            3 => {
                let mut state = state.lock().expect("whole");
                if !publish(&mut state, &mut socket, first, &body, fault) {
                    // The generator notices, and must not wait for the others.
                    let _ = socket.shutdown(std::net::Shutdown::Both);
                    return;
                }
            }
            4 => {}
            _ => return,
        }
    }
}

/// Acknowledges and delivers; false when the connection is to end.
fn publish(
    state: &mut State,
    socket: &mut TcpStream,
    first: u8,
    body: &[u8],
    fault: Fault,
) -> bool {
    let qos = (first >> 1) & 3;
    let topic_end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = std::str::from_utf8(&body[2..topic_end]).expect("text");
    let rest = &body[topic_end..];
    let payload = if qos == 0 { rest } else { &rest[2..] };
    state.publishes += 1;
    let wrong = state.publishes == NTH;
    if wrong && fault == Fault::HangUp {
        return false;
    }
    if qos == 1 && !(wrong && fault == Fault::ForgetAcknowledgement) {
        let times = if wrong && fault == Fault::AcknowledgeTwice {
            2
        } else {
            1
        };
        answer(socket, &[0x40, 2, rest[0], rest[1]].repeat(times));
    }
    let mut subscribers = std::mem::take(&mut state.subscribers);
    for subscriber in &mut subscribers {
        if subscriber.filter == "t/+/d" || subscriber.filter == topic {
            state.deliveries += 1;
            let wrong = state.deliveries == NTH;
            let fault = if wrong { fault } else { Fault::None };
            deliver(subscriber, topic, payload, fault);
        }
    }
    state.subscribers = subscribers;
    true
}

fn deliver(to: &mut Subscriber, topic: &str, payload: &[u8], fault: Fault) {
    let mut payload = payload.to_vec();
    let sent = Message::read(&payload).expect("as it was sent");
    let (mut topic, mut qos, mut times) = (topic, to.qos, 1);
    match fault {
        Fault::Drop => return,
        Fault::Repeat => times = 2,
        Fault::Payload => payload[77] ^= 4,
        Fault::Topic => topic = "t/elsewhere/d",
        Fault::Quality => qos = 0,
        Fault::Invented => {
            let sequence = sent.sequence + 1_000_000;
            let invented: &mut [u8; PAYLOAD] = payload[..].as_mut().try_into().expect("its size");
            Message { sequence, ..sent }.write(invented);
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    for _ in 0..times {
        wire::publish(&mut bytes, topic, qos, to.next_id, &payload);
        to.next_id = to.next_id % u16::MAX + 1;
    }
    if fault == Fault::Reorder {
        to.held = Some((sent.publisher, bytes));
        return;
    }
    if let Some((_, held)) = to
        .held
        .take_if(|(publisher, _)| *publisher == sent.publisher)
    {
        bytes.extend(held);
    }
    answer(&mut to.socket, &bytes);
}

fn answer(socket: &mut TcpStream, bytes: &[u8]) {
    // Whoever left meanwhile misses it.
    let _ = socket.write_all(bytes);
}

fn packet(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    socket.read_exact(&mut byte).ok()?;
    let first = byte[0];
    let mut len = 0;
    for shift in [0, 7, 14, 21] {
        socket.read_exact(&mut byte).ok()?;
        len |= usize::from(byte[0] & 0x7F) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; len];
    socket.read_exact(&mut body).ok()?;
    Some((first, body))
}
