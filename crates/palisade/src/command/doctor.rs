//! `palisade doctor`: clock, ports, disk, permissions, certificates, database. It changes nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use model::{Clock as _, SystemClock, Timestamp};
use serde_json::json;
use storage::{Database, MasterKey};

use crate::arguments::Output;
use crate::assembly;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::output;
use crate::run_file::RunFile;

/// Nobody runs this before it was written.
const EARLIEST: Timestamp = Timestamp::from_seconds(1_763_683_200);
/// A server certificate this close to its end is worth a word; a restart renews it.
const CERTIFICATE_NOTICE: Duration = Duration::from_secs(30 * 86_400);

/// How long what runs may take to answer, and how much is read of it.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_LEN_MAX: u64 = 4096;

/// What one look found.
struct Finding {
    name: &'static str,
    ok: bool,
    detail: String,
}

fn finding(name: &'static str, ok: bool, detail: impl Into<String>) -> Finding {
    Finding {
        name,
        ok,
        detail: detail.into(),
    }
}

pub(crate) fn run(config: &Config, output: Output) -> Result<()> {
    let data_dir = DataDir::at(&config.data_dir);
    let running = RunFile::read(&data_dir.run_file())
        .ok()
        .filter(RunFile::is_alive);
    let database: Database = config.database.parse()?;
    let mut findings = vec![clock(), disk(config, &database)];
    if config.data_dir.exists() {
        findings.extend([
            permissions(&data_dir),
            master_key(config),
            profile(&data_dir),
            certificates(&data_dir),
        ]);
    } else {
        let detail = format!(
            "{} is not there; `palisade up` creates it",
            data_dir.root().display()
        );
        findings.push(finding("permissions", true, detail));
    }
    match &running {
        Some(running) => findings.push(readiness(running)),
        None => findings.extend(ports(config)),
    }
    findings.extend(examined(config, &database));
    let rows: Vec<_> = findings
        .iter()
        .map(|found| {
            let mark = if found.ok { "ok" } else { "PROBLEM" };
            json!({"check": found.name, "result": mark, "detail": found.detail})
        })
        .collect();
    output::rows(
        output,
        &[("CHECK", "check"), ("", "result"), ("DETAIL", "detail")],
        &rows,
    )?;
    match findings.iter().filter(|found| !found.ok).count() {
        0 => Ok(()),
        count => bail!("{count} problems"),
    }
}

fn clock() -> Finding {
    let now = SystemClock.now();
    let detail = if EARLIEST < now {
        format!("{now}; certificates and signatures need it right to a few minutes")
    } else {
        format!("{now} is in the past: set the clock (timedatectl set-ntp true)")
    };
    finding("clock", EARLIEST < now, detail)
}

fn permissions(data_dir: &DataDir) -> Finding {
    match data_dir.check_permissions() {
        Ok(()) => finding(
            "permissions",
            true,
            "the data directory is its owner's alone",
        ),
        Err(error) => finding("permissions", false, format!("{error:#}")),
    }
}

