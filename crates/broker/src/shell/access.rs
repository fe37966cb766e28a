//! What is known of certificates, kept true: read once, forgotten or read again when a change
//! touches it.
//!
//! Between the reading of a record and the moment somebody rests on it a change may be announced.
//! Changes are therefore counted as they arrive, and a record that one of them concerns is read
//! again before it is used. After that the index finds it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::{ApiError, CertificateId, Scope};
use storage::{Change, Changes, Storage};

use super::Shell;
use crate::amendment::Amendment;
use crate::core::{Principal, RestsOn, Reviewed, concerns};
use crate::directory::{DeviceRecord, Directory, Standing};
use crate::receipts::{Receipt, Receipts};

/// Records kept; those of connected certificates are never given up for others.
const KNOWN_MAX: usize = 100_000;
/// Changes remembered for those who are just reading.
const RECENT_MAX: usize = 1024;
/// Certificates read in one transaction.
const READ_TOGETHER: usize = 256;
/// From so many on, what a change does is read once and not for each.
const AMENDED_MIN: usize = 32;
/// Certificates judged without reading, before sockets have their turn.
const JUDGE_TOGETHER: usize = 256;
/// How often a record that keeps changing is read before giving up.
const READ_AGAIN_MAX: u32 = 16;
/// How long to wait before a database that did not answer is asked about a will again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// See the module documentation.
pub(crate) struct Access {
    storage: Storage,
    directory: Arc<dyn Directory>,
    scope: Scope,
    /// How long a review may take before those it concerns are shut out.
    patience: Duration,
    known: RefCell<HashMap<CertificateId, Standing>>,
    rests_on: RefCell<RestsOn>,
    /// Changes announced so far.
    announced: Cell<u64>,
    /// The last of them: topic and key.
    recent: RefCell<VecDeque<(u64, String, String)>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Access")
            .field("known", &self.known.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Access {
    pub(crate) fn new(
        storage: Storage,
        directory: Arc<dyn Directory>,
        scope: Scope,
        patience: Duration,
    ) -> Self {
        Self {
            storage,
            directory,
            scope,
            patience,
            known: RefCell::default(),
            rests_on: RefCell::default(),
            announced: Cell::new(0),
            recent: RefCell::default(),
        }
    }

    pub(crate) fn principal(&self, certificate: CertificateId) -> Principal {
        let arn = self.scope.iot_arn(&format!("cert/{certificate}"));
        Principal { certificate, arn }
    }

    /// What is known of `certificate` now. Whoever rests on the answer must be known to the core
    /// before the next await, or it may be told of a change too late.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub(crate) async fn standing(
        &self,
        shell: &Shell,
        certificate: &CertificateId,
    ) -> Result<Standing, ApiError> {
        if let Some(known) = self.known.borrow().get(certificate) {
            return Ok(known.clone());
        }
        for _ in 0..READ_AGAIN_MAX {
            let before = self.announced.get();
            let records = self.read(vec![certificate.clone()]).await?;
            let standing = Standing::of(records.into_iter().next().flatten());
            if !self.changed_since(before, certificate, &standing) {
                self.remember(shell, certificate, &standing);
                return Ok(standing);
            }
        }
        Err(ApiError::unavailable(
            "the certificate changes too often to be judged",
        ))
    }

    async fn read(
        &self,
        certificates: Vec<CertificateId>,
    ) -> Result<Vec<Option<DeviceRecord>>, ApiError> {
        let directory = Arc::clone(&self.directory);
        let run = move |tx: &mut storage::Tx<'_>| {
            let records = certificates.iter().map(|id| directory.device(tx, id));
            records.collect::<Result<Vec<_>, ApiError>>()
        };
        self.storage.read(run).await
    }

    fn changed_since(&self, before: u64, certificate: &CertificateId, standing: &Standing) -> bool {
        let recent = self.recent.borrow();
        let forgotten = recent.front().is_none_or(|(first, ..)| before + 1 < *first);
        if self.announced.get() == before {
            return false;
        }
        let arn = self.principal(certificate.clone()).arn;
        forgotten
            || recent.iter().any(|(number, topic, key)| {
                before < *number
                    && (topic == Change::MISSED
                        || concerns(certificate, &arn, standing.facts(), topic, key))
            })
    }

