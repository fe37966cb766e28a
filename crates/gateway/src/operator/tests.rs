use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn ask(plane: &OperatorPlane, request: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let request = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let (_, read) = tokio::join!(
            plane.serve_connection(server),
            client.read_to_string(&mut answer)
        );
        read.unwrap();
        answer
    })
}

#[test]
fn health_and_metrics() {
    let ready = Arc::new(AtomicBool::new(false));
    let metrics = Metrics::new();
    metrics.answered("iot", "CreateThing", 200, Duration::from_millis(3));
    let asked = Arc::clone(&ready);
    let plane = OperatorPlane::new(metrics, move || {
        let ready = asked.load(Ordering::SeqCst);
        ready.then_some(()).ok_or_else(|| "the broker".to_owned())
    });
    assert!(ask(&plane, "GET /livez").starts_with("HTTP/1.1 200 OK"));
    let answer = ask(&plane, "GET /readyz");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("not ready: the broker\n"), "{answer}");
    ready.store(true, Ordering::SeqCst);
    assert!(ask(&plane, "GET /readyz").starts_with("HTTP/1.1 200 OK"));
    assert!(ask(&plane, "POST /readyz").starts_with("HTTP/1.1 405"));
    assert!(ask(&plane, "GET /things").starts_with("HTTP/1.1 404"));
    let answer = ask(&plane, "GET /metrics");
    for line in [
        "content-type: application/openmetrics-text",
        "gateway_requests_total{service=\"iot\",operation=\"CreateThing\",status=\"200\"} 1",
        "gateway_request_seconds_count 1",
        "# EOF",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
}
