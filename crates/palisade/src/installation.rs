//! What is fixed at first start: account, region, the two certificate authorities, and the
//! administrator's first key.
//!
//! Devices are issued from a device authority that clients never trust for servers; servers are
//! issued from a server authority that is constrained to this host's names, so that a stolen
//! server key cannot speak for another host.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use identity::AccessKey;
use model::{AccountId, ApiError, Region, Scope, Timestamp};
use pki::authority::{DeviceAuthority, IssuedServer, SanName, ServerAuthority, Validity};
use storage::{Migration, Storage, Tx, Urgency, params};

use crate::config::Config;

/// The table of this module.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    capability: "palisade",
    version: 1,
    sql: include_str!("../migrations/0001.sql"),
}];

const DEVICE_KEY: &str = "installation.device_ca_key";
const SERVER_KEY: &str = "installation.server_ca_key";
/// How long the authorities live: beyond what AWS gives device certificates, 2049-12-31.
const AUTHORITY_UNTIL: Timestamp = Timestamp::from_seconds(2_840_140_799); // 2059-12-31T23:59:59Z
/// How long a server certificate lives; a new one is issued at each start.
const SERVER_LIFE: Duration = Duration::from_secs(397 * 86_400);

/// An installation, loaded.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) scope: Scope,
    pub(crate) device_authority: Arc<DeviceAuthority>,
    pub(crate) server_authority: ServerAuthority,
    /// Set when this start created the installation.
    pub(crate) first_key: Option<AccessKey>,
}

/// The row as it rests, keys opened.
struct Record {
    account: String,
    region: String,
    device_ca: String,
    device_key: Vec<u8>,
    server_ca: String,
    server_key: Vec<u8>,
}

impl Installation {
    /// Loads the installation, or creates it in an empty database.
    ///
    /// # Errors
    /// When account or region was asked for and another is stored.
    pub(crate) fn load_or_create(
        storage: &Storage,
        config: &Config,
        hosts: &[SanName],
        renew_server_authority: bool,
    ) -> Result<Self> {
        let stored = storage.read_blocking(stored)?;
        let (record, first_key) = match stored {
            Some(record) => (record, None),
            None => create(storage, config, hosts)?,
        };
        let record = if renew_server_authority && first_key.is_none() {
            renewed(storage, record, hosts)?
        } else {
            record
        };
        record.agrees_with(config)?;
        Ok(Self {
            scope: Scope::new(
                AccountId::parse(&record.account)?,
                Region::parse(&record.region)?,
            ),
            device_authority: Arc::new(
                DeviceAuthority::load(&record.device_ca, &record.device_key)
                    .context("the stored device authority cannot be read")?,
            ),
            server_authority: ServerAuthority::load(&record.server_ca, &record.server_key)
                .context("the stored server authority cannot be read")?,
            first_key,
        })
    }

    /// A new server certificate for as many of `hosts` as the authority may speak for.
    ///
    /// Names the operator asked for must all be covered; names found on this host may have
    /// changed since the authority was made, and those it cannot cover are left out.
    ///
    /// # Errors
    /// When a name asked for lies outside the authority's constraints.
    pub(crate) fn issue_server(
        &self,
        hosts: &[SanName],
        asked_for: bool,
        now: Timestamp,
    ) -> Result<(IssuedServer, Vec<SanName>)> {
        let validity = Validity::lasting(now, SERVER_LIFE)?;
        if let Ok(issued) = self.server_authority.issue_server(hosts, validity) {
            return Ok((issued, hosts.to_vec()));
        }
        if asked_for {
            let names: Vec<String> = hosts.iter().map(SanName::to_string).collect();
            bail!(
                "the server authority may not speak for all of: {}; it is constrained to the \
                 names of the first start. Start once with --renew-server-ca to make a new one, \
                 and give clients the new ca.pem",
                names.join(", ")
            );
        }
        let covered = |name: &&SanName| {
            self.server_authority
                .issue_server(std::slice::from_ref(*name), validity)
                .is_ok()
        };
        let covered: Vec<SanName> = hosts.iter().filter(covered).cloned().collect();
        Ok((
            self.server_authority.issue_server(&covered, validity)?,
            covered,
        ))
    }
}

impl Record {
    fn agrees_with(&self, config: &Config) -> Result<()> {
        let differs = |what: &str, asked: &str, stored: &str| {
            anyhow!(
                "this installation has {what} {stored}, and {asked} was asked for; both are fixed \
                 at first start. Leave the setting out, or use another data directory"
            )
        };
        if config.account_said && config.account.as_str() != self.account {
            return Err(differs(
                "the account",
                config.account.as_str(),
                &self.account,
            ));
        }
        if config.region_said && config.region.as_str() != self.region {
            return Err(differs("the region", config.region.as_str(), &self.region));
        }
        Ok(())
    }
}

