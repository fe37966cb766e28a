//! Requests that botocore signed, through the whole door.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::house::{House, Whom, each_house};

fn request(name: &str) -> hyper::Request<Full<Bytes>> {
    let file: Value = serde_json::from_str(include_str!("../vectors/sigv4.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let vector = vectors
        .iter()
        .find(|vector| vector["name"] == name)
        .unwrap();
    let text = |key: &str| vector[key].as_str().unwrap();
    let body = match text("body") {
        "" => Bytes::new(),
        "e30=" => Bytes::from_static(b"{}"),
        other => panic!("no test sends {other}"),
    };
    let mut request = hyper::Request::builder()
        .method(text("method"))
        .uri(format!("{}?{}", text("path"), text("query")))
        .body(Full::new(body))
        .unwrap();
    for header in vector["headers"].as_array().unwrap() {
        let name = HeaderName::from_bytes(header[0].as_str().unwrap().as_bytes()).unwrap();
        let value = HeaderValue::from_str(header[1].as_str().unwrap()).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

async fn check(house: &House, name: &str, status: u16, message: &str) {
    let answer = house.send(request(name), Whom::Control).await;
    assert_eq!(answer.status, status, "{name}: {}", answer.text());
    assert!(answer.text().contains(message), "{name}: {}", answer.text());
}

#[test]
fn presigned_urls_serve_reads_and_unsigned_bodies_change_nothing() {
    each_house(async |house| {
        check(house, "path '/things'", 200, "things").await;
        check(house, "presigned /things", 200, "things").await;
        check(
            house,
            "presigned change",
            403,
            "presigned URLs serve calls that only read",
        )
        .await;
        check(house, "unsigned payload", 403, "must be signed").await;
        assert!(house.trail().await.is_empty());
    });
}
