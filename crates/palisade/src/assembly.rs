//! Building the platform: every capability, its ports, the doors.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use broker::{Broker, BrokerOptions};
use gateway::{DenialLimits, Denials, Gateway, GatewayOptions, Metrics, Route};
use identity::{IdentityCredentials, Usage};
use model::{Clock, SystemClock, Timestamp};
use pki::KeyKind;
use pki::authority::SanName;
use pki::tls::ServerIdentity;
use registry::{Documents, Endpoints};
use storage::{Database, DiskReserve, MasterKey, Migration, OpenError, Options, Storage};

use crate::adapters::{Directory, KnownCertificates, RegistryAttachments, RegistryTags};
use crate::config::{Config, DeviceKeys, Resolved, Sources};
use crate::data_dir::DataDir;
use crate::installation::{self, Installation};

/// Every capability's tables.
pub(crate) fn migrations() -> Vec<Migration> {
    let parts = [
        installation::MIGRATIONS,
        gateway::MIGRATIONS,
        identity::MIGRATIONS,
        registry::MIGRATIONS,
        certificates::MIGRATIONS,
        broker::MIGRATIONS,
    ];
    parts.concat()
}

/// Where a rotation keeps the new master key until the database is wrapped with it.
pub(crate) fn next_master_key_file(config: &Config) -> PathBuf {
    config.master_key_file.with_extension("next")
}

/// Opens the database of `config`.
///
/// A rotation of the master key that was cut off after the database took the new key is finished
/// here: the key that opens the database becomes the master key.
///
/// # Errors
/// The storage's own words: held by another, foreign, truncated, newer, wrong master key.
pub(crate) fn open_storage(config: &Config, data_dir: &DataDir) -> Result<Storage> {
    let key_file = &config.master_key_file;
    let was_there = key_file.exists();
    let master_key = MasterKey::load_or_create(key_file)?;
    let next = next_master_key_file(config);
    match Storage::open(options(config, data_dir, master_key)?) {
        Err(OpenError::WrongMasterKey) if next.exists() => {
            let master_key = MasterKey::load_or_create(&next)?;
            let storage = Storage::open(options(config, data_dir, master_key)?)?;
            std::fs::rename(&next, &config.master_key_file)?;
            tracing::info!("the rotation of the master key that was cut off is finished");
            Ok(storage)
        }
        Err(OpenError::WrongMasterKey) if !was_there => {
            // The key just made opens nothing, and must not stand where the right one belongs.
            std::fs::remove_file(key_file).with_context(|| format!("{}", key_file.display()))?;
            bail!(
                "{} is missing, and the database was sealed with the key it held; restore it",
                key_file.display()
            )
        }
        opened => Ok(opened?),
    }
}

