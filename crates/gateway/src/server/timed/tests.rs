use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// So short that a test may wait for it.
const SHORT: Duration = Duration::from_millis(20);

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
fn a_peer_that_does_not_read_ends_the_write() {
    run(async {
        let (_client, server) = tokio::io::duplex(16);
        let mut server = Timed::new(server, SHORT);
        server.write_all(&[0; 16]).await.unwrap();
        let error = server.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_peer_that_reads_is_served_to_the_end() {
    run(async {
        let (mut client, server) = tokio::io::duplex(16);
        let mut server = Timed::new(server, SHORT);
        let mut read = Vec::new();
        let (written, _) = tokio::join!(
            async {
                server.write_all(&[7; 1000]).await?;
                server.shutdown().await
            },
            client.read_to_end(&mut read)
        );
        written.unwrap();
        assert_eq!(read, [7; 1000]);
    });
}