/// Where an SQLite database lies; what a server has free, its own doctor knows.
fn disk(config: &Config, database: &Database) -> Finding {
    let Database::Sqlite(path) = database else {
        return finding(
            "disk",
            true,
            "the database is on a server, which watches its own",
        );
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    // Before the first start, where it will be made.
    let directory = path
        .ancestors()
        .skip(1)
        .find(|directory| directory.exists());
    let Some(Ok(found)) = directory.map(rustix::fs::statvfs) else {
        let detail = format!("the place of {} cannot be examined", path.display());
        return finding("disk", false, detail);
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let needed = config
        .disk_floor_bytes
        .saturating_add(config.disk_reserve_bytes);
    let detail = format!(
        "{} MiB free; writes stop below {} MiB",
        free >> 20,
        needed >> 20
    );
    finding("disk", needed < free, detail)
}

fn master_key(config: &Config) -> Finding {
    let path = &config.master_key_file;
    let Ok(meta) = std::fs::metadata(path) else {
        return finding(
            "master-key",
            false,
            format!("{} is not there", path.display()),
        );
    };
    if meta.mode() & 0o077 != 0 {
        let detail = format!("others may read it; run: chmod 600 {}", path.display());
        return finding("master-key", false, detail);
    }
    let beside = path.starts_with(&config.data_dir);
    let detail = if beside {
        "lies beside the data: it protects copies of the database and backups, not a stolen disk; \
         set master_key_file to another device for that"
    } else {
        "lies off the data directory: a stolen data disk yields nothing"
    };
    finding("master-key", true, detail)
}

fn profile(data_dir: &DataDir) -> Finding {
    let path = data_dir.aws_config();
    match std::fs::metadata(&path) {
        Ok(meta) if meta.mode() & 0o077 == 0 => {
            finding("profile", true, path.display().to_string())
        }
        Ok(_) => {
            let detail = format!("others may read it; run: chmod 600 {}", path.display());
            finding("profile", false, detail)
        }
        Err(_) => {
            let detail = "the administrator's profile is gone; stop the platform and run: \
                          palisade admin recover-key";
            finding("profile", false, detail)
        }
    }
}

/// The server's own certificate is issued anew before it ends; its authority is not.
fn certificates(data_dir: &DataDir) -> Finding {
    let name = "certificates";
    let Ok(pem) = std::fs::read_to_string(data_dir.ca()) else {
        let started = data_dir.aws_config().exists();
        let detail = "ca.pem is not there; a start writes it";
        return finding(name, !started, detail);
    };
    match pki::Certificate::parse_pem(&pem) {
        Ok(ca) => {
            let left = ca.not_after().since(SystemClock.now());
            let detail = format!("the server authority ends {}", ca.not_after().iso_seconds());
            finding(name, CERTIFICATE_NOTICE < left, detail)
        }
        Err(error) => finding(name, false, format!("ca.pem: {error}")),
    }
}

/// Asks what runs.
fn readiness(running: &RunFile) -> Finding {
    let asked = running
        .endpoints
        .get("operator")
        .context("run.json names no operator endpoint")
        .and_then(|address| Ok(ask(*address, "/readyz")?));
    match asked {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {
            let detail = format!("process {} runs here and is ready", running.pid);
            finding("ports", true, detail)
        }
        Ok(answer) => {
            let last = answer.trim_end().lines().last().unwrap_or_default();
            finding("ports", false, format!("process {} is {last}", running.pid))
        }
        Err(error) => finding(
            "ports",
            false,
            format!("process {}: {error:#}", running.pid),
        ),
    }
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ASK_TIMEOUT)?;
    stream.set_read_timeout(Some(ASK_TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_LEN_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

/// A port that cannot be bound is named with the reason and the setting that moves it.
fn ports(config: &Config) -> Vec<Finding> {
    let listen = &config.listen;
    let wanted = [
        ("listen.mqtt", listen.mqtt),
        ("listen.device", listen.device),
        ("listen.https", listen.https),
        ("listen.control", listen.control),
        ("listen.operator", listen.operator),
    ];
    let bind = |(key, address): (&str, SocketAddr)| match TcpListener::bind(address) {
        Ok(_) => finding("ports", true, format!("{key} {address}")),
        Err(error) if key == "listen.device" && !listen.device_said => {
            let detail = format!("{key} {address}: {error}; a high port is taken instead");
            finding("ports", true, detail)
        }
        Err(error) => finding("ports", false, format!("{key} {address}: {error}")),
    };
    wanted.into_iter().map(bind).collect()
}

/// Looks into a database that is there; a doctor changes nothing.
fn examined(config: &Config, database: &Database) -> Vec<Finding> {
    let one = |ok, detail: String| vec![finding("database", ok, detail)];
    if matches!(database, Database::Sqlite(path) if !path.exists()) {
        return one(true, "none yet; `palisade up` creates it".to_owned());
    }
    let key = match MasterKey::load(&config.master_key_file) {
        Ok(key) => key,
        Err(error) => return one(false, format!("not opened: {error}")),
    };
    match storage::examine(database, &key, &assembly::migrations()) {
        Ok(checks) => checks
            .into_iter()
            .map(|check| {
                let detail = format!("{}: {}", check.name, check.detail);
                finding("database", check.ok, detail)
            })
            .collect(),
        Err(error) => one(false, error.to_string()),
    }
}
