//! A session against a client whose records are made by hand once the handshake is done.

use std::io::Read as _;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use model::{Clock, SystemClock};
use pki::authority::{SanName, ServerAuthority, Validity};
use pki::tls::{
    ClientCertMode, ClientSettings, SecurityPolicy, ServerIdentity, ServerSettings, client_config,
    server_config,
};
use rustls::{ClientConnection, ConnectionTrafficSecrets};

use super::*;

const APPLICATION_DATA: u8 = 23;
const HANDSHAKE: u8 = 22;
/// KeyUpdate that asks for none in return.
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

/// Writes records as the client would.
struct Forger {
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
}

impl Forger {
    fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut inner = content.to_vec();
        inner.push(kind);
        let len = u16::try_from(inner.len() + AES_128_GCM.tag_len()).unwrap();
        let mut record = vec![APPLICATION_DATA, 3, 3];
        record.extend(len.to_be_bytes());
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.iv);
        for (byte, of) in nonce
            .iter_mut()
            .rev()
            .zip(self.sequence.to_be_bytes().iter().rev())
        {
            *byte ^= of;
        }
        self.sequence += 1;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let header = Aad::from(record.clone());
        self.key
            .seal_in_place_append_tag(nonce, header, &mut inner)
            .unwrap();
        record.extend(inner);
        record
    }
}

/// A session whose handshake is done, and who can speak to it.
fn shaken() -> (Session, Forger) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let names = vec![SanName::parse("localhost").unwrap()];
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let validity = Validity::lasting(clock.now(), day).unwrap();
    let authority = ServerAuthority::create("test", &names, validity).unwrap();
    let issued = authority.issue_server(&names, validity).unwrap();
    let mut server = Session::new(
        server_config(ServerSettings {
            identity: ServerIdentity::issued(&issued).unwrap(),
            names,
            accept_any_sni: false,
            client: ClientCertMode::None,
            policy: SecurityPolicy::Tls13,
            alpn: Vec::new(),
            clock: Arc::clone(&clock),
        })
        .unwrap(),
    )
    .unwrap();
    let config = client_config(ClientSettings {
        roots_pem: &authority.certificate().pem(),
        identity: None,
        send_sni: true,
        policy: SecurityPolicy::Tls13,
        alpn: Vec::new(),
        clock,
    });
    let mut config = rustls::ClientConfig::clone(&config.unwrap());
    config.enable_secret_extraction = true;
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let (mut plain, mut outgoing) = (BytesMut::new(), Vec::new());
    loop {
        let mut incoming = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut incoming).unwrap();
        }
        let (progress, done) = server
            .receive(&mut incoming, &mut plain, &mut outgoing)
            .unwrap();
        assert_eq!(done, incoming.len());
        let mut answer = outgoing.as_slice();
        while !answer.is_empty() {
            client.read_tls(&mut answer).unwrap();
            client.process_new_packets().unwrap();
        }
        outgoing.clear();
        if progress == Progress::Open {
            break;
        }
    }
    assert!(client.reader().read(&mut [0]).is_err(), "nothing was said");
    let (sequence, secrets) = client.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
        panic!("AES-128-GCM is what the server prefers");
    };
    let key = UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap();
    let forger = Forger {
        key: LessSafeKey::new(key),
        iv: iv.as_ref().to_vec(),
        sequence,
    };
    (server, forger)
}

fn hear(server: &mut Session, incoming: &mut [u8]) -> (io::Result<(Progress, usize)>, Vec<u8>) {
    let (mut plain, mut outgoing) = (BytesMut::new(), Vec::new());
    let heard = server.receive(incoming, &mut plain, &mut outgoing);
    (heard, plain.to_vec())
}

#[test]
fn data_comes_and_goes_in_whole_records_and_in_pieces() {
    let (mut server, mut client) = shaken();
    let mut records = client.record(APPLICATION_DATA, b"one ");
    records.extend(client.record(APPLICATION_DATA, b"two"));
    let whole = records.len();
    records.extend(
        client
            .record(APPLICATION_DATA, b"three")
            .split_last()
            .unwrap()
            .1,
    );
    let (heard, plain) = hear(&mut server, &mut records);
    assert_eq!(heard.unwrap(), (Progress::Open, whole));
    assert_eq!(plain, b"one two");
    let mut outgoing = b"before".to_vec();
    server.encrypt(&[7; 40_000], &mut outgoing).unwrap();
    assert!(outgoing.starts_with(b"before"));
    assert_eq!(outgoing.len(), 6 + 40_000 + 3 * 22, "three records");
}

// A message that is cut in two, or joined to another, once the handshake is done.
#[test]
fn handshake_messages_after_the_handshake_end_only_their_connection() {
    let twice = [KEY_UPDATE, KEY_UPDATE].concat();
    for (what, contents) in [
        ("two in one record", vec![(HANDSHAKE, twice.as_slice())]),
        ("part of one", vec![(HANDSHAKE, &KEY_UPDATE[..1])]),
        (
            "part of one, then data",
            vec![(HANDSHAKE, &KEY_UPDATE[..1]), (APPLICATION_DATA, b"x")],
        ),
        (
            "one in two records",
            vec![(HANDSHAKE, &KEY_UPDATE[..2]), (HANDSHAKE, &KEY_UPDATE[2..])],
        ),
        ("of no kind", vec![(HANDSHAKE, &[99, 0, 0, 1, 0])]),
    ] {
        let (mut server, mut client) = shaken();
        let records = contents
            .iter()
            .map(|(kind, content)| client.record(*kind, content));
        let mut records = records.collect::<Vec<_>>();
        let last = records.pop().unwrap();
        let mut incoming = records.concat();
        let first = (!incoming.is_empty()).then(|| hear(&mut server, &mut incoming).0);
        let heard = match first {
            Some(Err(error)) => Err(error),
            _ => {
                incoming.extend(last);
                hear(&mut server, &mut incoming).0
            }
        };
        assert!(heard.is_err(), "{what}: {heard:?}");
        // Whoever closes the connection does not know why it ends.
        let mut outgoing = Vec::new();
        assert!(server.encrypt(b"bye", &mut outgoing).is_err(), "{what}");
        assert!(server.close(&mut outgoing).is_err(), "{what}");
        assert!(hear(&mut server, &mut []).0.is_err(), "{what}");
        assert!(outgoing.is_empty());
    }
}

#[test]
fn keys_are_changed_when_the_peer_asks() {
    let (mut server, mut client) = shaken();
    let asks = [24, 0, 0, 1, 1];
    let mut incoming = client.record(HANDSHAKE, &asks);
    let (mut plain, mut outgoing) = (BytesMut::new(), Vec::new());
    let heard = server.receive(&mut incoming, &mut plain, &mut outgoing);
    assert_eq!(heard.unwrap(), (Progress::Open, incoming.len()));
    let mut later = Vec::new();
    server.encrypt(b"hello", &mut later).unwrap();
    assert!(
        !outgoing.is_empty() || later.len() > 5 + 5 + 17,
        "it answers with its own"
    );
}
