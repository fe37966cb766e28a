//! The broker's thread: a runtime of its own, the tasks on it, and the calls it takes.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use model::{ApiError, CertificateId, Scope, Timestamp};
use rustls_pki_types::CertificateDer;
use storage::{Storage, StorageError, Urgency};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::executor::Executor;
use super::handshake::Shaken;
use super::sockets::Sockets;
use super::{Access, Shell};
use crate::core::{Core, Grounds, Peer, Settings};
use crate::directory::{Directory, Standing};
use crate::limits::Limits;
use crate::metrics::Gauges;
use crate::negotiated::Negotiated;
use crate::receipts::Receipts;
use crate::store;

/// The status of a certificate that its authority introduced and nobody has decided on.
const PENDING_ACTIVATION: &str = "PENDING_ACTIVATION";
/// Stands for a wake-up by another thread; no connection has it, as no index is this large.
const WOKEN: Token = Token(usize::MAX);
/// Calls taken before it is the clients' turn.
const CALLS_PER_TURN: u32 = 64;
/// Events taken from the operating system at once.
const EVENTS_MAX: usize = 1024;
/// How often what was counted is put where metrics are read.
const EXPORT_EVERY: Duration = Duration::from_secs(1);

/// Work for the broker's thread.
pub(crate) type Request = Box<dyn FnOnce(&Rc<Shell>) + Send>;

/// What the broker's thread is told.
pub(crate) enum Call {
    /// Something to be done there.
    Run(Request),
    /// A client whose handshake is done.
    Arrive(Box<Arrival>),
    /// End: tell the clients, empty the way to the disk, then answer. At the latest after this
    /// time.
    Stop {
        patience: Duration,
        done: oneshot::Sender<()>,
    },
}

