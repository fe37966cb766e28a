//! nats-server of Debian: its MQTT door, client certificates mapped to users, permissions,
//! JetStream on disk as its MQTT needs it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::fleet::{Fleet, Right};
use super::{Peer, Running, free_address, installed, run};

/// NATS.
#[derive(Debug)]
pub(crate) struct Nats {
    program: PathBuf,
    version: String,
    dir: PathBuf,
    settings: String,
    ca: PathBuf,
}

impl Nats {
    pub(crate) fn set_up(fleet: &Fleet, dir: &Path) -> Result<Self> {
        let program = installed("nats-server", "nats-server")?;
        let version = run(Command::new(&program).arg("--version"))?
            .trim()
            .to_owned();
        let tls = format!(
            "cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify_and_map: true, timeout: 20",
            fleet.server_certificate, fleet.server_key, fleet.ca
        );
        let settings = format!(
            "max_connections: 1000000\n\
             authorization {{ users: [\n{}] }}\n\
             mqtt {{ max_ack_pending: 65535, tls {{ {tls} }}, ",
            users(fleet)
        );
        Ok(Self {
            program,
            version,
            dir: dir.to_owned(),
            settings,
            ca: fleet.ca.clone(),
        })
    }
}

impl Peer for Nats {
    fn note(&self) -> String {
        format!(
            "{}: client certificates, permissions; QoS 1 goes through JetStream on disk",
            self.version
        )
    }

    fn start(&self) -> Result<Running> {
        let (address, own) = (free_address()?, free_address()?);
        let (settings, store) = (self.dir.join("nats.conf"), self.dir.join("jetstream"));
        if store.exists() {
            fs::remove_dir_all(&store)?;
        }
        let text = format!(
            "server_name: bench\nlisten: \"{own}\"\njetstream {{ store_dir: {store:?} }}\n\
             {}listen: \"{address}\" }}\n",
            self.settings
        );
        fs::write(&settings, text)?;
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&settings);
        Running::start(&mut command, &self.dir.join("log"), address, &self.ca)
    }
}

/// A user for each certificate; `t/p0/d` is the subject `t.p0.d`. What its MQTT needs inside is
/// below `$MQTT`.
fn users(fleet: &Fleet) -> String {
    let mut users = String::new();
    for (name, right) in &fleet.clients {
        let (publish, subscribe) = match right {
            Right::Publishes => (format!("\"t.{name}.d\", "), String::new()),
            Right::Feeds => ("\"t.*.d\", ".to_owned(), String::new()),
            Right::Reads(publisher) => (String::new(), format!("\"t.{publisher}.d\", ")),
            Right::Collects | Right::Idles => (String::new(), "\"t.*.d\", ".to_owned()),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            users,
            "{{ user: \"CN={name}\", permissions: {{ publish: [{publish}\"$MQTT.>\"], \
             subscribe: [{subscribe}\"$MQTT.>\"] }} }}"
        );
    }
    users
}
