//! The broker as the rest of the platform sees it: built first, listening later.
//!
//! The gateway needs the broker's operations, and the broker's HTTPS doors need the gateway. So a
//! [`Broker`] is a handle that can be asked for its operations before anything runs, and
//! [`Broker::listen`] brings it to life.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway::{Denials, DevicePolicy, Gateway, Metrics, Operation};
use model::{ApiError, OutOfRange, Profile, Scope, Timestamp};
use pki::authority::SanName;
use pki::tls::ServerIdentity;
use storage::{Storage, StorageError, Urgency};
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::BrokerConfig;
use crate::core::{Core, Now};
use crate::device_policy::IotPolicies;
use crate::directory::Directory;
use crate::limits::Limits;
use crate::metrics::{Doormen, Gauges};
use crate::operations;
use crate::receipts::{Receipt, Receipts};
use crate::shell::{Call, ListenError, Listeners, Request, Shell, Thread, ThreadOptions};
use crate::staleness::Staleness;
use crate::store;

/// Calls that may wait for the broker's thread.
const CALLS_MAX: usize = 1024;

/// What a broker is made of.
pub struct BrokerOptions {
    /// The settings.
    pub config: BrokerConfig,
    /// Account and region.
    pub scope: Scope,
    /// The profile in force.
    pub profile: Profile,
    /// The database, opened with [`crate::MIGRATIONS`] among others. Its clock is the broker's.
    pub storage: Storage,
    /// Who knows the certificates.
    pub directory: Arc<dyn Directory>,
    /// Where refusals are recorded; shared with the gateway.
    pub denials: Denials,
    /// Where it is counted; shared.
    pub metrics: Metrics,
}

impl fmt::Debug for BrokerOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BrokerOptions")
            .field("config", &self.config)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Chain and key of the listeners, and the names they answer to.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// Chain and key.
    pub identity: ServerIdentity,
    /// The names; the certificate covers each.
    pub names: Vec<SanName>,
}

/// Where a broker listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// MQTT with client certificates.
    pub mqtt: SocketAddr,
    /// MQTT and HTTPS, chosen by ALPN.
    pub alpn: SocketAddr,
    /// HTTPS with client certificates.
    pub https: SocketAddr,
}

/// A broker: a handle that is cheap to clone.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    options: BrokerOptions,
    limits: Limits,
    calls: mpsc::Sender<Call>,
    /// Taken when it begins to listen.
    waiting: Mutex<Option<mpsc::Receiver<Call>>>,
    receipts: Arc<Receipts>,
    persisted: watch::Sender<u64>,
    gauges: Gauges,
    doormen: Doormen,
}

impl fmt::Debug for Broker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Broker")
    }
}