/// A client whose handshake is done.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(super) shaken: Shaken,
    pub(crate) address: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) certificate: CertificateId,
    pub(crate) leaf: CertificateDer<'static>,
    pub(crate) not_after: Timestamp,
    pub(crate) server_name: Option<String>,
    pub(crate) negotiated: Negotiated,
    /// Its place among the connections; free again when dropped.
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Why the broker's thread did not start.
#[derive(Debug, thiserror::Error)]
pub enum ThreadStartError {
    /// The operating system gives no thread, or no event queue.
    #[error("the operating system gives no thread")]
    System(#[from] io::Error),
    /// What was stored cannot be read.
    #[error("the stored sessions cannot be read")]
    Store(#[from] StorageError),
    /// It ended before it could say why.
    #[error("the thread ended at once")]
    Ended,
}

/// What the thread is made of.
pub(crate) struct ThreadOptions {
    pub(crate) storage: Storage,
    pub(crate) scope: Scope,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) denials: gateway::Denials,
    pub(crate) limits: Limits,
    pub(crate) write_timeout: Duration,
    pub(crate) review_timeout: Duration,
    pub(crate) receipts: Arc<Receipts>,
    pub(crate) persisted: watch::Sender<u64>,
    pub(crate) gauges: Gauges,
    pub(crate) calls: mpsc::Receiver<Call>,
}

/// The broker's thread.
#[derive(Debug)]
pub(crate) struct Thread {
    handle: JoinHandle<()>,
}

impl Thread {
    /// Starts it; returns once everything stored is in memory.
    ///
    /// # Errors
    /// [`ThreadStartError`].
    pub(crate) async fn start(options: ThreadOptions) -> Result<Self, ThreadStartError> {
        let (started, starting) = oneshot::channel();
        let runtime = Handle::current();
        let handle = std::thread::Builder::new()
            .name("broker".to_owned())
            .spawn(move || run(&runtime, options, started))?;
        match starting.await {
            Ok(Ok(())) => Ok(Self { handle }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ThreadStartError::Ended),
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        !self.handle.is_finished()
    }
}

fn run(
    runtime: &Handle,
    options: ThreadOptions,
    started: oneshot::Sender<Result<(), ThreadStartError>>,
) {
    // Timers of the tasks here are the runtime's.
    let _entered = runtime.enter();
    let mut poll = match Poll::new() {
        Ok(poll) => poll,
        Err(error) => {
            // Nobody to tell when the caller has gone away.
            let _gone = started.send(Err(error.into()));
            return;
        }
    };
    match live(runtime, &poll, options) {
        Ok(shell) => {
            if started.send(Ok(())).is_ok() {
                serve(&mut poll, &shell);
            }
        }
        Err(error) => {
            let _gone = started.send(Err(error));
        }
    }
}

/// The shell, with everything that was stored, and its tasks.
fn live(
    runtime: &Handle,
    poll: &Poll,
    options: ThreadOptions,
) -> Result<Rc<Shell>, ThreadStartError> {
    let changes = options.storage.changes();
    options.receipts.begin(changes.cursor());
    let core = runtime.block_on(restored(&options))?;
    let waker = Waker::new(poll.registry(), WOKEN)?;
    let executor = Executor::new(move || {
        if let Err(error) = waker.wake() {
            tracing::error!(%error, "the broker's thread could not be woken");
        }
    });
    let sockets = Sockets::new(poll.registry().try_clone()?, options.write_timeout);
    let shell = Rc::new(Shell::new(
        core,
        Arc::clone(options.storage.clock()),
        sockets,
        executor,
        options.persisted.clone(),
    ));
    shell.with(Core::tick);
    let access = Rc::new(Access::new(
        options.storage.clone(),
        Arc::clone(&options.directory),
        options.scope.clone(),
        options.review_timeout,
    ));
    let run = |task| shell.executor.spawn(task);
    run(boxed(Rc::clone(&shell).persist(options.storage.clone())));
    run(boxed(Rc::clone(&access).follow(
        Rc::clone(&shell),
        changes,
        Arc::clone(&options.receipts),
    )));
    run(boxed(Rc::clone(&access).settle_doubts(Rc::clone(&shell))));
    run(boxed(Rc::clone(&access).judge_wills(Rc::clone(&shell))));
    run(boxed(export(Rc::clone(&shell), options.gauges.clone())));
    run(boxed(take_calls(options, Rc::clone(&shell), access)));
    Ok(shell)
}

fn boxed(task: impl Future<Output = ()> + 'static) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(task)
}

/// The loop: sleep, note what happened, tasks, a turn.
fn serve(poll: &mut Poll, shell: &Shell) {
    let mut events = Events::with_capacity(EVENTS_MAX);
    while !shell.stopped.get() {
        shell.executor.run();
        shell.turn();
        let mut wait = shell.sleeps_for();
        if !shell.executor.may_sleep() {
            wait = Some(Duration::ZERO);
        }
        let polled = poll.poll(&mut events, wait);
        shell.executor.awake();
        match polled {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::error!(%error, "the broker cannot wait for its clients and stops");
                return;
            }
        }
        let mut sockets = shell.sockets.borrow_mut();
        let mut unblocked = shell.announced.borrow_mut();
        for event in &events {
            if event.token() != WOKEN {
                unblocked.extend(sockets.note(event));
            }
        }
    }
}

/// The core, with everything that was stored.
async fn restored(options: &ThreadOptions) -> Result<Core, StorageError> {
    let stored = options.storage.read(store::load).await?;
    let now = options.storage.clock().now();
    let close = move |tx: &mut storage::Tx<'_>| store::close_open(tx, now);
    // On a full disk the broker still has to start, or nothing could be revoked.
    let closed: Result<_, StorageError> = options.storage.write(Urgency::Containment, close).await;
    closed?;
    let clock = options.storage.clock();
    let settings = Settings {
        limits: options.limits.clone(),
        grounds: Grounds::new(&options.scope, options.limits.profile),
        denials: Rc::new(options.denials.clone()),
        seed: u64::from_ne_bytes(model::random_bytes()),
    };
    let now = crate::core::Now {
        instant: clock.instant(),
        wall: clock.now(),
    };
    let mut core = Core::new(settings, now);
    core.restore(now, stored);
    Ok(core)
}

async fn take_calls(options: ThreadOptions, shell: Rc<Shell>, access: Rc<Access>) {
    let ThreadOptions {
        storage,
        directory,
        mut calls,
        ..
    } = options;
    let reception = Rc::new(Reception {
        storage,
        directory,
        access,
    });
    let mut in_turn = 0;
    while let Some(call) = calls.recv().await {
        in_turn += 1;
        if CALLS_PER_TURN <= in_turn {
            // However many callers there are, clients get their turns.
            in_turn = 0;
            tokio::task::yield_now().await;
        }
        match call {
            Call::Run(request) => request(&shell),
            Call::Arrive(arrival) => {
                let receive = Rc::clone(&reception).receive(Rc::clone(&shell), *arrival);
                shell.executor.spawn(receive);
            }
            Call::Stop { patience, done } => {
                shell.with(Core::shut_down);
                let all_gone = async {
                    shell.emptied().await;
                    shell.flush().await;
                };
                if tokio::time::timeout(patience, all_gone).await.is_err() {
                    tracing::warn!("not everything was done in the time given to stop");
                }
                let _gone = done.send(());
                break;
            }
        }
    }
    shell.stopped.set(true);
}

async fn export(shell: Rc<Shell>, gauges: Gauges) {
    let mut ticks = tokio::time::interval(EXPORT_EVERY);
    loop {
        ticks.tick().await;
        shell.look(|core, _| gauges.set(core));
    }
}

/// Takes clients in, or turns them away.
struct Reception {
    storage: Storage,
    directory: Arc<dyn Directory>,
    access: Rc<Access>,
}

impl Reception {
    async fn receive(self: Rc<Self>, shell: Rc<Shell>, arrival: Arrival) {
        let Arrival {
            shaken,
            address,
            local,
            certificate,
            leaf,
            not_after,
            server_name,
            negotiated,
            slot,
        } = arrival;
        let peer = Peer {
            address,
            local,
            principal: Rc::new(self.access.principal(certificate.clone())),
            session_identifier: model::random_uuid(),
            server_name,
            negotiated,
            not_after,
        };
        let facts = match self.access.standing(&shell, &certificate).await {
            Ok(Standing::Active(facts)) => facts,
            Ok(Standing::Inactive(status)) => {
                turn_away(&shell, &peer, &format!("CERTIFICATE_{status}"));
                // spec aws-iot [CT-40]: told of at each attempt until somebody decides.
                if status == PENDING_ACTIVATION {
                    self.introduce(&shell, &leaf, address).await;
                }
                return;
            }
            Ok(Standing::Unknown) => {
                turn_away(&shell, &peer, "CERTIFICATE_UNKNOWN");
                self.introduce(&shell, &leaf, address).await;
                return;
            }
            Err(error) => {
                tracing::error!(%error, principal = %certificate, "a certificate was not judged");
                return;
            }
        };
        if shell.stopping.get() {
            return;
        }
        let Some(key) = shell.with(|core, now| core.opened(now, peer, facts)) else {
            return;
        };
        if let Err(error) = shell.admit(key, shaken, slot) {
            tracing::warn!(%error, "a connection could not be taken over");
            shell.with(|core, now| core.closed(now, key));
        }
    }

    /// An unknown certificate may be registered by its authority's rules; it is told of, and has
    /// to come again.
    async fn introduce(&self, shell: &Shell, leaf: &CertificateDer<'static>, address: SocketAddr) {
        let directory = Arc::clone(&self.directory);
        let der = leaf.to_vec();
        let run = move |tx: &mut storage::Tx<'_>| directory.introduce(tx, &der, address.ip());
        let introduced: Result<_, ApiError> = self.storage.write(Urgency::Normal, run).await;
        match introduced {
            Ok(committed) => {
                if let Some(event) = committed.value {
                    shell.with(|core, now| {
                        core.publish_event(now, &event.topic, event.payload);
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "an unknown certificate could not be introduced"),
        }
    }
}

fn turn_away(shell: &Shell, peer: &Peer, why: &str) {
    tracing::info!(
        principal = %peer.principal.certificate,
        address = %peer.address,
        why,
        "connection refused"
    );
    shell.with(|core, now| core.turned_away(now, peer, why));
}
