//! rumqttd of the crate registry, built with `verify-client-cert`. It has no access control lists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::fleet::Fleet;
use super::{Peer, Running, free_address};

/// What `scripts/setup bench` builds.
pub(crate) const VERSION: &str = "0.20.0";

/// rumqttd.
#[derive(Debug)]
pub(crate) struct Rumqttd {
    program: PathBuf,
    dir: PathBuf,
    settings: String,
    ca: PathBuf,
}

impl Rumqttd {
    pub(crate) fn set_up(fleet: &Fleet, built: &Path, dir: &Path) -> Result<Self> {
        let program = built.join("bin/rumqttd");
        ensure!(program.exists(), "{} is not built", program.display());
        let settings = format!(
            "[v4.1.tls]\ncapath = {:?}\ncertpath = {:?}\nkeypath = {:?}\n\
             [v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 20480\n\
             max_inflight_count = 1000\ndynamic_filters = true\n",
            fleet.ca, fleet.server_certificate, fleet.server_key
        );
        Ok(Self {
            program: std::path::absolute(program).context("its path")?,
            dir: dir.to_owned(),
            settings,
            ca: fleet.ca.clone(),
        })
    }
}

impl Peer for Rumqttd {
    fn note(&self) -> String {
        format!("rumqttd {VERSION}: client certificates (verify-client-cert); it has no ACL")
    }

    fn start(&self) -> Result<Running> {
        let address = free_address()?;
        let settings = self.dir.join("rumqttd.toml");
        let text = format!(
            "id = 0\n[router]\nid = 0\nmax_connections = 40000\nmax_outgoing_packet_count = 200\n\
             max_segment_size = 104857600\nmax_segment_count = 10\n\
             [v4.1]\nname = \"v4-1\"\nlisten = \"{address}\"\nnext_connection_delay_ms = 0\n{}",
            self.settings
        );
        fs::write(&settings, text)?;
        let mut command = Command::new(&self.program);
        command.arg("-q").arg("-c").arg(&settings);
        Running::start(&mut command, &self.dir.join("log"), address, &self.ca)
    }
}
