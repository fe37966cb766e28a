//! `palisade doctor`: clock, ports, disk, permissions, certificates, database.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use model::{Clock as _, SystemClock, Timestamp};
use serde_json::json;

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

pub(crate) async fn run(config: &Config, output: Output) -> Result<()> {
    let data_dir = DataDir::at(&config.data_dir);
    let running = RunFile::read(&data_dir.run_file())
        .ok()
        .filter(RunFile::is_alive);
    let mut findings = vec![
        clock(),
        permissions(&data_dir),
        disk(config),
        master_key(config),
    ];
    findings.push(profile(&data_dir));
    findings.extend(certificates(&data_dir));
    match &running {
        Some(running) => {
            let detail = format!("process {} runs here; its ports are its own", running.pid);
            findings.push(finding("ports", true, detail));
            let detail = "held by the running platform, which checks it itself (/readyz)";
            findings.push(finding("database", true, detail));
        }
        None => {
            findings.extend(ports(config));
            findings.extend(database(config, &data_dir).await);
        }
    }
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

fn disk(config: &Config) -> Finding {
    let Ok(found) = rustix::fs::statvfs(&config.data_dir) else {
        return finding("disk", false, "the data directory cannot be examined");
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

fn certificates(data_dir: &DataDir) -> Option<Finding> {
    let pem = std::fs::read_to_string(data_dir.ca()).ok()?;
    let found = match pki::Certificate::parse_pem(&pem) {
        Ok(ca) => {
            let left = ca.not_after().since(SystemClock.now());
            let detail = format!("the server authority ends {}", ca.not_after().iso_seconds());
            finding("certificates", CERTIFICATE_NOTICE < left, detail)
        }
        Err(error) => finding("certificates", false, format!("ca.pem: {error}")),
    };
    Some(found)
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

/// Looks into a database that is there; a doctor creates nothing.
async fn database(config: &Config, data_dir: &DataDir) -> Vec<Finding> {
    if !config.master_key_file.exists() {
        return vec![finding(
            "database",
            true,
            "not opened: there is no master key yet",
        )];
    }
    let exists = match config.database.strip_prefix("sqlite:") {
        Some(path) => Path::new(path).exists(),
        None => true,
    };
    if !exists {
        return vec![finding(
            "database",
            true,
            "none yet; `palisade up` creates it",
        )];
    }
    match assembly::open_storage(config, data_dir) {
        Ok(storage) => {
            let checks = storage.check().await;
            storage.close().await;
            let found = checks.into_iter();
            found
                .map(|check| {
                    finding(
                        "database",
                        check.ok,
                        format!("{}: {}", check.name, check.detail),
                    )
                })
                .collect()
        }
        Err(error) => vec![finding("database", false, format!("{error:#}"))],
    }
}
