//! Palisade itself, set up through its own API: things, certificates, policies with variables.

use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::control::Control;
use super::fleet::{Fleet, Right};
use super::{Peer, Running, run, spawn};

/// Connections to the control plane while clients are enrolled: writes that wait together are
/// committed together.
const ENROLLING: usize = 8;
const ARN: &str = "arn:aws:iot:us-east-1:111122223333";
const THING: &str = "${iot:Connection.Thing.ThingName}";
const READS: &str = "${iot:Connection.Thing.Attributes[reads]}";
const CLIENT: &str = "${iot:ClientId}";

/// Palisade.
#[derive(Debug)]
pub(crate) struct Palisade {
    program: PathBuf,
    version: String,
    data_dir: PathBuf,
}

impl Palisade {
    pub(crate) fn set_up(fleet: &Fleet, program: &Path, dir: &Path) -> Result<Self> {
        let missing = || format!("{} is not built", program.display());
        ensure!(program.exists(), missing());
        let version = run(Command::new(program).arg("--version"))?
            .trim()
            .to_owned();
        let palisade = Self {
            program: program.to_owned(),
            version,
            data_dir: dir.join("data"),
        };
        let running = palisade.start()?;
        let mut control = Control::connect(&palisade.data_dir)?;
        for (name, document) in policies() {
            let body = json!({ "policyDocument": document.to_string() });
            control.call("POST", &format!("/policies/{name}"), None, &body)?;
        }
        let clients: Vec<(&String, &Right)> = fleet.clients.iter().collect();
        let share = clients.len().div_ceil(ENROLLING).max(1);
        std::thread::scope(|scope| {
            let enrolling: Vec<_> = clients
                .chunks(share)
                .map(|part| scope.spawn(|| palisade.enrol_all(fleet, part)))
                .collect();
            let joined = enrolling.into_iter().map(|thread| thread.join());
            let mut ended = joined.map(|done| done.map_err(|_| anyhow!("enrolling panicked")));
            ended.try_for_each(|done| done?)
        })?;
        drop(running);
        Ok(palisade)
    }

    fn enrol_all(&self, fleet: &Fleet, clients: &[(&String, &Right)]) -> Result<()> {
        let mut control = Control::connect(&self.data_dir)?;
        for (name, right) in clients {
            let (policy, reads) = match right {
                Right::Publishes => ("device", None),
                Right::Reads(publisher) => ("reader", Some(publisher.as_str())),
                Right::Collects => ("collector", None),
                Right::Idles => ("idle", None),
                Right::Feeds => ("feeder", None),
            };
            let pem = fleet.certificate_pem(name)?;
            let attributes = reads.map(|publisher| json!({ "reads": publisher }));
            enrol(&mut control, name, &pem, policy, attributes)?;
        }
        Ok(())
    }

    /// What the control plane is reached with while it runs.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}

impl Peer for Palisade {
    fn note(&self) -> String {
        format!(
            "{}: things, certificates and policies with variables, SQLite, default settings, but that \
             one certificate may connect as often and hold as many connections as it likes",
            self.version
        )
    }

    fn start(&self) -> Result<Running> {
        let log = self.data_dir.with_extension("log");
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .arg("up")
            .arg("--account-id=111122223333")
            .arg("--data-dir")
            .arg(&self.data_dir)
            // All idle connections are of one certificate, and few certificates connect again and
            // again.
            .arg("--set=broker.connections_per_principal_max=1000000")
            .arg("--set=broker.connects_per_principal_s=1000000")
            // Some seconds of insertions are more than the default bound keeps.
            .arg("--set=broker.queue_bytes_max=8589934592");
        for name in ["mqtt", "device", "https", "control", "operator"] {
            command.arg(format!("--listen-{name}=127.0.0.1:0"));
        }
        let unknown = SocketAddrV4::new([127, 0, 0, 1].into(), 0);
        let mut running = Running {
            child: spawn(&mut command, &log)?,
            address: unknown,
            ca: self.data_dir.join("ca.pem"),
        };
        let (pid, file) = (running.pid(), self.data_dir.join("run.json"));
        running.address = running.until(&log, || mqtt_address(&file, pid))?;
        Ok(running)
    }
}

/// The MQTT listener, once the process `pid` says that it is ready.
fn mqtt_address(run_file: &Path, pid: u32) -> Option<SocketAddrV4> {
    let text = fs::read_to_string(run_file).ok()?;
    let run: Value = serde_json::from_str(&text).ok()?;
    let ours = run["pid"].as_u64() == Some(pid.into());
    ours.then(|| run["endpoints"]["mqtt"].as_str()?.parse().ok())?
}

/// A certificate with a policy; with a thing under the same name unless it is to serve many
/// client ids.
fn enrol(
    control: &mut Control,
    name: &str,
    pem: &str,
    policy: &str,
    attributes: Option<Value>,
) -> Result<()> {
    let body = json!({ "certificatePem": pem, "status": "ACTIVE" });
    let registered = control.call("POST", "/certificate/register-no-ca", None, &body)?;
    let arn = registered["certificateArn"].as_str();
    let arn = arn.context("a certificate has an ARN")?.to_owned();
    let target = json!({ "target": arn });
    control.call("PUT", &format!("/target-policies/{policy}"), None, &target)?;
    if ["idle", "feeder"].contains(&policy) {
        return Ok(());
    }
    let body = json!({ "attributePayload": { "attributes": attributes.unwrap_or(json!({})) } });
    control.call("POST", &format!("/things/{name}"), None, &body)?;
    let principals = format!("/things/{name}/principals");
    control.call("PUT", &principals, Some(&arn), &Value::Null)?;
    Ok(())
}

/// The policy of devices, with a right more that nobody needs.
pub(crate) fn policy_with_more() -> Value {
    let [connect, publish] = device();
    document(&[connect, publish, allow("iot:Subscribe", "topicfilter/more")])
}

fn device() -> [Value; 2] {
    [
        allow("iot:Connect", &format!("client/{THING}")),
        allow("iot:Publish", &format!("topic/t/{THING}/d")),
    ]
}

/// The policy of devices, without the right to connect.
pub(crate) fn policy_without_connect() -> Value {
    let [_, publish] = device();
    document(&[publish])
}

fn policies() -> [(&'static str, Value); 5] {
    let connect = |client: &str| allow("iot:Connect", &format!("client/{client}"));
    let read = |topic: &str, filter: &str| {
        let subscribe = allow("iot:Subscribe", &format!("topicfilter/t/{filter}/d"));
        [
            subscribe,
            allow("iot:Receive", &format!("topic/t/{topic}/d")),
        ]
    };
    let reader = |client: &str, topic: &str, filter: &str| {
        let [subscribe, receive] = read(topic, filter);
        document(&[connect(client), subscribe, receive])
    };
    [
        ("device", document(&device())),
        ("reader", reader(THING, READS, READS)),
        ("collector", reader(THING, "*", "+")),
        ("idle", reader("idle-*", CLIENT, CLIENT)),
        (
            "feeder",
            document(&[connect("feeder-*"), allow("iot:Publish", "topic/t/*/d")]),
        ),
    ]
}

fn allow(action: &str, resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": action, "Resource": format!("{ARN}:{resource}") })
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}
