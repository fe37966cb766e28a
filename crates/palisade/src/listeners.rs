//! The control plane's and the operator plane's sockets.
//!
//! The broker owns the devices' sockets; these two are apart: separate listeners, separate
//! credentials.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gateway::{Gateway, OperatorPlane, Peer, Places, Plane};
use model::Clock;
use pki::authority::SanName;
use pki::tls::{ClientCertMode, SecurityPolicy, ServerIdentity, ServerSettings};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// TLS handshakes of the control plane at once; further connections wait in the kernel's queue, and
/// those of an address that has more under way than are free are closed.
const HANDSHAKES_MAX: usize = 64;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of the operator plane at once.
const OPERATOR_CONNECTIONS_MAX: usize = 64;
/// After an accept that failed (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds `address`; the error names the setting to change.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "could not listen on {address} ({key}); choose another with --{}",
            flag(key)
        )
    })
}

fn flag(key: &str) -> String {
    key.replace('.', "-")
}

/// The control plane's TLS: no client is ever asked for a certificate.
///
/// # Errors
/// When the certificate does not cover a name.
pub(crate) fn control_tls(
    identity: ServerIdentity,
    names: Vec<SanName>,
    clock: Arc<dyn Clock>,
) -> Result<TlsAcceptor> {
    let config = pki::tls::server_config(ServerSettings {
        identity,
        names,
        accept_any_sni: false,
        client: ClientCertMode::None,
        policy: SecurityPolicy::Tls13And12,
        alpn: vec![b"http/1.1".to_vec()],
        clock,
    })?;
    Ok(TlsAcceptor::from(config))
}

async fn accepted(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(error = %error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepts connections of the control plane until it is dropped.
pub(crate) async fn control(listener: TcpListener, tls: TlsAcceptor, gateway: Arc<Gateway>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let places = Places::new(HANDSHAKES_MAX);
    loop {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let (stream, address) = accepted(&listener).await;
        let Some(place) = places.take(address.ip()) else {
            tracing::warn!(%address, "connection refused: too many handshakes of this address");
            continue;
        };
        let (tls, gateway) = (tls.clone(), Arc::clone(&gateway));
        tokio::spawn(async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(error = %error, "TCP_NODELAY was not set");
            }
            let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await;
            drop((permit, place));
            match handshake {
                Ok(Ok(stream)) => {
                    let peer = Peer {
                        address,
                        certificate: None,
                        plane: Plane::Control,
                    };
                    gateway.serve_connection(stream, peer).await;
                }
                Ok(Err(error)) => tracing::debug!(%address, error = %error, "TLS failed"),
                Err(_) => tracing::debug!(%address, "TLS took too long"),
            }
        });
    }
}

/// Accepts connections of the operator plane until it is dropped.
pub(crate) async fn operator(listener: TcpListener, plane: OperatorPlane) {
    let connections = Arc::new(Semaphore::new(OPERATOR_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let (stream, _) = accepted(&listener).await;
        let plane = plane.clone();
        tokio::spawn(async move {
            plane.serve_connection(stream).await;
            drop(permit);
        });
    }
}
