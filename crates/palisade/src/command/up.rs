//! `palisade up`: start, say where everything is, run, stop cleanly.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use broker::{ListenerTls, RunningBroker};
use gateway::OperatorPlane;
use model::Clock;
use storage::Storage;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::assembly::{self, Platform};
use crate::changeable::{Changeable, ServerCertificate};
use crate::config::{Config, Resolved, Sources};
use crate::data_dir::{self, DataDir};
use crate::listeners;
use crate::logging;
use crate::output;
use crate::profile::AwsProfile;
use crate::run_file::RunFile;

/// How long sessions and writes get to end.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How often the server certificate's end is looked at.
const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(3600);
/// How often expired things are put away.
const RECONCILE_EVERY: Duration = Duration::from_secs(60);
/// Where the ALPN port goes when 443 may not be bound.
const HIGH_DEVICE_PORT: u16 = 8444;

pub(crate) async fn run(
    mut config: Config,
    sources: Sources,
    started_with: Resolved,
    renew_server_authority: bool,
) -> Result<()> {
    let level = logging::start(&config)?;
    let data_dir = DataDir::open_or_create(&config.data_dir)?;
    let storage = open(&config, &data_dir)?;
    let changeable = |certificate| Changeable {
        sources,
        started_with,
        level,
        certificate,
    };
    let result = serve(
        &mut config,
        &data_dir,
        storage.clone(),
        renew_server_authority,
        changeable,
    )
    .await;
    // Whatever happened, what was accepted is written and the lease is given back.
    storage.close().await;
    let run_file = data_dir.run_file();
    if run_file.exists() && result.is_ok() {
        std::fs::remove_file(&run_file).with_context(|| format!("{}", run_file.display()))?;
    }
    result
}

/// The lease on the database is what decides whether another runs; the run file names it.
fn open(config: &Config, data_dir: &DataDir) -> Result<Storage> {
    let opened = assembly::open_storage(config, data_dir);
    match RunFile::read(&data_dir.run_file()) {
        Ok(running) if opened.is_err() && running.is_alive() => opened.with_context(|| {
            format!(
                "process {} already runs on {}; stop it with: palisade down",
                running.pid,
                data_dir.root().display()
            )
        }),
        _ => opened,
    }
}

async fn serve(
    config: &mut Config,
    data_dir: &DataDir,
    storage: Storage,
    renew_server_authority: bool,
    changeable: impl FnOnce(ServerCertificate) -> Changeable,
) -> Result<()> {
    let signals = Signals::new()?;
    let control = listeners::bind("listen.control", config.listen.control).await?;
    let operator = listeners::bind("listen.operator", config.listen.operator).await?;
    move_device_port(config).await;
    let platform = assembly::assemble(config, storage, renew_server_authority)?;
    data_dir::replace(
        &data_dir.ca(),
        &platform.installation.server_authority.certificate().pem(),
        0o644,
    )?;
    let profile_is_new = write_profile(config, data_dir, &platform, control.local_addr()?)?;
    let broker = platform
        .broker
        .listen(
            Arc::clone(&platform.gateway),
            ListenerTls {
                identity: platform.identity.clone(),
                names: platform.names.clone(),
            },
        )
        .await
        .context("the devices' listeners (--listen-mqtt, --listen-device, --listen-https)")?;
    let endpoints = endpoints(&broker, &control, &operator)?;
    let running = RunFile {
        pid: i32::try_from(std::process::id())?,
        started_at: platform.storage.clock().now().seconds(),
        host: config.advertise.clone(),
        endpoints,
        database: RunFile::located(&config.database)?,
        master_key_file: std::path::absolute(&config.master_key_file)?,
    };
    let mut tasks = tasks(&platform, &broker, control, operator)?;
    // The file appears when everything answers: that is what `demo` and scripts wait for.
    running.write(&data_dir.run_file())?;
    welcome(config, &platform, &running, profile_is_new)?;
    let mut changeable = changeable(ServerCertificate {
        installation: Arc::clone(&platform.installation),
        names: platform.names.clone(),
        identity: platform.identity.clone(),
        ends: platform.identity_ends,
    });
    signals
        .told_to_stop(platform.storage.clock().as_ref(), &mut changeable)
        .await;
    tracing::info!("stopping");
    platform.gateway.shutdown();
    broker.shutdown(STOP_PATIENCE).await;
    platform.gateway.flush().await;
    if let Err(error) = platform.usage.write(&platform.storage).await {
        tracing::warn!(error = %error, "the last use of access keys was not written");
    }
    tasks.shutdown().await;
    Ok(())
}