    /// Keeps a good record. What lets nobody in is not kept: strangers could fill the memory.
    fn remember(&self, shell: &Shell, certificate: &CertificateId, standing: &Standing) {
        let Standing::Active(known) = standing else {
            self.forget(certificate);
            return;
        };
        let is_new = !self.known.borrow().contains_key(certificate);
        if is_new && self.known.borrow().len() >= KNOWN_MAX {
            self.make_room(shell);
        }
        let arn = self.principal(certificate.clone()).arn;
        let mut rests_on = self.rests_on.borrow_mut();
        rests_on.put(certificate, &arn, Some(&known.facts));
        let mut known = self.known.borrow_mut();
        known.insert(certificate.clone(), standing.clone());
    }

    fn forget(&self, certificate: &CertificateId) {
        self.known.borrow_mut().remove(certificate);
        self.rests_on.borrow_mut().remove(certificate);
    }

    fn make_room(&self, shell: &Shell) {
        let idle = |id: &&CertificateId| !shell.look(|core, _| core.is_connected(id));
        let idle: Vec<_> = self.known.borrow().keys().filter(idle).cloned().collect();
        for certificate in idle {
            self.forget(&certificate);
        }
    }

    /// Applies changes as they are announced, for ever.
    pub(crate) async fn follow(
        self: Rc<Self>,
        shell: Rc<Shell>,
        mut changes: Changes,
        receipts: Arc<Receipts>,
    ) {
        loop {
            let batch = changes.next().await;
            for change in &batch {
                self.announce(change);
            }
            let mut reviewed = BTreeSet::new();
            for change in batch {
                let done = self.apply(&shell, &change, &mut reviewed).await;
                let elapsed_us = self.elapsed_us(&change);
                if done != Reviewed::default() {
                    tracing::info!(
                        topic = change.topic,
                        key = change.key,
                        sessions_closed = done.sessions_closed,
                        subscriptions_dropped = done.subscriptions_dropped,
                        latency_us = elapsed_us,
                        "a change of access was applied to live sessions"
                    );
                }
                receipts.put(Receipt {
                    sequence: change.sequence,
                    topic: change.topic,
                    key: change.key,
                    sessions_closed: done.sessions_closed,
                    subscriptions_dropped: done.subscriptions_dropped,
                    elapsed_ms: elapsed_us.div_ceil(1000),
                    elapsed_us,
                });
            }
        }
    }

