//! RMQTT of the crate registry with its ACL plug-in, as `crates/bench/peers/rmqtt` builds it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::fleet::{Fleet, Right};
use super::{Peer, Running, free_address};

/// What the manifest there asks for.
const VERSION: &str = "0.24.0";

/// RMQTT.
#[derive(Debug)]
pub(crate) struct Rmqtt {
    program: PathBuf,
    dir: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Rmqtt {
    pub(crate) fn set_up(fleet: &Fleet, built: &Path, dir: &Path) -> Result<Self> {
        let program = built.join("bin/bench-rmqtt");
        ensure!(program.exists(), "{} is not built", program.display());
        let rules = format!(
            "disconnect_if_pub_rejected = false\nrules = [\n{}]\n",
            rules(fleet)
        );
        fs::write(dir.join("rmqtt-acl.toml"), rules)?;
        Ok(Self {
            program: std::path::absolute(program).context("its path")?,
            dir: dir.to_owned(),
            certificate: fleet.server_certificate.clone(),
            key: fleet.server_key.clone(),
            ca: fleet.ca.clone(),
        })
    }
}

impl Peer for Rmqtt {
    fn note(&self) -> String {
        format!("RMQTT {VERSION}: client certificates, ACL plug-in")
    }

    fn start(&self) -> Result<Running> {
        let address = free_address()?;
        let mut command = Command::new(&self.program);
        command
            .arg(address.to_string())
            .args([&self.certificate, &self.key, &self.ca, &self.dir]);
        Running::start(&mut command, &self.dir.join("log"), address, &self.ca)
    }
}

/// The first that fits decides, so what is asked most stands first; reading is decided once, at
/// SUBSCRIBE.
fn rules(fleet: &Fleet) -> String {
    let mut rules = String::from(
        "[\"allow\", \"all\", \"publish\", [\"t/%u/d\"]],\n[\"allow\", \"all\", \"connect\"],\n",
    );
    for (name, right) in &fleet.clients {
        let topic = match right {
            Right::Publishes | Right::Feeds => continue,
            Right::Reads(publisher) => format!("t/{publisher}/d"),
            Right::Collects | Right::Idles => "t/+/d".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            rules,
            "[\"allow\", {{ user = \"{name}\" }}, \"subscribe\", [\"{topic}\"]],"
        );
    }
    rules + "[\"deny\", \"all\"]\n"
}