impl Broker {
    /// A broker that does not listen yet.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn new(options: BrokerOptions) -> Result<Self, OutOfRange> {
        let limits = options.config.limits(options.profile)?;
        let (calls, waiting) = mpsc::channel(CALLS_MAX);
        let gauges = Gauges::register(&options.metrics);
        let receipts = Arc::default();
        Staleness::register(&options.metrics, &options.storage, &receipts);
        let doormen = Doormen::register(&options.metrics, &gauges);
        Ok(Self(Arc::new(Inner {
            options,
            limits,
            calls,
            waiting: Mutex::new(Some(waiting)),
            receipts,
            persisted: watch::Sender::new(0),
            gauges,
            doormen,
        })))
    }

    /// The operations on messages and connections, for the gateway.
    pub fn operations(&self) -> Vec<Operation> {
        operations::operations(self)
    }

    /// The judge of devices that come over HTTPS, for the gateway.
    pub fn device_policy(&self) -> Arc<dyn DevicePolicy> {
        Arc::new(self.iot_policies())
    }

    pub(crate) fn iot_policies(&self) -> IotPolicies {
        let Inner { options, .. } = &*self.0;
        IotPolicies::new(
            options.storage.clone(),
            Arc::clone(&options.directory),
            &options.scope,
            options.profile,
            options.denials.clone(),
        )
    }

    /// Reads what was stored, and opens the doors. To be called once, on a runtime with several
    /// threads: handshakes and HTTPS run there.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn listen(
        &self,
        gateway: Arc<Gateway>,
        tls: ListenerTls,
    ) -> Result<RunningBroker, ListenError> {
        let inner = &self.0;
        let waiting = inner
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let calls = waiting.ok_or(ListenError::Again)?;
        let config = &inner.options.config;
        let thread = Thread::start(ThreadOptions {
            storage: inner.options.storage.clone(),
            scope: inner.options.scope.clone(),
            directory: Arc::clone(&inner.options.directory),
            denials: inner.options.denials.clone(),
            limits: inner.limits.clone(),
            write_timeout: Duration::from_millis(config.write_timeout_ms.into()),
            review_timeout: Duration::from_millis(config.review_timeout_ms.into()),
            receipts: Arc::clone(&inner.receipts),
            persisted: inner.persisted.clone(),
            gauges: inner.gauges.clone(),
            calls,
        })
        .await
        .map_err(ListenError::Start)?;
        let clock = Arc::clone(inner.options.storage.clock());
        let calls = inner.calls.clone();
        let doormen = inner.doormen.clone();
        match Listeners::open(config, &tls, clock, gateway, calls, doormen).await {
            Ok(listeners) => Ok(RunningBroker {
                broker: self.clone(),
                listeners,
                thread: Arc::new(thread),
            }),
            Err(error) => {
                self.stop(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    /// Ends the broker's thread.
    async fn stop(&self, patience: Duration) {
        let (done, stopped) = oneshot::channel();
        if self
            .0
            .calls
            .send(Call::Stop { patience, done })
            .await
            .is_ok()
        {
            // An error means that the thread has ended, which is what is waited for.
            let _ended = stopped.await;
        }
    }

    /// Forgets connections of more than 31 days ago; how many. A bounded number per call.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn reconcile(&self, now: Timestamp) -> Result<u64, ApiError> {
        let run = move |tx: &mut storage::Tx<'_>| store::reconcile(tx, now);
        let removed: Result<_, StorageError> = self.storage().write(Urgency::Normal, run).await;
        Ok(removed?.value)
    }

    /// What a change of access did to live sessions, once it is applied; `None` when that takes
    /// longer than `patience`, or nothing is known of the change.
    pub async fn receipt(&self, sequence: u64, patience: Duration) -> Option<Receipt> {
        self.0.receipts.wait(sequence, patience).await
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.0.options.storage
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Runs `run` on the broker's thread.
    ///
    /// # Errors
    /// `ThrottlingException` when too many wait there.
    pub(crate) async fn run<T, F>(&self, run: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Rc<Shell>) -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let request: Request = Box::new(move |shell| {
            // Whoever asked may have gone away.
            let _gone = answer.send(run(shell));
        });
        let sent = self.0.calls.try_send(Call::Run(request));
        sent.map_err(|_| ApiError::throttled("the broker is busy; try again"))?;
        answered.await.map_err(ApiError::internal)
    }

    /// Runs `run` on the core.
    ///
    /// # Errors
    /// As [`Broker::run`].
    pub(crate) async fn with_core<T, F>(&self, run: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Core, Now) -> T + Send + 'static,
    {
        self.run(move |shell| shell.with(run)).await
    }

    /// Waits until every op up to `sequence` is on the disk.
    pub(crate) async fn persisted(&self, sequence: u64) {
        let mut persisted = self.0.persisted.subscribe();
        drop(persisted.wait_for(|persisted| sequence <= *persisted).await);
    }
}

/// A broker that listens.
#[derive(Debug)]
pub struct RunningBroker {
    broker: Broker,
    listeners: Listeners,
    thread: Arc<Thread>,
}

impl RunningBroker {
    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.listeners.addresses
    }

    /// The handle.
    pub fn handle(&self) -> Broker {
        self.broker.clone()
    }

    /// Tells whether clients are served.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static + use<> {
        let thread = Arc::clone(&self.thread);
        move || match thread.is_alive() {
            true => Ok(()),
            false => Err("the broker has stopped".to_owned()),
        }
    }

    /// Stops: nobody is accepted any more, every client is told, what must survive is on the disk.
    /// Sessions are kept. At the latest after `patience`.
    pub async fn shutdown(mut self, patience: Duration) {
        self.listeners.close();
        let stopping = async {
            self.broker.stop(patience).await;
            self.listeners.closed().await;
        };
        if tokio::time::timeout(patience, stopping).await.is_err() {
            tracing::warn!("not everybody was gone in the time given to stop");
        }
    }
}
