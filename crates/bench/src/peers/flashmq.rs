//! FlashMQ, where a binary is named: it is in no registry that we install from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::fleet::Fleet;
use super::mosquitto::acl_file;
use super::{Peer, Running, free_address, run};

/// FlashMQ.
#[derive(Debug)]
pub(crate) struct FlashMq {
    program: PathBuf,
    version: String,
    dir: PathBuf,
    settings: String,
    server: String,
    ca: PathBuf,
}

impl FlashMq {
    pub(crate) fn set_up(fleet: &Fleet, program: Option<&Path>, dir: &Path) -> Result<Self> {
        let program = program.unwrap_or(Path::new(""));
        let named = !program.as_os_str().is_empty();
        ensure!(named, "no binary is named (--flashmq FILE or FLASHMQ=FILE)");
        ensure!(program.exists(), "{} is not there", program.display());
        let version = run(Command::new(program).arg("--version"))?;
        let acl = dir.join("acl");
        fs::write(&acl, acl_file(fleet))?;
        let (certificate, key) = (&fleet.server_certificate, &fleet.server_key);
        let server = format!(
            "fullchain {}\nprivkey {}\nclient_verification_ca_file {}\n\
             tcp_nodelay true\nallow_anonymous true\n",
            certificate.display(),
            key.display(),
            fleet.ca.display()
        );
        Ok(Self {
            program: program.to_owned(),
            version: version.lines().next().unwrap_or("FlashMQ").to_owned(),
            dir: dir.to_owned(),
            settings: format!(
                "mosquitto_acl_file {}\nlog_level error\nexpire_sessions_after_seconds 3600\n\
                 max_qos_msg_pending_per_client 65535\n",
                acl.display()
            ),
            server,
            ca: fleet.ca.clone(),
        })
    }
}

impl Peer for FlashMq {
    fn note(&self) -> String {
        format!(
            "{}: client certificates, ACL file of patterns",
            self.version
        )
    }

    fn start(&self) -> Result<Running> {
        let address = free_address()?;
        let settings = self.dir.join("flashmq.conf");
        let text = format!(
            "{}listen {{\nprotocol mqtt\nport {}\n{}}}\n",
            self.settings,
            address.port(),
            self.server
        );
        fs::write(&settings, text)?;
        let mut command = Command::new(&self.program);
        command.arg("--config-file").arg(&settings);
        Running::start(&mut command, &self.dir.join("log"), address, &self.ca)
    }
}
