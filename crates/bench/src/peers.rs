//! The brokers that are measured: how each is set up, started and stopped.
//!
//! All get the same clients with the same certificates, and each is told the same in its own words:
//! a client certificate is required, a device may publish on its own topic and nowhere else, a
//! reader may read its publisher and nobody else. What a peer cannot do stands in its note.

pub(crate) mod control;
mod flashmq;
pub(crate) mod fleet;
mod mosquitto;
mod nats;
pub(crate) mod palisade;
mod rmqtt;
mod rumqttd;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use model::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use fleet::Fleet;

const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_millis(10);

/// A broker by its name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    Palisade,
    Mosquitto,
    Nats,
    Rumqttd,
    Rmqtt,
    FlashMq,
}

impl Name {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Palisade => "palisade",
            Self::Mosquitto => "mosquitto",
            Self::Nats => "nats",
            Self::Rumqttd => "rumqttd",
            Self::Rmqtt => "rmqtt",
            Self::FlashMq => "flashmq",
        }
    }
}

/// Where the binaries are that are not found by name.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) palisade: PathBuf,
    /// What `scripts/setup bench` built from the crate registry.
    pub(crate) built: PathBuf,
    pub(crate) flashmq: Option<PathBuf>,
}

/// A broker that can be started.
pub(crate) trait Peer {
    /// What it is, and what a reader of its figures must know.
    fn note(&self) -> String;

    /// Starts it with nothing in memory.
    fn start(&self) -> Result<Running>;
}

/// Sets a peer up in `dir`.
///
/// # Errors
/// When it is not installed or refuses its configuration; the others run without it.
pub(crate) fn set_up(
    name: Name,
    fleet: &Fleet,
    binaries: &Binaries,
    dir: &Path,
) -> Result<Box<dyn Peer>> {
    let dir = dir.join(name.as_str());
    fs::create_dir_all(&dir)?;
    Ok(match name {
        Name::Palisade => Box::new(palisade::Palisade::set_up(fleet, &binaries.palisade, &dir)?),
        Name::Mosquitto => Box::new(mosquitto::Mosquitto::set_up(fleet, &dir)?),
        Name::Nats => Box::new(nats::Nats::set_up(fleet, &dir)?),
        Name::Rumqttd => Box::new(rumqttd::Rumqttd::set_up(fleet, &binaries.built, &dir)?),
        Name::Rmqtt => Box::new(rmqtt::Rmqtt::set_up(fleet, &binaries.built, &dir)?),
        Name::FlashMq => {
            let program = binaries.flashmq.as_deref();
            Box::new(flashmq::FlashMq::set_up(fleet, program, &dir)?)
        }
    })
}

/// A broker that runs; it is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddrV4,
    /// What its certificate is to be verified against.
    pub(crate) ca: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts `command`, whose output goes to `log`, and waits until `address` is answered.
    fn start(command: &mut Command, log: &Path, address: SocketAddrV4, ca: &Path) -> Result<Self> {
        let mut running = Self {
            child: spawn(command, log)?,
            address,
            ca: ca.to_owned(),
        };
        running.until(log, || TcpStream::connect(address).ok().map(drop))?;
        Ok(running)
    }

    /// Waits until `condition` answers something.
    fn until<T>(&mut self, log: &Path, condition: impl Fn() -> Option<T>) -> Result<T> {
        let deadline = SystemClock.instant() + START_PATIENCE;
        loop {
            if let Some(value) = condition() {
                return Ok(value);
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || deadline < SystemClock.instant() {
                let text = fs::read_to_string(log).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(8).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!("it did not start ({ended:?}): {}", tail.join("\n"));
            }
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let told = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let deadline = SystemClock.instant() + STOP_PATIENCE;
        while told && SystemClock.instant() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(GLANCE);
        }
        // It is gone already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let output = File::create(log)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn();
    child.with_context(|| format!("could not start {}", command.get_program().display()))
}

/// The program on the path, or why there is none.
fn installed(program: &str, package: &str) -> Result<PathBuf> {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = places.iter().map(|place| Path::new(place).join(program));
    let found = found.into_iter().find(|path| path.exists());
    found.with_context(|| format!("{program} is not installed (Debian package {package})"))
}

/// A loopback address that nobody listens on.
fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

fn run(command: &mut Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output();
    let done = done.with_context(|| format!("{}", command.get_program().display()))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    Ok(text + &String::from_utf8_lossy(&done.stderr))
}
