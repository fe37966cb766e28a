//! PostgreSQL as an engine: a session on a server, driven from plain threads.
//!
//! Sources: PostgreSQL 15 manual, 13.3.5 advisory locks, 9.26 `pg_xact_status`, appendix A error
//! codes.

use std::collections::HashMap;
use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{Client, NoTls, SimpleQueryMessage, Statement};

use crate::dialect::{self, Dialect};
use crate::engine::{Engine, Fault, Outcome, Reach, Role, TransactionId};
use crate::{Database, OpenError, Row, StorageError, Value};

mod cell;

/// Held by the session that may write: the lease of the node.
pub(crate) const LEASE_LOCK: i64 = 730_506_161_001;

/// Begins a group of writes. The lock makes commit order and outbox order one, whoever else
/// should write; the id tells after a broken connection how the transaction ended.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SELECT pg_advisory_xact_lock(730506161002); SELECT pg_current_xact_id()::text";

/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Unacknowledged data for longer than this means that the server is gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A lease left by a process that was just killed is freed within moments: ask this often.
const LEASE_ATTEMPTS_MAX: u32 = 5;
const LEASE_PAUSE: Duration = Duration::from_millis(100);

/// Whatever the server's defaults: what is acknowledged is on its disk, and nothing waits for ever.
const SETTINGS: &str = "
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local');
    SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '60s';
    SET client_min_messages = 'warning';
    SET standard_conforming_strings = on;
";

/// One session.
pub(crate) struct Connection {
    client: Client,
    statements: HashMap<(&'static str, Vec<&'static str>), Statement>,
    transaction: Option<TransactionId>,
}

impl Connection {
    pub(crate) fn open(url: &str, role: Role) -> Result<Self, OpenError> {
        let database = Database::Postgres(url.to_owned()).to_string();
        let failed = |error: postgres::Error| OpenError::Connect {
            database: database.clone(),
            detail: described(&error),
        };
        let mut config: postgres::Config = url.parse().map_err(failed)?;
        refuse_plain_text(&config, &database)?;
        config
            .application_name("palisade")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(SILENCE_MAX)
            .tcp_user_timeout(SILENCE_MAX);
        let mut client = config.connect(NoTls).map_err(failed)?;
        client.batch_execute(SETTINGS).map_err(failed)?;
        let encoding = "SELECT current_setting('server_encoding')";
        let encoding: String = client.query_one(encoding, &[]).map_err(failed)?.get(0);
        if encoding != "UTF8" {
            let detail = format!("its encoding is {encoding}; create it with ENCODING 'UTF8'");
            return Err(OpenError::Unsuitable { database, detail });
        }
        if role == Role::Writer {
            take_lease(&mut client, &database)?;
        }
        Ok(Self {
            client,
            statements: HashMap::new(),
            transaction: None,
        })
    }

    fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        let done = self.client.batch_execute(sql);
        done.map_err(|error| fault(&self.client, sql, &error))
    }

    /// The prepared form of `sql` for parameters of these kinds; made once for all its uses.
    fn statement(&mut self, sql: &'static str, parameters: &[Value]) -> Result<Statement, Fault> {
        let kinds: Vec<_> = parameters.iter().map(Value::kind).collect();
        let key = (sql, kinds);
        if let Some(known) = self.statements.get(&key) {
            return Ok(known.clone());
        }
        let (text, expected) = dialect::for_postgresql(sql, parameters);
        let given = parameters.len();
        if expected != given {
            let statement = sql;
            let error = StorageError::Parameters {
                statement,
                expected,
                given,
            };
            return Err(Fault::new(Reach::Statement, error));
        }
        let types: Vec<Type> = parameters.iter().filter_map(cell::declared).collect();
        let prepared = self.client.prepare_typed(&text, &types);
        let prepared = prepared.map_err(|error| fault(&self.client, sql, &error))?;
        if STATEMENTS_MAX <= self.statements.len() {
            self.statements.clear();
        }
        self.statements.insert(key, prepared.clone());
        Ok(prepared)
    }
}

/// The connection is not encrypted, so it stays on this machine unless the URL accepts that in
/// so many words.
fn refuse_plain_text(config: &postgres::Config, database: &str) -> Result<(), OpenError> {
    let here = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) if name == "localhost" => true,
        Host::Tcp(name) => name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback()),
    });
    if here || config.get_ssl_mode() == SslMode::Disable {
        return Ok(());
    }
    let detail = "connections to it are not encrypted; reach it through a Unix socket, the \
                  loopback interface or a tunnel, or accept that with `?sslmode=disable`";
    Err(OpenError::Unsuitable {
        database: database.to_owned(),
        detail: detail.to_owned(),
    })
}

/// A session-level lock: it is free again the moment the server sees this session end.
fn take_lease(client: &mut Client, database: &str) -> Result<(), OpenError> {
    let failed = |error: postgres::Error| OpenError::Connect {
        database: database.to_owned(),
        detail: described(&error),
    };
    for _ in 0..LEASE_ATTEMPTS_MAX {
        let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&LEASE_LOCK]);
        if row.map_err(failed)?.get(0) {
            return Ok(());
        }
        std::thread::sleep(LEASE_PAUSE);
    }
    // The table is absent when the other node is only just creating it.
    let row = client.query_opt("SELECT holder FROM node_lease WHERE id = 1", &[]);
    let holder = match row {
        Ok(Some(row)) => row.get(0),
        Ok(None) | Err(_) => "another node".to_owned(),
    };
    Err(OpenError::Held { holder })
}