/// What goes on beside the broker: the two other doors, and what is done from time to time.
fn tasks(
    platform: &Platform,
    broker: &RunningBroker,
    control: TcpListener,
    operator: TcpListener,
) -> Result<JoinSet<()>> {
    let (storage, gateway) = (&platform.storage, &platform.gateway);
    let tls = listeners::control_tls(
        platform.identity.clone(),
        platform.names.clone(),
        Arc::clone(storage.clock()),
    )?;
    let (broker_ready, database) = (broker.readiness(), storage.clone());
    let ready = move || {
        broker_ready()?;
        database.ready().map_err(|error| error.to_string())
    };
    let plane = OperatorPlane::new(platform.metrics.clone(), ready);
    let mut tasks = JoinSet::new();
    tasks.spawn(listeners::control(control, tls, Arc::clone(gateway)));
    tasks.spawn(listeners::operator(operator, plane));
    tasks.spawn(background(Arc::clone(gateway)));
    let (storage, gateway) = (storage.clone(), Arc::clone(gateway));
    tasks.spawn(reconcile(
        storage,
        gateway,
        broker.handle(),
        platform.usage.clone(),
    ));
    Ok(tasks)
}

/// What the process is told while it runs.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether a hangup is a terminal that was closed, and not somebody asking for a reload.
    on_terminal: bool,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: std::io::stderr().is_terminal(),
        })
    }

    /// Runs until the process is told to stop, and does what is due meanwhile.
    async fn told_to_stop(mut self, clock: &dyn Clock, changeable: &mut Changeable) {
        let mut looks = tokio::time::interval(CERTIFICATE_LOOK_EVERY);
        loop {
            let outcome = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => match self.on_terminal {
                    true => return,
                    false => changeable.reload(clock.now()),
                },
                _ = looks.tick() => changeable.certificate.renew_if_due(clock.now()).map(drop),
            };
            if let Err(error) = outcome {
                tracing::error!(error = format!("{error:#}"), "nothing was changed");
            }
        }
    }
}

/// Where port 443 cannot be bound and nobody asked for it, a printed high port is taken: 8444, or
/// any when that is taken too.
async fn move_device_port(config: &mut Config) {
    if config.listen.device_said || TcpListener::bind(config.listen.device).await.is_ok() {
        return;
    }
    let wanted = config.listen.device;
    let high = SocketAddr::new(wanted.ip(), HIGH_DEVICE_PORT);
    let free = TcpListener::bind(high).await.is_ok();
    config.listen.device = if free {
        high
    } else {
        SocketAddr::new(wanted.ip(), 0)
    };
    config.broker.alpn_listen = config.listen.device;
    tracing::info!(%wanted, taken = %config.listen.device, "the ALPN port was moved");
}

async fn background(gateway: Arc<gateway::Gateway>) {
    gateway.background().await;
}

/// One path for the happy case and for recovery: what is due is due, whenever we look.
async fn reconcile(
    storage: Storage,
    gateway: Arc<gateway::Gateway>,
    broker: broker::Broker,
    usage: identity::Usage,
) {
    let mut ticks = tokio::time::interval(RECONCILE_EVERY);
    loop {
        ticks.tick().await;
        let now = storage.clock().now();
        let outcomes = [
            (
                "denials and trail",
                gateway.reconcile(now).await.map_err(Into::into),
            ),
            (
                "sessions of roles",
                identity::forget_expired_sessions(&storage, now).await,
            ),
            ("connection history", broker.reconcile(now).await),
            ("use of access keys", usage.write(&storage).await),
        ];
        for (what, outcome) in outcomes {
            match outcome {
                Ok(0) => {}
                Ok(count) => tracing::debug!(what, count, "old records put away"),
                Err(error) => tracing::warn!(what, error = %error, "could not put away"),
            }
        }
    }
}