fn options(config: &Config, data_dir: &DataDir, master_key: MasterKey) -> Result<Options> {
    let database = config.database.parse()?;
    let disk = match &database {
        Database::Sqlite(path) => DiskReserve {
            size_bytes: config.disk_reserve_bytes,
            floor_bytes: config.disk_floor_bytes,
            ..DiskReserve::at(data_dir.reserve(path))
        },
        Database::Postgres(_) => DiskReserve::none(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(Options {
        database,
        master_key,
        clock,
        migrations: migrations(),
        disk,
    })
}

/// The platform, built and not yet listening.
pub(crate) struct Platform {
    pub(crate) storage: Storage,
    pub(crate) installation: Arc<Installation>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) broker: Broker,
    /// When access keys were last used, until it is written.
    pub(crate) usage: Usage,
    pub(crate) metrics: Metrics,
    /// Chain and key of every listener.
    pub(crate) identity: ServerIdentity,
    /// The names it covers.
    pub(crate) names: Vec<SanName>,
    /// When the certificate ends.
    pub(crate) identity_ends: Timestamp,
}

/// Builds everything over an open database.
///
/// # Errors
/// An operation declared wrongly; a host name that the server authority may not speak for.
pub(crate) fn assemble(
    config: &Config,
    storage: Storage,
    renew_server_authority: bool,
) -> Result<Platform> {
    let hosts = installation::host_names(config)?;
    let installation =
        Installation::load_or_create(&storage, config, &hosts, renew_server_authority)?;
    let asked_for = !config.hosts.is_empty();
    let now = storage.clock().now();
    let (issued, names) = installation.issue_server(&hosts, asked_for, now)?;
    let identity = ServerIdentity::issued(&issued)?;

    let metrics = Metrics::new();
    let denials = Denials::new(Arc::clone(storage.clock()), DenialLimits::default());
    let documents = Arc::new(Documents::default());
    let usage = Usage::default();
    let broker = Broker::new(BrokerOptions {
        config: config.broker.clone(),
        scope: installation.scope.clone(),
        profile: config.profile,
        storage: storage.clone(),
        directory: Arc::new(Directory {
            scope: installation.scope.clone(),
            documents: Arc::clone(&documents),
        }),
        denials: denials.clone(),
        metrics: metrics.clone(),
    })
    .context("a setting below `broker.`")?;
    let limits = config
        .registry
        .limits(config.profile)
        .context("a setting below `registry.`")?;
    let operations = [
        identity::operations(&usage),
        registry::operations(&registry_ports(config, limits, documents)),
        certificates::operations(&certificate_ports(config, limits, &installation)),
        broker.operations(),
    ];
    let gateway = Gateway::new(GatewayOptions {
        storage: storage.clone(),
        scope: installation.scope.clone(),
        profile: config.profile,
        operations: operations.into_iter().flatten().collect(),
        credentials: Arc::new(IdentityCredentials::new(
            installation.scope.clone(),
            usage.clone(),
        )),
        device_policy: Some(broker.device_policy()),
        denials,
        hosts: names.iter().map(SanName::to_string).collect(),
        metrics: metrics.clone(),
        limits: gateway::Limits::default(),
    })
    .context("an operation is declared wrongly")?;
    let gateway = Arc::new(gateway);
    Ok(Platform {
        storage,
        installation: Arc::new(installation),
        gateway,
        broker,
        usage,
        metrics,
        identity,
        names,
        identity_ends: issued.certificate.not_after(),
    })
}

fn registry_ports(
    config: &Config,
    limits: registry::Limits,
    documents: Arc<Documents>,
) -> registry::Ports {
    let host = if config.endpoint_with_port {
        format!("{}:{}", config.advertise, config.listen.device.port())
    } else {
        config.advertise.clone()
    };
    registry::Ports {
        certificates: Arc::new(KnownCertificates),
        endpoints: Endpoints {
            data: host.clone(),
            credentials: host.clone(),
            jobs: host,
        },
        limits,
        documents,
    }
}

fn certificate_ports(
    config: &Config,
    limits: registry::Limits,
    installation: &Installation,
) -> certificates::Ports {
    certificates::Ports {
        authority: Arc::clone(&installation.device_authority),
        keys: match config.device_keys {
            DeviceKeys::Rsa2048 => KeyKind::Rsa2048,
            DeviceKeys::EcdsaP256 => KeyKind::EcdsaP256,
        },
        attachments: Arc::new(RegistryAttachments),
        tags: Arc::new(RegistryTags { limits }),
    }
}

/// Every operation that is served, read off a platform over an empty database that nobody sees.
///
/// # Errors
/// When a temporary directory cannot be made.
pub(crate) fn routes() -> Result<Vec<Route>> {
    let root = std::env::temp_dir().join(format!("palisade-{}", model::random_hex::<8>()));
    let data_dir = DataDir::open_or_create(&root)?;
    let routes = routes_over(&data_dir);
    std::fs::remove_dir_all(&root).with_context(|| format!("{}", root.display()))?;
    routes
}

fn routes_over(data_dir: &DataDir) -> Result<Vec<Route>> {
    let flags = vec![("data_dir".to_owned(), data_dir.root().display().to_string())];
    let config = Config::from_resolved(&Resolved::resolve(&Sources {
        flags,
        ..Sources::default()
    })?)?;
    let platform = assemble(&config, open_storage(&config, data_dir)?, false)?;
    Ok(platform.gateway.routes())
}
