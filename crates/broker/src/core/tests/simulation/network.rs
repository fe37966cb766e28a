//! The network between a client and the broker: slow, in pieces, and cut anywhere.

use bytes::BytesMut;

use super::super::*;

/// One connection as both ends and what is between them.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: usize,
    /// At the broker; gone once it has closed the connection.
    pub(super) end: Option<Client>,
    pub(super) version: Version,
    pub(super) clean: bool,
    pub(super) expiry_s: u32,
    pub(super) will: Option<u32>,
    /// CONNACK has left the broker.
    pub(super) accepted: bool,
    /// DISCONNECT has left the client.
    pub(super) polite: bool,
    /// Nothing passes any more.
    pub(super) cut: bool,
    /// On the way to the broker; there, but not dealt with; on the way to the client; there, but
    /// not whole.
    pub(super) up: BytesMut,
    pub(super) arrived: BytesMut,
    pub(super) down: BytesMut,
    pub(super) heard: BytesMut,
    /// What the broker has written, as far as it was looked at.
    pub(super) monitored: BytesMut,
    pub(super) up_moves: bool,
    pub(super) down_moves: bool,
}

impl Link {
    pub(super) fn new(client: usize, end: Client, clean: bool, expiry_s: u32) -> Self {
        Self {
            client,
            end: Some(end),
            version: end.version(),
            clean,
            expiry_s,
            will: None,
            accepted: false,
            polite: false,
            cut: false,
            up: BytesMut::new(),
            arrived: BytesMut::new(),
            down: BytesMut::new(),
            heard: BytesMut::new(),
            monitored: BytesMut::new(),
            up_moves: false,
            down_moves: false,
        }
    }

    /// Whole packets at the start of what the server has sent.
    pub(super) fn packets(version: Version, bytes: &mut BytesMut) -> Vec<Packet> {
        let limits = mqtt::Limits {
            sender: Sender::Server,
            ..mqtt::Limits::STANDARD
        };
        let mut packets = Vec::new();
        while let Some(packet) =
            mqtt::decode_from(bytes, version, &limits).expect("the broker sends valid packets")
        {
            packets.push(packet);
        }
        packets
    }
}

/// Numbers that follow from a seed.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    // SplitMix64, Steele and others 2014.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`.
    pub(super) fn below(&mut self, count: u64) -> u64 {
        self.next() % count.max(1)
    }

    /// True once in `count` times.
    pub(super) fn once_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    /// As much of `length` as arrives together.
    pub(super) fn part(&mut self, length: usize) -> usize {
        if self.once_in(3) {
            1 + usize::try_from(self.below(length as u64)).expect("a length")
        } else {
            length
        }
        .min(length)
    }
}
