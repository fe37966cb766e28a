//! What can change while the platform runs, without ending a connection: the level of the log and
//! the server's certificate.
//!
//! SIGHUP reads the settings again. What else they say differently waits for the next start, and
//! the log names it. The certificate is issued again before it ends.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use model::Timestamp;
use pki::authority::SanName;
use pki::tls::ServerIdentity;

use crate::config::{Config, Resolved, Sources};
use crate::installation::Installation;
use crate::logging::LogLevel;

/// How long before its end the certificate is issued again.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 86_400);
/// What a reload applies.
const LIVE: [&str; 1] = ["log.level"];

/// The certificate that every listener presents.
pub(crate) struct ServerCertificate {
    pub(crate) installation: Arc<Installation>,
    /// The names it is issued for, at the start and ever after.
    pub(crate) names: Vec<SanName>,
    /// What the listeners hold.
    pub(crate) identity: ServerIdentity,
    pub(crate) ends: Timestamp,
}

impl ServerCertificate {
    /// Issues it again when its end is near; whether it was.
    ///
    /// # Errors
    /// When the authority cannot issue; the one before stays.
    pub(crate) fn renew_if_due(&mut self, now: Timestamp) -> Result<bool> {
        let due = self.ends.since(now) <= RENEW_BEFORE;
        if due {
            self.renew(now)?;
        }
        Ok(due)
    }

    fn renew(&mut self, now: Timestamp) -> Result<()> {
        let (issued, _) = self.installation.issue_server(&self.names, true, now)?;
        self.identity.replace(&issued)?;
        self.ends = issued.certificate.not_after();
        tracing::info!(ends = %self.ends, "a new server certificate is presented");
        Ok(())
    }
}

/// What SIGHUP can change.
pub(crate) struct Changeable {
    pub(crate) sources: Sources,
    /// The settings that the platform was started with.
    pub(crate) started_with: Resolved,
    pub(crate) level: LogLevel,
    pub(crate) certificate: ServerCertificate,
}

impl Changeable {
    /// Reads the settings again and applies what can be applied.
    ///
    /// # Errors
    /// When the settings are not valid: then nothing changes.
    pub(crate) fn reload(&mut self, now: Timestamp) -> Result<()> {
        let resolved = Resolved::resolve(&self.sources)?;
        let config = Config::from_resolved(&resolved)?;
        self.level.set(&config.log_level)?;
        self.certificate
            .renew(now)
            .context("the server certificate was not issued again")?;
        let waiting = self.started_with.differing(&resolved);
        let waiting = waiting.filter(|key| !LIVE.contains(key));
        let waiting: Vec<_> = waiting.collect();
        if waiting.is_empty() {
            tracing::info!("the settings were read again");
        } else {
            tracing::warn!(
                settings = waiting.join(", "),
                "the settings were read again; these take effect at the next start"
            );
        }
        Ok(())
    }
}
