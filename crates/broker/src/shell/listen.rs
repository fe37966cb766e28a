//! The doors: three TLS listeners, and which protocol a client gets at each.
//!
//! Accepting and handshakes run on the caller's runtime, so that their arithmetic does not hold up
//! messages. An MQTT client is then handed to the broker's thread; an HTTPS client is the
//! gateway's.
//!
//! A resumed session has not been through the verifier, so the certificate is looked at again
//! after every handshake.
//!
//! Source: contract core 1.1, 1.2.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::{Gateway, Peer, Place, Places, Plane};
use model::{CertificateId, Clock};
use pki::tls::{
    Admission, ClientCertMode, Lifetime, SecurityPolicy, ServerSettings, TlsError, presented_id,
    server_config,
};
use rustls::{CommonState, ServerConfig};
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::handshake::{self, Shaken};
use super::leaves::Leaves;
use super::rates::AcceptRates;
use super::thread::{Arrival, Call};
use crate::broker::{Addresses, ListenerTls};
use crate::config::BrokerConfig;
use crate::metrics::Doormen;
use crate::negotiated::Negotiated;

/// ALPN of MQTT with a client certificate on the shared port.
const ALPN_MQTT: &[u8] = b"x-amzn-mqtt-ca";
/// ALPN of HTTPS with a client certificate on the shared port.
const ALPN_HTTP: &[u8] = b"x-amzn-http-ca";
const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// How long to wait when the operating system has no more sockets to give.
const NO_SOCKETS_PAUSE: Duration = Duration::from_millis(50);

/// Why the broker cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A port is taken, or not ours to take.
    #[error("cannot listen on {address} for {door}")]
    Bind {
        /// What would have been served.
        door: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Chain and key do not make a listener.
    #[error("the listeners' TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// It listens already, or did.
    #[error("the broker listens already")]
    Again,
    /// The broker's thread could not be started.
    #[error("the broker could not be started")]
    Start(#[source] super::ThreadStartError),
}

/// A listener of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// MQTT with a client certificate.
    Mqtt,
    /// Chosen by ALPN.
    Alpn,
    /// HTTPS with a client certificate.
    Https,
}

impl Door {
    const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "MQTT",
            Self::Alpn => "the port that chooses by ALPN",
            Self::Https => "HTTPS with client certificates",
        }
    }

    /// What a client is served that offers these protocols.
    // spec aws-iot [EP-1], [EP-2], [EP-3]
    fn choose<'a>(self, mut offered: impl Iterator<Item = &'a [u8]>) -> Service {
        match self {
            Self::Mqtt if offered.any(|one| one == ALPN_MQTT) => Service::MqttNamed,
            Self::Mqtt => Service::Mqtt,
            Self::Https => Service::HttpsDevice,
            Self::Alpn => {
                let named = offered.find(|one| *one == ALPN_MQTT || *one == ALPN_HTTP);
                match named {
                    Some(one) if one == ALPN_MQTT => Service::MqttNamed,
                    Some(_) => Service::HttpsDevice,
                    None => Service::Https,
                }
            }
        }
    }
}

/// What a client is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// MQTT, whatever ALPN was offered.
    Mqtt,
    /// MQTT, as the client named it.
    MqttNamed,
    /// HTTPS for whoever shows a certificate.
    HttpsDevice,
    /// HTTPS for whoever signs requests; never asked for a certificate.
    Https,
}

/// One configuration per service, each with ticket keys of its own.
struct Configurations {
    mqtt: Arc<ServerConfig>,
    mqtt_named: Arc<ServerConfig>,
    https_device: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
}

impl Configurations {
    fn new(tls: &ListenerTls, leaves: &Arc<Leaves>) -> Result<Self, TlsError> {
        let device = || ClientCertMode::Required(Arc::clone(leaves) as Arc<dyn Admission>);
        let build = |client, alpn: &[&[u8]]| {
            server_config(ServerSettings {
                identity: tls.identity.clone(),
                names: tls.names.clone(),
                accept_any_sni: false,
                client,
                policy: SecurityPolicy::default(),
                alpn: alpn.iter().map(|one| one.to_vec()).collect(),
                clock: leaves.clock(),
            })
        };
        Ok(Self {
            mqtt: build(device(), &[])?,
            mqtt_named: build(device(), &[ALPN_MQTT])?,
            https_device: build(device(), &[ALPN_HTTP, ALPN_HTTP_1_1])?,
            https: build(ClientCertMode::None, &[ALPN_HTTP_1_1])?,
        })
    }

    fn of(&self, service: Service) -> Arc<ServerConfig> {
        Arc::clone(match service {
            Service::Mqtt => &self.mqtt,
            Service::MqttNamed => &self.mqtt_named,
            Service::HttpsDevice => &self.https_device,
            Service::Https => &self.https,
        })
    }
}

/// What the doors share.
struct Entrance {
    configurations: Configurations,
    leaves: Arc<Leaves>,
    clock: Arc<dyn Clock>,
    gateway: Arc<Gateway>,
    broker: mpsc::Sender<Call>,
    rates: AcceptRates,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    /// What one address may have of them, or one that says nothing would shut everybody out.
    handshake_places: Arc<Places>,
    handshake_timeout: Duration,
    doormen: Doormen,
}

