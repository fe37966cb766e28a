//! RMQTT with its ACL plug-in behind mutual TLS: `bench-rmqtt ADDRESS CERTIFICATE KEY CA PLUGINS`.
//!
//! What its own server does for one TLS listener, with the same allocator and runtime; `PLUGINS` is
//! the directory of `rmqtt-acl.toml`.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use rmqtt::Result;
use rmqtt::context::ServerContext;
use rmqtt::net::{Builder, tls_provider};
use rmqtt::server::MqttServer;

#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, certificate, key, ca, plugins] = &arguments[..] else {
        panic!("usage: bench-rmqtt ADDRESS CERTIFICATE KEY CA PLUGINS");
    };
    tls_provider::default_provider()
        .install_default()
        .expect("the first provider of this process");
    let context = ServerContext::new()
        .busy_check_enable(false)
        .plugins_config_dir(plugins.as_str())
        .build()
        .await;
    rmqtt_acl::register(&context, true, false).await?;
    let listener = Builder::new()
        .name("bench")
        .laddr(address.parse()?)
        .max_connections(1_000_000)
        .max_handshaking_limit(10_000)
        .nodelay(true)
        .allow_anonymous(true)
        .cert_cn_as_username(true)
        .max_inflight(NonZeroU16::new(1_000).expect("not 0"))
        .max_mqueue_len(100_000)
        .mqueue_rate_limit(NonZeroU32::MAX, Duration::from_secs(1))
        .tls_cross_certificate(true)
        .tls_cert(Some(certificate.clone()))
        .tls_key(Some(key.clone()))
        .tls_client_ca_certs(Some(ca.clone()))
        .bind()?
        .tls()?;
    MqttServer::new(context).listener(listener).build().start();
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    end.recv().await;
    Ok(())
}
