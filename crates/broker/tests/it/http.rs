//! Devices over HTTPS: the same policies, per request.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{Client, V5, clean, tls};
use crate::world::{ALL, in_world, policy, revoked};

/// Sends one request and gives status and body.
async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> (u16, String) {
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: broker.example\r\ncontent-length: 2\r\n\r\nhi");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (status, String::from_utf8(body).unwrap())
}

// tests aws-iot [EP-40], [EP-42], [EP-43], [PL-10]
#[test]
fn a_device_publishes_over_https_until_it_is_revoked() {
    in_world(async |world| {
        let lines = [
            "Allow Publish topic/d/*",
            "Allow Publish topic/id/${iot:ClientId}",
        ];
        let device = world.device(&policy(&lines));
        let mut reader = Client::join(world, &world.device(ALL), clean(V5, "reader")).await;
        reader.subscribe("#", 1).await;
        for (address, alpn) in [
            (world.addresses.https, &[][..]),
            (world.addresses.alpn, &["x-amzn-http-ca"]),
        ] {
            let mut stream = tls(address, world.tls(Some(&device), alpn)).await.unwrap();
            let (status, body) = ask(&mut stream, "/topics/d%2Fone?qos=1").await;
            assert_eq!(status, 200, "{body}");
            assert!(body.contains(r#""message":"OK""#), "{body}");
            let told = reader.told().await;
            assert!(told.starts_with("d/one=hi@1#"), "{told}");
            for (path, expected) in [
                ("/topics/d/two?retain=true", 403),
                ("/topics/other", 403),
                ("/topics/id/reader", 403),
                ("/topics/d/three?qos=2", 400),
                ("/topics/d/%2B", 400),
            ] {
                assert_eq!(ask(&mut stream, path).await.0, expected, "{path}");
            }
        }
        let mut stream = tls(world.addresses.https, world.tls(Some(&device), &[]))
            .await
            .unwrap();
        assert_eq!(ask(&mut stream, "/topics/d/last").await.0, 200);
        world.put(&device, revoked());
        // The connection is kept alive, the access is not.
        assert_eq!(ask(&mut stream, "/topics/d/after").await.0, 403);
    });
}

// tests aws-iot [MQ-96], [PL-42]
#[test]
fn a_device_sends_directly_where_its_policy_says() {
    in_world(async |world| {
        let statement = |effect: &str, topic: &str| {
            json!({"Effect": effect, "Action": "iot:SendDirectMessage",
                "Resource": "arn:aws:iot:us-east-1:111122223333:client/reader",
                "Condition": {"StringLike": {"iot:Topic": topic}}})
        };
        let statements = [statement("Allow", "cmd/*"), statement("Deny", "cmd/stop")];
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let device = world.device(&policy);
        let mut reader = Client::join(world, &world.device(ALL), clean(V5, "reader")).await;
        let mut stream = tls(world.addresses.https, world.tls(Some(&device), &[]))
            .await
            .unwrap();
        for (client_id, topic, expected) in [
            ("reader", "cmd/go", 200),
            ("reader", "cmd/stop", 403),
            ("reader", "other", 403),
            ("other", "cmd/go", 403),
            ("reader", "cmd/%2B", 400),
        ] {
            let path = format!("/connections/{client_id}/messages?topic={topic}");
            let (status, body) = ask(&mut stream, &path).await;
            assert_eq!(status, expected, "{path}: {body}");
        }
        assert_eq!(reader.told_so_far().await, ["cmd/go=hi@0"]);
        let input = json!({"action": "iot:SendDirectMessage"});
        let denials = world.call("palisade", "ListDenials", input).await.unwrap();
        assert_eq!(
            denials["denials"].as_array().map(Vec::len),
            Some(2),
            "{denials}"
        );

        world.put(&device, revoked());
        let path = "/connections/reader/messages?topic=cmd/go";
        assert_eq!(ask(&mut stream, path).await.0, 403);
    });
}
