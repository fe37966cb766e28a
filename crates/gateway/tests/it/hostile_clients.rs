//! Clients that are slow, greedy or talk nonsense: each is answered or cut within a bound, while
//! a second client is served as if nothing were.

use std::time::Duration;

use gateway::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::connections::{exchange, text};
use crate::house::{ASK, Ask, House, Whom, each_house_with, peer};

/// So short that a test may wait for it.
const SHORT: Duration = Duration::from_millis(100);
/// No answer takes longer, however busy the machine.
const BOUND: Duration = Duration::from_secs(20);

const LIST: Ask<'static> = Ask {
    path: "/things",
    ..ASK
};
const CHANGE: Ask<'static> = Ask {
    method: "POST",
    ..ASK
};
const CHUNKED: &str = "transfer-encoding: chunked\r\n";

fn limits() -> Limits {
    Limits {
        body_bytes: 100,
        headers: 12,
        head_timeout: SHORT,
        body_timeout: SHORT,
        write_timeout: SHORT,
        ..Limits::default()
    }
}

/// What comes of `hostile`, while somebody else asks and is answered.
async fn beside<T>(house: &House, hostile: impl Future<Output = T>) -> T {
    let other = async {
        for _ in 0..3 {
            let answer = house.ask(LIST).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    };
    let both = async { tokio::join!(hostile, other).0 };
    let found = tokio::time::timeout(BOUND, both).await;
    found.expect("both clients were done with in time")
}

/// Sends `request` and nothing more; the connection ends with an answer that begins with `status`.
async fn check(house: &House, request: &str, status: &str) {
    let answer = beside(house, exchange(&house.gateway, request)).await;
    let shown = &request[..request.len().min(300)];
    assert!(answer.starts_with(status), "{shown:?}: {answer:?}");
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "{shown:?}: {answer}"
    );
}

#[test]
fn a_head_or_body_that_never_ends_is_cut() {
    each_house_with(limits(), async |house| {
        for head in [
            "",
            "GET",
            "GET /things HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n",
        ] {
            let answer = beside(house, exchange(&house.gateway, head)).await;
            let fits = answer.is_empty() || answer.starts_with("HTTP/1.1 408");
            assert!(fits, "{head:?}: {answer}");
        }
        let late = "HTTP/1.1 408";
        let sized = text(CHANGE, "content-length: 10\r\n");
        check(house, &sized, late).await;
        check(house, &format!("{sized}123456789"), late).await;
        let chunked = text(CHANGE, CHUNKED);
        for begun in [
            "",
            "5",
            "5\r\n123",
            "5\r\n12345\r\n",
            "0\r\n",
            "0\r\na: b\r\n",
        ] {
            check(house, &format!("{chunked}{begun}"), late).await;
        }
    });
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_there() {
    each_house_with(limits(), async |house| {
        let large = "HTTP/1.1 413";
        for length in ["101", "4294967296", "9223372036854775807"] {
            let head = text(CHANGE, &format!("content-length: {length}\r\n"));
            check(house, &format!("{head}{}", "x".repeat(101)), large).await;
        }
        let chunked = text(CHANGE, CHUNKED);
        let chunk = format!("65\r\n{}\r\n", "x".repeat(101));
        check(house, &format!("{chunked}{chunk}"), large).await;
        // In chunks of one byte, of which none is over a limit itself.
        check(
            house,
            &format!("{chunked}{}", "1\r\nx\r\n".repeat(101)),
            large,
        )
        .await;
        // Who has not signed is told so at once, whatever it says it will send.
        let unsigned = text(Ask { key: "", ..CHANGE }, "content-length: 4294967296\r\n");
        check(house, &unsigned, "HTTP/1.1 403").await;
    });
}

#[test]
fn ten_thousand_headers_are_too_many() {
    let many = text(LIST, &"a: b\r\n".repeat(10_000));
    for limits in [limits(), Limits::default()] {
        each_house_with(limits, async |house| {
            check(house, &many, "HTTP/1.1 431").await;
        });
    }
}

#[test]
fn a_body_in_broken_chunks_is_refused() {
    each_house_with(limits(), async |house| {
        let chunked = text(CHANGE, CHUNKED);
        for body in [
            "x\r\n",
            "-1\r\n",
            " 1\r\nx\r\n0\r\n\r\n",
            "0x1\r\nx\r\n0\r\n\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "1\nx\r\n0\r\n\r\n",
            "1\r\nxx\r\n0\r\n\r\n",
            "1\r\nx0\r\n\r\n",
            "\r\n\r\n",
        ] {
            check(house, &format!("{chunked}{body}"), "HTTP/1.1 400").await;
        }
        // What claims two lengths has neither: nothing can be smuggled behind it.
        let twice = text(CHANGE, "content-length: 1\r\ncontent-length: 2\r\n");
        check(house, &format!("{twice}xx"), "HTTP/1.1 400").await;
        let other = text(CHANGE, "transfer-encoding: identity\r\n");
        check(house, &format!("{other}xx"), "HTTP/1.1 400").await;
    });
}

/// Somebody sends one request after another without end, and reads the answers.
#[test]
fn a_flood_of_requests_does_not_starve_others() {
    each_house_with(limits(), async |house| {
        for request in [text(LIST, ""), text(Ask { key: "", ..LIST }, "")] {
            let (client, server) = tokio::io::duplex(8 * 1024);
            let (mut reader, mut writer) = tokio::io::split(client);
            let flood = async {
                let sending = async {
                    let many = request.repeat(100);
                    while writer.write_all(many.as_bytes()).await.is_ok() {}
                };
                let mut sink = tokio::io::sink();
                let (_, _, read) = tokio::join!(
                    house.gateway.serve_connection(server, peer(Whom::Control)),
                    sending,
                    tokio::io::copy(&mut reader, &mut sink),
                );
                read.unwrap();
            };
            tokio::select! {
                () = flood => panic!("the flood was cut"),
                () = beside(house, async {}) => (),
            }
        }
    });
}

/// Somebody sends requests and reads no answer: no more is taken than fits, and then it is cut.
#[test]
fn a_flood_whose_answers_nobody_reads_is_cut() {
    each_house_with(limits(), async |house| {
        let (mut client, server) = tokio::io::duplex(8 * 1024);
        let request = text(Ask { key: "", ..LIST }, "");
        let flood = async {
            let sending = async {
                let mut sent = 0_usize;
                while client.write_all(request.as_bytes()).await.is_ok() {
                    sent += 1;
                }
                sent
            };
            let served = house.gateway.serve_connection(server, peer(Whom::Control));
            tokio::join!(sending, served).0
        };
        let sent = beside(house, flood).await;
        assert!(sent < 10_000, "{sent} requests were taken");
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert!(answers.starts_with("HTTP/1.1 403"), "{answers}");
    });
}
