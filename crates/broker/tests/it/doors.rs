//! Listeners: ALPN, malformed packets, slow readers, bounds.

use std::time::Duration;

use broker::BrokerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, V5, clean, tls};
use crate::world::{ALL, in_world, in_world_with};

// tests aws-iot [EP-1], [EP-2], [EP-3]
#[test]
fn alpn_chooses_on_the_shared_port() {
    in_world(async |world| {
        let device = world.device(ALL);
        let config = world.tls(Some(&device), &["x-amzn-mqtt-ca"]);
        for address in [world.addresses.alpn, world.addresses.mqtt] {
            let stream = tls(address, config.clone()).await.unwrap();
            assert_eq!(
                stream.get_ref().1.alpn_protocol(),
                Some(b"x-amzn-mqtt-ca".as_slice())
            );
            let connect = clean(V5, "d");
            let (client, _) = Client::connect_with(address, config.clone(), connect).await;
            assert!(client.is_some());
        }
        // Without ALPN 8883 speaks MQTT, and the shared port HTTPS without a certificate.
        let plain = tls(world.addresses.mqtt, world.tls(Some(&device), &[]))
            .await
            .unwrap();
        assert_eq!(plain.get_ref().1.alpn_protocol(), None);
        for alpn in [&[][..], &["http/1.1"]] {
            let mut https = tls(world.addresses.alpn, world.tls(None, alpn))
                .await
                .unwrap();
            https
                .write_all(b"GET /retainedMessage HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            let mut answer = [0; 12];
            https.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 403");
        }
        // Nobody gets MQTT without a certificate, nor a protocol that is not served.
        for (address, alpn) in [
            (world.addresses.mqtt, &[][..]),
            (world.addresses.alpn, &["x-amzn-mqtt-ca"]),
            (world.addresses.alpn, &["x-amzn-http-ca"]),
            (world.addresses.https, &[]),
        ] {
            if let Ok(mut stream) = tls(address, world.tls(None, alpn)).await {
                let _broken = stream.write_all(b"\x10").await;
                let read = stream.read(&mut [0; 1]).await;
                assert!(read.is_err() || read.is_ok_and(|read| read == 0));
            }
        }
        assert!(
            tls(world.addresses.alpn, world.tls(Some(&device), &["mqtt"]))
                .await
                .is_err()
        );
    });
}

#[test]
fn malformed_packets_end_their_own_connection_and_no_other() {
    in_world(async |world| {
        let device = world.device(ALL);
        let mut good = Client::join(world, &device, clean(V5, "good")).await;
        for (at, bytes) in [
            &b"\x00\x00"[..],
            b"\x30\xff\xff\xff\xff\x01",
            b"\x30\xff\xff\xff\x7f",
            b"\x36\x05\x00\x01a\x00\x01\x00",
            b"\x82\x02\x00\x01",
            b"\x20\x03\x00\x00\x00",
            b"\xf0\x00",
        ]
        .iter()
        .enumerate()
        {
            let mut bad = Client::join(world, &device, clean(V5, &format!("bad{at}"))).await;
            bad.send_bytes(bytes).await;
            let told = bad.told().await;
            assert!(told.starts_with("DISCONNECT(0x"), "{bytes:?}: {told}");
            assert_eq!(bad.told().await, "closed", "{bytes:?}");
        }
        // Not TLS at all.
        let mut tcp = TcpStream::connect(world.addresses.mqtt).await.unwrap();
        tcp.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
            .await
            .unwrap();
        let mut rest = Vec::new();
        let _reset = tcp.read_to_end(&mut rest).await;
        assert_eq!(good.told_so_far().await, [""; 0]);
    });
}

#[test]
fn a_slow_reader_is_cut_and_slows_nobody() {
    let config = BrokerConfig {
        write_timeout_ms: 300,
        output_bytes_max: 1 << 20,
        ..BrokerConfig::default()
    };
    in_world_with(config, async |world| {
        let device = world.device(ALL);
        let mut slow = Client::join(world, &device, clean(V5, "slow")).await;
        slow.subscribe("a", 0).await;
        let mut quick = Client::join(world, &device, clean(V5, "quick")).await;
        quick.subscribe("a", 0).await;
        let mut listener = Client::join(world, &device, clean(V5, "listener")).await;
        listener
            .subscribe("$aws/events/presence/disconnected/slow", 0)
            .await;
        let mut sender = Client::join(world, &device, clean(V5, "sender")).await;
        let payload = "x".repeat(50_000);
        let mut received = 0;
        for _ in 0..400 {
            sender.publish("a", &payload, 0).await;
            assert!(quick.told().await.starts_with("a=x"));
            received += 1;
        }
        assert_eq!(received, 400);
        // The socket's buffers are full, and the client has taken nothing for a while.
        let told = listener.told().await;
        assert!(told.contains(r#""disconnectReason":"THROTTLED""#), "{told}");
        assert_eq!(sender.told_so_far().await, [""; 0]);
    });
}

#[test]
fn whoever_does_not_go_on_is_closed() {
    let config = BrokerConfig {
        handshake_timeout_ms: 100,
        ..BrokerConfig::default()
    };
    in_world_with(config, async |world| {
        // A handshake that does not go on.
        let mut tcp = TcpStream::connect(world.addresses.mqtt).await.unwrap();
        assert_eq!(tcp.read(&mut [0; 1]).await.unwrap_or(0), 0);
    });
}

#[test]
fn the_bounds_at_the_door_hold() {
    let config = BrokerConfig {
        connections_max: 2,
        ..BrokerConfig::default()
    };
    in_world_with(config, async |world| {
        let device = world.device(ALL);
        let first = Client::join(world, &device, clean(V5, "a")).await;
        let _second = Client::join(world, &device, clean(V5, "b")).await;
        assert_eq!(
            Client::connect(world, &device, clean(V5, "c")).await.1,
            None
        );
        first.leave().await;
        // The place is free once the broker has let go of the connection.
        let joined = async {
            while Client::connect(world, &device, clean(V5, "c"))
                .await
                .1
                .is_none()
            {}
        };
        tokio::time::timeout(Duration::from_secs(5), joined)
            .await
            .expect("a free place");
    });
    let config = BrokerConfig {
        accepts_per_address_s: 1,
        ..BrokerConfig::default()
    };
    in_world_with(config, async |world| {
        let device = world.device(ALL);
        let _first = Client::join(world, &device, clean(V5, "a")).await;
        assert_eq!(
            Client::connect(world, &device, clean(V5, "b")).await.1,
            None
        );
    });
}