    /// How long ago a change was committed.
    fn elapsed_us(&self, change: &Change) -> u64 {
        let clock = self.storage.clock();
        let elapsed = match self.storage.changed_at(change.sequence) {
            Some(at) => clock.instant().saturating_duration_since(at),
            // Another process committed it.
            None => clock.now().since(change.at),
        };
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    /// Frees the client ids that certificates hold which let nobody in any more, for ever.
    pub(crate) async fn settle_doubts(self: Rc<Self>, shell: Rc<Shell>) {
        loop {
            for doubt in shell.doubts().await {
                match self.standing(&shell, &doubt.holder).await {
                    Ok(Standing::Active(_)) => {}
                    Ok(Standing::Inactive(_) | Standing::Unknown) => {
                        shell.with(|core, now| core.vacate(now, &doubt));
                    }
                    Err(error) => tracing::warn!(%error, "the holder of a session is not known"),
                }
            }
        }
    }

    /// Has wills that are due judged by what is known of their principals, for ever. While the
    /// database is away they wait.
    pub(crate) async fn judge_wills(self: Rc<Self>, shell: Rc<Shell>) {
        loop {
            for (id, certificate) in shell.due_wills().await {
                let standing = loop {
                    match self.standing(&shell, &certificate).await {
                        Ok(standing) => break standing,
                        Err(error) => {
                            tracing::warn!(%error, "a will cannot be judged yet; trying again");
                            tokio::time::sleep(ASK_AGAIN).await;
                        }
                    }
                };
                let principal = self.principal(certificate);
                shell.with(|core, now| core.judge_due_will(now, &id, &principal, &standing));
            }
        }
    }

    fn announce(&self, change: &Change) {
        let number = self.announced.get() + 1;
        self.announced.set(number);
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back((number, change.topic.clone(), change.key.clone()));
    }

    /// Reads those whom a change touches again, and lets the core judge them. Whoever was read
    /// since the batch came is not read again.
    async fn apply(
        &self,
        shell: &Shell,
        change: &Change,
        reviewed: &mut BTreeSet<CertificateId>,
    ) -> Reviewed {
        let touched = if change.topic == Change::MISSED {
            self.rests_on.borrow().all()
        } else {
            self.rests_on.borrow().touched(&change.topic, &change.key)
        };
        let touched: Vec<_> = touched
            .into_iter()
            .filter(|id| !reviewed.contains(id))
            .collect();
        if let Some(amendment) = self.amendment(change, touched.len()).await {
            return self.amend(shell, &touched, &amendment).await;
        }
        let mut sum = Reviewed::default();
        for together in touched.chunks(READ_TOGETHER) {
            let read = self.read(together.to_vec());
            let records = tokio::time::timeout(self.patience, read).await;
            let done = match records {
                Ok(Ok(records)) => self.review(shell, together, records),
                Ok(Err(error)) => {
                    tracing::error!(%error, "access could not be read; its sessions are ended");
                    self.shut_out(shell, together)
                }
                Err(_) => {
                    tracing::error!("access could not be read in time; its sessions are ended");
                    self.shut_out(shell, together)
                }
            };
            sum.add(done);
        }
        reviewed.extend(touched);
        sum
    }

    /// What the change does to what is known of so many, where that is worth asking and known.
    async fn amendment(&self, change: &Change, touched: usize) -> Option<Amendment> {
        if touched < AMENDED_MIN || change.topic == Change::MISSED {
            return None;
        }
        let directory = Arc::clone(&self.directory);
        let (topic, key) = (change.topic.clone(), change.key.clone());
        let run = move |tx: &mut storage::Tx<'_>| directory.amendment(tx, &topic, &key);
        let read = tokio::time::timeout(self.patience, self.storage.read(run)).await;
        match read {
            Ok(Ok(amendment)) => amendment,
            // Each is read then, or shut out if that fails too.
            Ok(Err(error)) => {
                tracing::warn!(%error, "what a change does could not be read");
                None
            }
            Err(_) => None,
        }
    }

    /// Lets the core judge those whom a change touches by what is known of them, with the change.
    async fn amend(
        &self,
        shell: &Shell,
        touched: &[CertificateId],
        amendment: &Amendment,
    ) -> Reviewed {
        // First whatever they do is judged anew, then what they had before.
        for certificate in touched {
            let known = self.known.borrow().get(certificate).cloned();
            if let Some(Standing::Active(known)) = known {
                let known = Arc::new(amendment.of(&known));
                self.remember(shell, certificate, &Standing::Active(Arc::clone(&known)));
                shell.with(|core, now| core.adopt(now, certificate, &known));
            }
        }
        let mut sum = Reviewed::default();
        for together in touched.chunks(JUDGE_TOGETHER) {
            for certificate in together {
                let known = self.known.borrow().get(certificate).cloned();
                // Nobody rests on what was forgotten since.
                if let Some(standing) = known {
                    sum.add(shell.with(|core, now| core.review(now, certificate, &standing)));
                }
            }
            tokio::task::yield_now().await;
        }
        sum
    }

    fn review(
        &self,
        shell: &Shell,
        certificates: &[CertificateId],
        records: Vec<Option<DeviceRecord>>,
    ) -> Reviewed {
        let mut sum = Reviewed::default();
        for (certificate, record) in certificates.iter().zip(records) {
            let standing = Standing::of(record);
            self.remember(shell, certificate, &standing);
            sum.add(shell.with(|core, now| core.review(now, certificate, &standing)));
        }
        sum
    }

    fn shut_out(&self, shell: &Shell, certificates: &[CertificateId]) -> Reviewed {
        let mut sum = Reviewed::default();
        for certificate in certificates {
            self.forget(certificate);
            sum.add(shell.with(|core, now| core.shut_out_unreviewed(now, certificate)));
        }
        sum
    }
}