fn stored(tx: &mut Tx<'_>) -> Result<Option<Record>, ApiError> {
    let sql = "SELECT account_id, region, device_ca, device_ca_key, server_ca, server_ca_key \
               FROM installation WHERE id = 1";
    let Some(row) = tx.query_one(sql, &[])? else {
        return Ok(None);
    };
    Ok(Some(Record {
        account: row.text(0)?,
        region: row.text(1)?,
        device_ca: row.text(2)?,
        device_key: tx.open(DEVICE_KEY, &row.blob(3)?)?,
        server_ca: row.text(4)?,
        server_key: tx.open(SERVER_KEY, &row.blob(5)?)?,
    }))
}

/// The region fixed at first start; none in an empty database.
///
/// # Errors
/// What the storage answers.
pub(crate) fn stored_region(storage: &Storage) -> Result<Option<String>> {
    let region = |tx: &mut Tx<'_>| -> Result<Option<String>, ApiError> {
        let row = tx.query_one("SELECT region FROM installation WHERE id = 1", &[])?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    };
    Ok(storage.read_blocking(region)?)
}

fn authority_validity(now: Timestamp) -> Result<Validity> {
    Ok(Validity::until(now, AUTHORITY_UNTIL)?)
}

fn create(
    storage: &Storage,
    config: &Config,
    hosts: &[SanName],
) -> Result<(Record, Option<AccessKey>)> {
    let now = storage.clock().now();
    let label = model::random_hex::<4>();
    let devices = DeviceAuthority::create(&label, authority_validity(now)?)?;
    let servers = ServerAuthority::create(&label, hosts, authority_validity(now)?)?;
    let (device_ca, server_ca) = (devices.certificate().pem(), servers.certificate().pem());
    let (device_key, server_key) = (devices.private_key_pkcs8(), servers.private_key_pkcs8());
    let (account, region) = (config.account.to_string(), config.region.to_string());
    let insert = move |tx: &mut Tx<'_>| -> Result<AccessKey, ApiError> {
        let sql = "INSERT INTO installation (id, account_id, region, created_at, device_ca, \
                   device_ca_key, server_ca, server_ca_key) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let sealed_device_key = tx.seal(DEVICE_KEY, &device_key)?;
        let sealed_server_key = tx.seal(SERVER_KEY, &server_key)?;
        let values = params![
            &account,
            &region,
            now,
            &device_ca,
            sealed_device_key,
            &server_ca,
            sealed_server_key
        ];
        tx.execute(sql, &values)?;
        identity::create_administrator(tx, now)
    };
    let key = storage.write_blocking(Urgency::Normal, insert)?.value;
    let record = storage
        .read_blocking(stored)?
        .context("the installation was just written")?;
    Ok((record, Some(key)))
}

fn renewed(storage: &Storage, record: Record, hosts: &[SanName]) -> Result<Record> {
    let now = storage.clock().now();
    let label = model::random_hex::<4>();
    let servers = ServerAuthority::create(&label, hosts, authority_validity(now)?)?;
    let (pem, key) = (servers.certificate().pem(), servers.private_key_pkcs8());
    let (stored_pem, stored_key) = (pem.clone(), key.clone());
    let update = move |tx: &mut Tx<'_>| -> Result<(), ApiError> {
        let sealed = tx.seal(SERVER_KEY, &stored_key)?;
        let sql = "UPDATE installation SET server_ca = ?1, server_ca_key = ?2 WHERE id = 1";
        tx.execute(sql, &params![&stored_pem, sealed])?;
        Ok(())
    };
    storage.write_blocking(Urgency::Normal, update)?;
    Ok(Record {
        server_ca: pem,
        server_key: key.to_vec(),
        ..record
    })
}

/// The names and addresses of the server certificate: those asked for, else this host's own,
/// and always loopback.
///
/// # Errors
/// A text that is neither a name nor an address.
pub(crate) fn host_names(config: &Config) -> Result<Vec<SanName>> {
    let said = |key: &str, text: &str| {
        SanName::parse(text).with_context(|| format!("the setting `{key}`"))
    };
    said("advertise", &config.advertise)?;
    for host in &config.hosts {
        said("hosts", host)?;
    }
    let mut texts: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    if config.hosts.is_empty() {
        let node = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .to_lowercase();
        if SanName::parse(&node).is_ok() {
            texts.insert(node);
        }
        let interfaces = if_addrs::get_if_addrs().context("could not list network interfaces")?;
        texts.extend(
            interfaces
                .iter()
                .map(|interface| interface.ip().to_string()),
        );
    } else {
        texts.extend(config.hosts.iter().cloned());
    }
    texts.insert(config.advertise.clone());
    texts
        .iter()
        .map(|text| SanName::parse(text).map_err(Into::into))
        .collect()
}
