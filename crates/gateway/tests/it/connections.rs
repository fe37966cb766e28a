//! Limits and the life of connections.

use std::sync::Arc;
use std::time::Duration;

use gateway::{Gateway, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::house::{ASK, Ask, Whom, each_house_with, peer};

/// So short that a test may wait for it.
const SHORT: Duration = Duration::from_millis(50);

fn limits() -> Limits {
    Limits {
        body_bytes: 100,
        headers: 12,
        head_timeout: SHORT,
        body_timeout: SHORT,
        connections: 2,
        ..Limits::default()
    }
}

/// What a peer reads that sends `text` and then waits.
pub(crate) async fn exchange(gateway: &Arc<Gateway>, text: &str) -> String {
    let (client, server) = tokio::io::duplex(8 * 1024);
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut answer = Vec::new();
    let served = gateway.serve_connection(server, peer(Whom::Control));
    // Sending fails when the gateway has cut the connection: the answer counts.
    let (_, _, read) = tokio::join!(
        served,
        writer.write_all(text.as_bytes()),
        reader.read_to_end(&mut answer)
    );
    read.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The text of a signed request.
pub(crate) fn text(ask: Ask<'_>, more: &str) -> String {
    let request = ask.signed();
    let headers: Vec<String> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
        .collect();
    format!(
        "{} {} HTTP/1.1\r\n{}{more}\r\n",
        ask.method,
        ask.path,
        headers.concat()
    )
}

#[test]
fn bodies_are_bounded() {
    each_house_with(limits(), async |house| {
        let publish = Ask {
            service: "iotdata",
            method: "POST",
            path: "/topics/a",
            ..ASK
        };
        let fits = house
            .ask(Ask {
                body: &[b'x'; 100],
                ..publish
            })
            .await;
        assert_eq!(fits.status, 200, "{}", fits.text());
        let over = house
            .ask(Ask {
                body: &[b'x'; 101],
                ..publish
            })
            .await;
        assert_eq!(
            (over.status, over.code()),
            (413, "RequestEntityTooLargeException")
        );
        assert_eq!(over.header("connection"), "close");
        // Nobody's body is read before the signature's claims are judged.
        let unsigned = house
            .ask(Ask {
                key: "",
                body: &[b'x'; 101],
                ..publish
            })
            .await;
        assert_eq!(unsigned.code(), "MissingAuthenticationTokenException");
    });
}

#[test]
fn who_sends_slowly_is_cut() {
    each_house_with(limits(), async |house| {
        let silent = exchange(&house.gateway, "").await;
        assert_eq!(silent, "");
        let half_a_head = exchange(&house.gateway, "GET /things HTTP/1.1\r\nhost: pal").await;
        assert!(
            half_a_head.is_empty() || half_a_head.starts_with("HTTP/1.1 408"),
            "{half_a_head}"
        );
        let head = text(
            Ask {
                method: "POST",
                ..ASK
            },
            "content-length: 10\r\n",
        );
        let half_a_body = exchange(&house.gateway, &format!("{head}abc")).await;
        assert!(half_a_body.starts_with("HTTP/1.1 408"), "{half_a_body}");
        assert!(
            half_a_body.contains("RequestTimeoutException"),
            "{half_a_body}"
        );
    });
}

#[test]
fn heads_are_bounded() {
    each_house_with(limits(), async |house| {
        let many = "x: y\r\n".repeat(12);
        let answer = exchange(&house.gateway, &text(ASK, &many)).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let long = format!("x: {}\r\n", "y".repeat(128 * 1024));
        let answer = exchange(&house.gateway, &text(ASK, &long)).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let answer = exchange(&house.gateway, "NONSENSE\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    });
}

#[test]
fn a_connection_serves_one_request_after_another() {
    each_house_with(limits(), async |house| {
        let list = Ask {
            path: "/things",
            ..ASK
        };
        let two = format!("{}{}", text(list, ""), text(list, "connection: close\r\n"));
        let answers = exchange(&house.gateway, &two).await;
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    });
}

/// Doors spawn these on runtimes of many threads.
#[test]
fn what_doors_spawn_may_move_between_threads() {
    fn check(_: &impl Send) {}
    each_house_with(limits(), async |house| {
        let (_, server) = tokio::io::duplex(64);
        check(&house.gateway.serve_connection(server, peer(Whom::Control)));
        check(&house.gateway.background());
    });
}

#[test]
fn connections_are_bounded_and_end_when_the_gateway_stops() {
    let limits = Limits {
        head_timeout: Duration::from_secs(600),
        ..limits()
    };
    each_house_with(limits, async |house| {
        let gateway = &house.gateway;
        let open = || {
            let (client, server) = tokio::io::duplex(1024);
            let served = gateway.serve_connection(server, peer(Whom::Control));
            (client, Box::pin(served))
        };
        let (mut first, mut served_first) = open();
        let (second, mut served_second) = open();
        // Each is polled once, so that it is open.
        tokio::select! {
            biased;
            () = served_first.as_mut() => panic!("ended"),
            () = served_second.as_mut() => panic!("ended"),
            () = std::future::ready(()) => (),
        }
        let (mut third, served_third) = open();
        served_third.await;
        assert_eq!(
            read(&mut third).await,
            "",
            "too many: closed without a word"
        );

        gateway.shutdown();
        served_first.await;
        served_second.await;
        assert_eq!(read(&mut first).await, "");
        drop(second);
        gateway.background().await;
    });
}

async fn read(client: &mut DuplexStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}
