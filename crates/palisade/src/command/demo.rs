//! `palisade demo`: a device works, oversteps and is told why; another is revoked and gone.
//!
//! The platform is a process of its own, started on loopback, and everything goes through the
//! doors that everybody uses. Each step is checked: the story ends with a failure when one of
//! them is not true.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use model::{Clock as _, SystemClock};
use mqtt::{QoS, ReasonCode};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::{revoke, thing};
use crate::bundle::Bundle;
use crate::client::{Client, encode};
use crate::data_dir::DataDir;
use crate::device::{Device, Refusal};
use crate::output;
use crate::run_file::RunFile;

const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(5);

/// Tells the story on a platform of its own; with `exit` ends there.
pub(crate) async fn run(data_dir: &Path, exit: bool) -> Result<()> {
    let root = data_dir.with_file_name(match data_dir.file_name().and_then(|name| name.to_str()) {
        Some(name) => format!("{name}-demo-{}", model::random_hex::<3>()),
        None => bail!("{} is no place for a demonstration", data_dir.display()),
    });
    let started = SystemClock.instant();
    let mut platform = start(&root).await?;
    let dir = DataDir::at(&root);
    let took = SystemClock.instant() - started;
    let told = tell(&dir, took).await;
    if told.is_err() || exit {
        stop(&mut platform, &root).await?;
        return told;
    }
    how_to_go_on(&dir)?;
    tokio::signal::ctrl_c().await?;
    stop(&mut platform, &root).await
}

async fn start(root: &Path) -> Result<Child> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    // A platform of its own: no setting of ours reaches it, a database least of all.
    command
        .env_clear()
        .arg("up")
        .arg("--data-dir")
        .arg(root)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    for name in ["mqtt", "device", "https", "control", "operator"] {
        command.arg(format!("--listen-{name}=127.0.0.1:0"));
    }
    command.args(["--set", "log.level=error"]);
    let mut child = command.spawn().context("could not start the platform")?;
    let run_file = DataDir::at(root).run_file();
    let rounds = PATIENCE.as_millis() / GLANCE.as_millis();
    for _ in 0..rounds {
        if let Some(status) = child.try_wait()? {
            bail!("the platform ended at once: {status}");
        }
        if RunFile::read(&run_file).is_ok() {
            return Ok(child);
        }
        tokio::time::sleep(GLANCE).await;
    }
    bail!("the platform was not ready within {} s", PATIENCE.as_secs())
}

async fn stop(platform: &mut Child, root: &Path) -> Result<()> {
    super::down::stop_if_alive(&DataDir::at(root)).await?;
    platform.wait().await?;
    std::fs::remove_dir_all(root).with_context(|| format!("{}", root.display()))
}

fn done(step: &str, detail: &str) -> Result<()> {
    output::line(&format!(
        "  ok  {step}{}{detail}",
        if detail.is_empty() { "" } else { ": " }
    ))
}

/// Two things: one oversteps, the other's key was stolen.
async fn tell(dir: &DataDir, started: Duration) -> Result<()> {
    output::line("Palisade, in a minute")?;
    done(
        "the platform is up, with its own CAs and an administrator",
        &millis(started),
    )?;
    let client = Client::from_profile(&dir.aws_config())?;
    let pump = thing::create(&client, dir, "pump-7", &bundle(dir, "pump-7"), None).await?;
    let valve = thing::create(&client, dir, "valve-3", &bundle(dir, "valve-3"), None).await?;
    done(
        "two things exist, each with its own certificate",
        "pump-7, valve-3",
    )?;
    oversteps(&client, &pump).await?;
    is_revoked(&client, &valve).await
}

/// A device works, reaches for another's topic, and the reason of the refusal is looked up.
async fn oversteps(client: &Client, pump: &Bundle) -> Result<()> {
    let mut pump = Device::connect(pump, "pump-7").await?;
    pump.subscribe("things/pump-7/#").await?;
    let speed = Bytes::from_static(b"42 rpm");
    pump.publish(
        "things/pump-7/speed",
        speed.clone(),
        QoS::AtLeastOnce,
        false,
    )
    .await?;
    let message = tokio::time::timeout(PATIENCE, pump.next()).await??;
    ensure!(message.payload == speed, "the pump hears what it said");
    done(
        "pump-7 publishes and hears its own topic",
        "things/pump-7/speed",
    )?;

    let denied = pump
        .publish("things/valve-3/open", "now".into(), QoS::AtLeastOnce, false)
        .await;
    let refusal = denied.err().context("the pump may not command the valve")?;
    let refusal = refusal.downcast::<Refusal>()?;
    ensure!(
        refusal.reason == ReasonCode::NotAuthorized,
        "the reason is Not authorized"
    );
    let id = refusal.denial_id();
    let id = id.context("the refusal names its denial id")?;
    done("pump-7 oversteps and is refused", &refusal.to_string())?;
    let denial = client
        .get("palisade", &format!("/denials/{}", encode(id)))
        .await?;
    let resource = denial.body["denial"]["resource"]
        .as_str()
        .unwrap_or_default();
    ensure!(
        resource.ends_with("things/valve-3/open"),
        "the denial names the topic"
    );
    done(
        "who has the right can ask why",
        &format!("palisade why {id}"),
    )?;
    super::why::run(client, crate::arguments::Output::Table, Some(id)).await?;
    pump.disconnect().await
}

/// A connected device's certificate is revoked; its session ends and it cannot come back.
async fn is_revoked(client: &Client, stolen: &Bundle) -> Result<()> {
    let mut valve = Device::connect(stolen, "valve-3").await?;
    done("valve-3 is connected; its key turns out to be stolen", "")?;
    let receipt = revoke::revoke(client, &stolen.connection.certificate_id).await?;
    let end = tokio::time::timeout(PATIENCE, valve.closed()).await?;
    ensure!(
        receipt.get("sessionsClosed").and_then(Value::as_u64) == Some(1),
        "one session ended"
    );
    let elapsed = receipt
        .get("elapsedMs")
        .map(ToString::to_string)
        .unwrap_or_default();
    done(
        "it is revoked, and its live session is gone",
        &format!("{elapsed} ms; {end}"),
    )?;
    ensure!(
        Device::connect(stolen, "valve-3").await.is_err(),
        "it may not come back"
    );
    done("it cannot come back", "")
}

fn bundle(dir: &DataDir, name: &str) -> PathBuf {
    dir.root().join(format!("{name}.zip"))
}

fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn how_to_go_on(dir: &DataDir) -> Result<()> {
    let root = dir.root().display();
    output::line(&format!(
        "\nIt stays up until Ctrl-C. In another terminal:\n\
         \n  eval \"$(palisade --data-dir {root} env)\"   # the AWS CLI, boto3 and Terraform\n  \
         aws iot list-things\n  \
         palisade --data-dir {root} connections list\n  \
         palisade --data-dir {root} sub 'things/pump-7/#' --bundle {root}/pump-7.zip\n"
    ))
}