/// The doors, open.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) addresses: Addresses,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Listeners {
    /// Opens the three doors.
    ///
    /// # Errors
    /// [`ListenError`] for the first that cannot be opened.
    pub(crate) async fn open(
        config: &BrokerConfig,
        tls: &ListenerTls,
        clock: Arc<dyn Clock>,
        gateway: Arc<Gateway>,
        broker: mpsc::Sender<Call>,
        doormen: Doormen,
    ) -> Result<Self, ListenError> {
        let leaves = Arc::new(Leaves::new(Arc::clone(&clock)));
        let entrance = Arc::new(Entrance {
            configurations: Configurations::new(tls, &leaves)?,
            leaves,
            clock,
            gateway,
            broker,
            rates: AcceptRates::new(config.accepts_per_address_s),
            connections: Arc::new(Semaphore::new(config.connections_max as usize)),
            handshakes: Arc::new(Semaphore::new(config.handshakes_max as usize)),
            handshake_places: Places::new(config.handshakes_max as usize),
            handshake_timeout: Duration::from_millis(config.handshake_timeout_ms.into()),
            doormen,
        });
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let mut open = async |door: Door, address| -> Result<SocketAddr, ListenError> {
            let failed = |source| ListenError::Bind {
                door: door.name(),
                address,
                source,
            };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            let bound = listener.local_addr().map_err(failed)?;
            let entrance = Arc::clone(&entrance);
            tasks.spawn(entrance.accept(door, listener, stop.subscribe()));
            Ok(bound)
        };
        let addresses = Addresses {
            mqtt: open(Door::Mqtt, config.mqtt_listen).await?,
            alpn: open(Door::Alpn, config.alpn_listen).await?,
            https: open(Door::Https, config.https_listen).await?,
        };
        Ok(Self {
            addresses,
            stop,
            tasks,
        })
    }

    /// Accepts nobody any more. HTTPS connections end with the gateway.
    pub(crate) fn close(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until everybody who came in by these doors is gone.
    pub(crate) async fn closed(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Entrance {
    async fn accept(
        self: Arc<Self>,
        door: Door,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut guests = JoinSet::new();
        let stopped = async move {
            drop(stop.wait_for(|stop| *stop).await);
        };
        let mut stopped = std::pin::pin!(stopped);
        {
            // Kept when somebody else is done first: who waits in it has been accepted.
            let mut next = std::pin::pin!(self.next(&listener));
            loop {
                tokio::select! {
                    () = &mut stopped => break,
                    accepted = &mut next => {
                        next.set(self.next(&listener));
                        if let Some((tcp, address, slot, turn)) = accepted {
                            let receive = Arc::clone(&self).receive(door, tcp, address, slot, turn);
                            guests.spawn(receive);
                        }
                    }
                    Some(_) = guests.join_next() => {}
                }
            }
        }
        drop(listener);
        while guests.join_next().await.is_some() {}
    }

    /// The next client within the bounds.
    async fn next(&self, listener: &TcpListener) -> Option<Accepted> {
        let (tcp, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(NO_SOCKETS_PAUSE).await;
                return None;
            }
        };
        if !self.rates.admit(address.ip(), self.clock.instant()) {
            self.doormen.too_often(address.ip(), self.clock.instant());
            return None;
        }
        // Beyond the bound on handshakes one waits here, and behind it the others in the kernel's
        // backlog, in the order in which they came. A door where nobody knocks holds no turn.
        let turn = Arc::clone(&self.handshakes).acquire_owned().await.ok()?;
        let Some(place) = self.handshake_places.take(address.ip()) else {
            self.doormen.too_slow(address.ip(), self.clock.instant());
            return None;
        };
        let turn = Turn {
            _turn: turn,
            _place: place,
        };
        let Ok(slot) = Arc::clone(&self.connections).try_acquire_owned() else {
            self.doormen.too_many(address.ip(), self.clock.instant());
            return None;
        };
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "the connection broke at once");
            return None;
        }
        Some((tcp, address, slot, turn))
    }

    /// The handshake, and on to whoever serves the client.
    async fn receive(
        self: Arc<Self>,
        door: Door,
        tcp: TcpStream,
        address: SocketAddr,
        slot: OwnedSemaphorePermit,
        turn: Turn,
    ) {
        let shaken = tokio::time::timeout(self.handshake_timeout, self.shake_hands(door, tcp));
        let shaken = match shaken.await {
            Ok(Ok(shaken)) => shaken,
            Ok(Err(error)) => {
                self.doormen.handshake_failed();
                tracing::debug!(%address, %error, "handshake failed");
                return;
            }
            Err(_) => {
                let now = self.clock.instant();
                self.doormen.handshake_late(address.ip(), now);
                tracing::debug!(%address, "handshake not done in time");
                return;
            }
        };
        drop(turn);
        match shaken {
            Guest::Mqtt(shaken, name) => self.hand_over(*shaken, name, address, slot).await,
            Guest::Https(stream) => {
                let peer = Peer {
                    address,
                    certificate: None,
                    plane: Plane::Data,
                };
                self.gateway.serve_connection(stream, peer).await;
            }
            Guest::HttpsDevice(stream) => match self.leaf_of(stream.get_ref().1) {
                Some(_) => {
                    let certificate = presented_id(stream.get_ref().1.peer_certificates());
                    let peer = Peer {
                        address,
                        certificate,
                        plane: Plane::Data,
                    };
                    self.gateway.serve_connection(stream, peer).await;
                }
                None => tracing::info!(%address, "a resumed certificate is no longer valid"),
            },
        }
    }

    async fn shake_hands(&self, door: Door, mut tcp: TcpStream) -> io::Result<Guest> {
        let (accepted, hello) = handshake::greet(&mut tcp).await?;
        let service = match accepted.client_hello().alpn() {
            Some(offered) => door.choose(offered),
            None => door.choose(std::iter::empty()),
        };
        let config = self.configurations.of(service);
        Ok(match service {
            Service::Mqtt | Service::MqttNamed => {
                let name = accepted.client_hello().server_name().map(str::to_owned);
                let shaken = handshake::shake_hands(tcp, config, hello).await?;
                Guest::Mqtt(Box::new(shaken), name)
            }
            Service::HttpsDevice | Service::Https => {
                let start = StartHandshake::from_parts(accepted, tcp);
                let stream = Box::new(start.into_stream(config).await?);
                match service {
                    Service::HttpsDevice => Guest::HttpsDevice(stream),
                    _ => Guest::Https(stream),
                }
            }
        })
    }

    /// The certificate the peer proved to hold, if it is valid now: itself, which it is and when it
    /// is valid.
    // spec aws-iot [EP-14]: also after a resumption.
    fn leaf_of(
        &self,
        tls: &CommonState,
    ) -> Option<(CertificateDer<'static>, CertificateId, Lifetime)> {
        let leaf = tls.peer_certificates()?.first()?;
        let (id, lifetime) = self.leaves.check(leaf).ok()?;
        Some((leaf.clone().into_owned(), id, lifetime))
    }

    /// Gives an MQTT client to the broker's thread.
    async fn hand_over(
        &self,
        shaken: Shaken,
        server_name: Option<String>,
        address: SocketAddr,
        slot: OwnedSemaphorePermit,
    ) {
        let tls = shaken.tls.agreed();
        let Some((leaf, certificate, lifetime)) = self.leaf_of(tls) else {
            tracing::info!(%address, "a resumed certificate is no longer valid");
            return;
        };
        let local = match shaken.tcp.local_addr() {
            Ok(local) => local,
            Err(error) => {
                tracing::debug!(%address, %error, "the connection broke");
                return;
            }
        };
        let arrival = Arrival {
            server_name,
            negotiated: Negotiated::of(tls),
            certificate,
            shaken,
            address,
            local,
            leaf,
            not_after: lifetime.not_after,
            slot,
        };
        // The thread has stopped when nobody listens; the client sees the close.
        let _stopped = self.broker.send(Call::Arrive(Box::new(arrival))).await;
    }
}

