//! mosquitto of Debian: per-client certificates, the common name as user name, an ACL file.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::fleet::{Fleet, Right};
use super::{Peer, Running, free_address, installed, run};

/// mosquitto.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    program: PathBuf,
    version: String,
    dir: PathBuf,
    settings: String,
    ca: PathBuf,
}

impl Mosquitto {
    pub(crate) fn set_up(fleet: &Fleet, dir: &Path) -> Result<Self> {
        let program = installed("mosquitto", "mosquitto")?;
        let help = run(Command::new(&program).arg("-h"))?;
        let version = help.lines().next().unwrap_or("mosquitto").to_owned();
        let acl = dir.join("acl");
        fs::write(&acl, acl_file(fleet))?;
        let settings = format!(
            "user root\n\
             allow_anonymous false\n\
             acl_file {}\n\
             cafile {}\n\
             certfile {}\n\
             keyfile {}\n\
             require_certificate true\n\
             use_identity_as_username true\n\
             tls_version tlsv1.3\n\
             set_tcp_nodelay true\n\
             persistence false\n\
             max_queued_messages 0\n\
             max_inflight_messages 1000\n\
             connection_messages false\n\
             log_type error\n",
            acl.display(),
            fleet.ca.display(),
            fleet.server_certificate.display(),
            fleet.server_key.display(),
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

impl Peer for Mosquitto {
    fn note(&self) -> String {
        format!(
            "{}: client certificates, ACL file of patterns, no persistence",
            self.version
        )
    }

    fn start(&self) -> Result<Running> {
        let address = free_address()?;
        let settings = self.dir.join("mosquitto.conf");
        let listener = format!("listener {} {}\n", address.port(), address.ip());
        fs::write(&settings, listener + &self.settings)?;
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&settings);
        Running::start(&mut command, &self.dir.join("log"), address, &self.ca)
    }
}

/// What each client may do, in mosquitto's words.
pub(super) fn acl_file(fleet: &Fleet) -> String {
    let mut acl = String::from("pattern write t/%u/d\n");
    for (name, right) in &fleet.clients {
        let topic = match right {
            Right::Publishes | Right::Feeds => continue,
            Right::Reads(publisher) => format!("t/{publisher}/d"),
            Right::Collects | Right::Idles => "t/+/d".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = write!(acl, "user {name}\ntopic read {topic}\n");
    }
    acl
}
