//! What a closure sees of its transaction.

use std::fmt;

use model::Timestamp;

use crate::engine::{Engine, Fault, Reach};
use crate::outbox::Outbox;
use crate::vault::Keys;
use crate::{BadPageToken, Row, StorageError, Value, page};

/// A transaction, for as long as the closure runs. It may run again, so it has no effect beside.
///
/// After a statement has failed, all that follow fail with [`StorageError::Aborted`] and nothing
/// is stored, whatever the closure answers: so it is on PostgreSQL, and so on both. To meet a row
/// that is already there, write `ON CONFLICT … DO NOTHING` and look at the count.
pub struct Tx<'t> {
    engine: &'t mut dyn Engine,
    keys: &'t Keys,
    now: Timestamp,
    /// `None` in a read transaction.
    outbox: Option<&'t mut Outbox>,
    fault: Option<Fault>,
    last_change: Option<u64>,
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tx")
            .field("now", &self.now)
            .field("writes", &self.outbox.is_some())
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl<'t> Tx<'t> {
    pub(crate) fn new(
        engine: &'t mut dyn Engine,
        keys: &'t Keys,
        now: Timestamp,
        outbox: Option<&'t mut Outbox>,
    ) -> Self {
        Self {
            engine,
            keys,
            now,
            outbox,
            fault: None,
            last_change: None,
        }
    }

    /// All rows of the answer. Statements name their columns and bound their rows with LIMIT.
    ///
    /// # Errors
    /// When the engine refuses the statement, or the database is away.
    pub fn query(
        &mut self,
        sql: &'static str,
        parameters: &[Value],
    ) -> Result<Vec<Row>, StorageError> {
        self.run(parameters, |engine| engine.query(sql, parameters))
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn query_one(
        &mut self,
        sql: &'static str,
        parameters: &[Value],
    ) -> Result<Option<Row>, StorageError> {
        let rows = self.query(sql, parameters)?;
        Ok(rows.into_iter().next())
    }

    /// Runs a statement that answers no rows; how many it touched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn execute(
        &mut self,
        sql: &'static str,
        parameters: &[Value],
    ) -> Result<u64, StorageError> {
        self.run(parameters, |engine| engine.execute(sql, parameters))
    }

    /// Announces that what `topic` and `key` name has changed: a row of the outbox in this
    /// transaction, and a [`Change`](crate::Change) to every subscriber once it is committed.
    ///
    /// # Errors
    /// As [`Tx::query`]; [`StorageError::ReadOnly`] in a read transaction.
    pub fn changed(&mut self, topic: &'static str, key: &str) -> Result<(), StorageError> {
        let Some(outbox) = self.outbox.take() else {
            return Err(StorageError::ReadOnly);
        };
        let now = self.now;
        let appended = self.run(&[Value::from(key)], |engine| {
            outbox.append(engine, now, topic, key)
        });
        self.outbox = Some(outbox);
        self.last_change = Some(appended?);
        Ok(())
    }

    /// The time of this transaction: one moment for all of it.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Encrypts for rest. Only [`Tx::open`] with the same purpose gives it back.
    ///
    /// # Errors
    /// When it is too large to seal (64 GiB).
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, StorageError> {
        self.keys.seal(purpose, plain)
    }

    /// What was sealed, if it was sealed here, for this purpose, and is unaltered.
    ///
    /// # Errors
    /// [`StorageError::Sealed`] otherwise.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, StorageError> {
        self.keys.open(purpose, sealed)
    }

    /// Where a list goes on: `last` are the key columns of the last row shown, `list` is the
    /// operation and all its filters.
    pub fn page_token(&self, list: &str, last: &[&str]) -> String {
        page::token(self.keys.tokens(), list, last)
    }

    /// What [`Tx::page_token`] was given.
    ///
    /// # Errors
    /// [`BadPageToken`] when the token was altered or belongs to another list.
    pub fn page_after(&self, list: &str, token: &str) -> Result<Vec<String>, BadPageToken> {
        page::after(self.keys.tokens(), list, token)
    }

    /// Runs one step against the engine, unless an earlier one failed; remembers a failure.
    pub(crate) fn run<T>(
        &mut self,
        parameters: &[Value],
        step: impl FnOnce(&mut dyn Engine) -> Result<T, Fault>,
    ) -> Result<T, StorageError> {
        if self.fault.is_some() {
            return Err(StorageError::Aborted);
        }
        let storable = (1..)
            .zip(parameters)
            .try_for_each(|(number, value)| value.check(number))
            .map_err(|error| Fault::new(Reach::Statement, error));
        storable.and_then(|()| step(self.engine)).map_err(|fault| {
            let error = fault.error.clone();
            self.fault = Some(fault);
            error
        })
    }

    /// The failure of a statement, if there was one.
    pub(crate) const fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// The sequence of the last change announced in this transaction.
    pub(crate) const fn last_change(&self) -> Option<u64> {
        self.last_change
    }
}