impl Engine for Connection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn begin_read(&mut self) -> Result<(), Fault> {
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn begin_write(&mut self) -> Result<(), Fault> {
        self.transaction = None;
        let answers = self.client.simple_query(BEGIN_WRITE);
        let answers = answers.map_err(|error| fault(&self.client, BEGIN_WRITE, &error))?;
        let id = answers.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        let Some(id) = id else {
            let detail = "the server did not name its transaction".to_owned();
            return Err(Fault::new(
                Reach::Group,
                StorageError::Unavailable { detail },
            ));
        };
        self.transaction = Some(TransactionId(id));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.batch("COMMIT")
    }

    fn rollback(&mut self) {
        if let Err(failed) = self.batch("ROLLBACK") {
            tracing::warn!(error = %failed.error, "a rollback failed");
        }
    }

    fn savepoint(&mut self) -> Result<(), Fault> {
        self.batch("SAVEPOINT one_write")
    }

    fn release(&mut self) -> Result<(), Fault> {
        self.batch("RELEASE SAVEPOINT one_write")
    }

    fn undo(&mut self) -> Result<(), Fault> {
        self.batch("ROLLBACK TO SAVEPOINT one_write; RELEASE SAVEPOINT one_write")
    }

    fn query(&mut self, sql: &'static str, parameters: &[Value]) -> Result<Vec<Row>, Fault> {
        let statement = self.statement(sql, parameters)?;
        let found = self.client.query(&statement, &references(parameters));
        let found = found.map_err(|error| fault(&self.client, sql, &error))?;
        found
            .iter()
            .map(|row| {
                cell::row(row).map_err(|detail| {
                    let statement = sql.to_owned();
                    Fault::new(Reach::Statement, StorageError::Sql { statement, detail })
                })
            })
            .collect()
    }

    fn execute(&mut self, sql: &'static str, parameters: &[Value]) -> Result<u64, Fault> {
        let statement = self.statement(sql, parameters)?;
        let done = self.client.execute(&statement, &references(parameters));
        done.map_err(|error| fault(&self.client, sql, &error))
    }

    fn run_script(&mut self, sql: &str) -> Result<(), Fault> {
        self.batch(sql)
    }

    fn transaction(&self) -> Option<TransactionId> {
        self.transaction
    }

    fn outcome(&mut self, transaction: TransactionId) -> Result<Outcome, Fault> {
        let sql = "SELECT pg_xact_status(CAST(CAST($1 AS TEXT) AS xid8))";
        let row = self.client.query_one(sql, &[&transaction.0.to_string()]);
        let row = row.map_err(|error| fault(&self.client, sql, &error))?;
        Ok(match row.get::<_, Option<&str>>(0) {
            Some("committed") => Outcome::Committed,
            Some("aborted") => Outcome::RolledBack,
            // Forgotten by now, or still running in a session the server has not given up.
            _ => Outcome::Unknown,
        })
    }

    fn ping(&mut self) -> Result<(), Fault> {
        self.batch("")
    }

    fn integrity(&mut self) -> Result<Vec<String>, Fault> {
        let sql = "SELECT COALESCE(SUM(checksum_failures), 0)::bigint FROM pg_stat_database \
                   WHERE datname = current_database()";
        let row = self.client.query_one(sql, &[]);
        let row = row.map_err(|error| fault(&self.client, sql, &error))?;
        let failures: i64 = row.get(0);
        let complaint = format!("the server counted {failures} pages with a wrong checksum");
        Ok(Vec::from_iter((failures != 0).then_some(complaint)))
    }

    fn has_tables(&mut self) -> Result<bool, Fault> {
        let sql =
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() LIMIT 1";
        Ok(!self.query(sql, &[])?.is_empty())
    }

    fn version(&mut self) -> Result<String, Fault> {
        let sql = "SELECT current_setting('server_version')";
        let row = self.client.query_one(sql, &[]);
        let row = row.map_err(|error| fault(&self.client, sql, &error))?;
        Ok(format!("PostgreSQL {}", row.get::<_, &str>(0)))
    }
}

/// What is sent: all but the NULLs, which stand in the statement.
fn references(parameters: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    let sent = parameters.iter().filter(|value| **value != Value::Null);
    sent.map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// The error with its cause, on one line.
fn described(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} ({})", answer.message(), answer.code().code()),
        None => match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

fn fault(client: &Client, sql: &str, error: &postgres::Error) -> Fault {
    let detail = described(error);
    let io = error
        .source()
        .is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    let Some(code) = error.code().filter(|_| !client.is_closed()) else {
        if io || error.is_closed() || client.is_closed() {
            return Fault::new(Reach::Connection, StorageError::Unavailable { detail });
        }
        let statement = sql.to_owned();
        return Fault::new(Reach::Statement, StorageError::Sql { statement, detail });
    };
    match code {
        &SqlState::T_R_SERIALIZATION_FAILURE
        | &SqlState::T_R_DEADLOCK_DETECTED
        | &SqlState::LOCK_NOT_AVAILABLE => {
            Fault::new(Reach::Rerun, StorageError::Contended { detail })
        }
        &SqlState::DISK_FULL => Fault::new(Reach::Disk, StorageError::DiskFull { detail }),
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => {
            Fault::new(Reach::Group, StorageError::Corrupt { detail })
        }
        code => match &code.code()[..2] {
            // Connection exception, operator intervention: another session may fare better.
            "08" | "57" => Fault::new(Reach::Connection, StorageError::Unavailable { detail }),
            // Insufficient resources, system error.
            "53" | "58" => Fault::new(Reach::Group, StorageError::Unavailable { detail }),
            _ => {
                let statement = sql.to_owned();
                Fault::new(Reach::Statement, StorageError::Sql { statement, detail })
            }
        },
    }
}