/// Somebody whose handshake is done.
enum Guest {
    /// With the name it asked for.
    Mqtt(Box<Shaken>, Option<String>),
    /// With a client certificate.
    HttpsDevice(Box<TlsStream<TcpStream>>),
    /// Without.
    Https(Box<TlsStream<TcpStream>>),
}

/// Somebody who was accepted, with a place among the connections and among the handshakes.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit, Turn);

/// Leave to make a handshake.
#[derive(Debug)]
struct Turn {
    /// Given back first: whoever gets the turn must find a place.
    _place: Place,
    _turn: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests aws-iot [EP-1], [EP-2], [EP-3]
    #[test]
    fn the_door_and_alpn_choose_the_service() {
        for (door, offered, expected) in [
            (Door::Mqtt, vec![], Service::Mqtt),
            (Door::Mqtt, vec![ALPN_MQTT], Service::MqttNamed),
            (Door::Mqtt, vec![b"mqtt".as_slice()], Service::Mqtt),
            (Door::Alpn, vec![], Service::Https),
            (Door::Alpn, vec![ALPN_HTTP_1_1], Service::Https),
            (Door::Alpn, vec![b"h2".as_slice()], Service::Https),
            (Door::Alpn, vec![ALPN_MQTT], Service::MqttNamed),
            (
                Door::Alpn,
                vec![ALPN_HTTP_1_1, ALPN_MQTT],
                Service::MqttNamed,
            ),
            (Door::Alpn, vec![ALPN_HTTP], Service::HttpsDevice),
            (Door::Https, vec![], Service::HttpsDevice),
            (Door::Https, vec![ALPN_HTTP_1_1], Service::HttpsDevice),
        ] {
            let chosen = door.choose(offered.iter().copied());
            assert_eq!(chosen, expected, "{door:?} {offered:?}");
        }
    }
}