fn endpoints(
    broker: &RunningBroker,
    control: &TcpListener,
    operator: &TcpListener,
) -> Result<BTreeMap<String, SocketAddr>> {
    let addresses = broker.addresses();
    Ok(BTreeMap::from([
        ("mqtt".to_owned(), addresses.mqtt),
        ("device".to_owned(), addresses.alpn),
        ("https".to_owned(), addresses.https),
        ("control".to_owned(), control.local_addr()?),
        ("operator".to_owned(), operator.local_addr()?),
    ]))
}

/// Writes the administrator's profile at first start; later keeps its endpoint true.
fn write_profile(
    config: &Config,
    data_dir: &DataDir,
    platform: &Platform,
    control: SocketAddr,
) -> Result<bool> {
    let path = data_dir.aws_config();
    let authority = format!("{}:{}", config.advertise, control.port());
    let ca_bundle = std::path::absolute(data_dir.ca())?;
    if let Some(key) = &platform.installation.first_key {
        let profile = AwsProfile {
            access_key_id: key.id.clone(),
            secret: key.secret.to_string(),
            region: platform.installation.scope.region.to_string(),
            authority,
            ca_bundle,
        };
        data_dir::write_new_secret(&path, &profile.render()).context(
            "this is the first start on this database, and a profile is there already; move it \
             away, then run: palisade admin recover-key",
        )?;
        return Ok(true);
    }
    match AwsProfile::read(&path) {
        Ok(profile) if profile.authority != authority || profile.ca_bundle != ca_bundle => {
            let profile = AwsProfile {
                authority,
                ca_bundle,
                ..profile
            };
            data_dir::replace(&path, &profile.render(), 0o600)?;
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "no usable profile; stop and run: palisade admin recover-key"
            );
        }
    }
    Ok(false)
}

/// Every endpoint, the authority's fingerprint, the profile, and the next three commands.
fn welcome(
    config: &Config,
    platform: &Platform,
    running: &RunFile,
    profile_is_new: bool,
) -> Result<()> {
    let data_dir = DataDir::at(&config.data_dir);
    let told = |name: &str| -> String {
        running
            .endpoints
            .get(name)
            .map_or_else(String::new, |address| {
                let own = name == "operator";
                let host = if own {
                    address.ip().to_string()
                } else {
                    running.host.clone()
                };
                format!("{host}:{}", address.port())
            })
    };
    let cli = if config.data_dir_said {
        format!("palisade --data-dir {}", data_dir.root().display())
    } else {
        "palisade".to_owned()
    };
    let new = if profile_is_new { " (new)" } else { "" };
    let fingerprint = platform
        .installation
        .server_authority
        .certificate()
        .fingerprint();
    output::line(&format!(
        "Palisade {version} serves account {account} in {region}\n\
         \n  MQTT over mutual TLS        {mqtt}\
         \n  MQTT and HTTPS by ALPN      {device}\
         \n  HTTPS over mutual TLS       https://{https}\
         \n  control plane (SigV4)       https://{control}\
         \n  health and metrics          http://{operator}\
         \n  CA for clients              {ca}\
         \n    SHA-256                   {fingerprint}\
         \n  administrator's profile     {profile}{new}\
         \n\nIt runs until Ctrl-C or `{cli} down`. Next, in another terminal:\n\
         \n  {cli} thing create pump-7 --bundle pump-7.zip\
         \n  {cli} pub things/pump-7/hello -m hi --bundle pump-7.zip\
         \n  eval \"$({cli} env)\"   # the AWS CLI, boto3 and Terraform\n",
        version = env!("CARGO_PKG_VERSION"),
        account = platform.installation.scope.account,
        region = platform.installation.scope.region,
        mqtt = told("mqtt"),
        device = told("device"),
        https = told("https"),
        control = told("control"),
        operator = told("operator"),
        ca = data_dir.ca().display(),
        profile = data_dir.aws_config().display(),
    ))
}
