//! How soon access ends: from the call to the closed socket, among many live sessions, each with a
//! certificate of its own.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use model::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::Figure;
use crate::load::crowd::{Crowd, Join, nothing};
use crate::load::histogram::Histogram;
use crate::load::target::Target;
use crate::peers::Peer as _;
use crate::peers::control::Control;
use crate::peers::fleet::Fleet;
use crate::peers::palisade::{Palisade, policy_with_more, policy_without_connect};

/// Certificates revoked one after the other.
const REVOKED: usize = 200;
const NEW_VERSION: &str = "/policies/device/version?setAsDefault=true";
const AIM_MS: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn measure(program: &Path, sessions: u32) -> Result<Vec<Figure>> {
    let dir = tempfile::Builder::new()
        .prefix("palisade-bench-")
        .tempdir()?;
    let names: Vec<String> = (0..sessions).map(|n| format!("d{n}")).collect();
    let fleet = Fleet::of(dir.path(), names.iter().map(String::as_str))?;
    let palisade = Palisade::set_up(&fleet, program, dir.path())?;
    let running = palisade.start()?;
    let (address, ca) = (running.address, &running.ca);
    let mut target = Target::secured(address, ca, &fleet.identities, false, false)?;
    target.sources = 16;
    let mut crowd = Crowd::new(target)?;
    let join = |name: &String| Join {
        identity: name.clone(),
        client_id: name.clone(),
        clean: true,
        subscribes: None,
    };
    crowd.open(names.iter().map(join), &mut nothing)?;
    let control = Control::connect(palisade.data_dir())?;
    let (revoked, control) = revoke(&mut crowd, control, &fleet, &names)?;
    Ok(vec![revoked, change_policy(&mut crowd, control)?])
}

/// One certificate after the other.
fn revoke(
    crowd: &mut Crowd,
    mut control: Control,
    fleet: &Fleet,
    names: &[String],
) -> Result<(Figure, Control)> {
    let (mut closed, mut answered) = (Histogram::new(), Histogram::new());
    for (index, name) in names.iter().enumerate().take(REVOKED) {
        let id = fleet.certificate_id(name)?;
        let path = format!("/certificates/{id}?newStatus=REVOKED");
        let answer = call(control, "PUT", path, Value::Null);
        let (began, done, back) = until(crowd, &answer, index + 1)?;
        control = back;
        let end = crowd.closed_at(index);
        closed.add(nanoseconds(end.context("another session ended")? - began)?);
        answered.add(nanoseconds(done - began)?);
    }
    let detail = format!(
        "{REVOKED} certificates, one after the other; from sending UpdateCertificate to the closed \
         socket: p50 {:.1} ms, slowest {:.1} ms; the answer took p50 {:.1} ms, p99 {:.1} ms",
        milliseconds(&closed, 0.5),
        milliseconds(&closed, 1.0),
        milliseconds(&answered, 0.5),
        milliseconds(&answered, 0.99)
    );
    let what = format!("a revocation among {} live sessions, p99", names.len());
    let p99 = milliseconds(&closed, 0.99);
    Ok((Figure::below(&what, p99, "ms", AIM_MS, detail), control))
}

/// All that are left at once.
fn change_policy(crowd: &mut Crowd, mut control: Control) -> Result<Figure> {
    let judged = widen_policy(&mut control)?;
    let path = NEW_VERSION.to_owned();
    let body = json!({ "policyDocument": policy_without_connect().to_string() });
    let (answer, all) = (call(control, "POST", path, body), crowd.len());
    let (began, done, _) = until(crowd, &answer, all)?;
    let mut closed = Histogram::new();
    for index in REVOKED..all {
        let end = crowd.closed_at(index).context("a session lives on")?;
        closed.add(nanoseconds(end - began)?);
    }
    let detail = format!(
        "CreatePolicyVersion without iot:Connect, so that all end; from sending it to each closed \
         socket: p50 {:.0} ms, slowest {:.0} ms; answered after {:.1} ms; a version before it that \
         takes nothing away was applied to all after {judged} ms, by its receipt",
        milliseconds(&closed, 0.5),
        milliseconds(&closed, 1.0),
        (done - began).as_secs_f64() * 1e3
    );
    let what = format!(
        "a policy attached to all of {} live sessions, p99",
        all - REVOKED
    );
    Ok(Figure::below(
        &what,
        milliseconds(&closed, 0.99),
        "ms",
        AIM_MS,
        detail,
    ))
}

/// A version that ends nobody: the receipt says how long judging everybody again took.
fn widen_policy(control: &mut Control) -> Result<u64> {
    let body = json!({ "policyDocument": policy_with_more().to_string() });
    control.call("POST", NEW_VERSION, None, &body)?;
    let receipt = control.receipt()?;
    receipt["elapsedMs"]
        .as_u64()
        .with_context(|| format!("a receipt: {receipt}"))
}

fn milliseconds(histogram: &Histogram, part: f64) -> f64 {
    histogram.percentile_us(part) / 1e3
}

type Answered = mpsc::Receiver<Result<(Instant, Instant, Control)>>;

/// Calls from a thread, so that closes are seen as they come.
fn call(mut control: Control, method: &'static str, path: String, body: Value) -> Answered {
    let (tell, answer) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let began = SystemClock.instant();
        let done = control.call(method, &path, None, &body);
        // Whoever asked may have given up.
        let _ = tell.send(done.map(|_| (began, SystemClock.instant(), control)));
    });
    answer
}

/// Waits for the answer and for `closed` closed sockets; answers when the call began and ended.
fn until(
    crowd: &mut Crowd,
    answer: &Answered,
    closed: usize,
) -> Result<(Instant, Instant, Control)> {
    let deadline = SystemClock.instant() + PATIENCE;
    let mut times = None;
    while times.is_none() || crowd.closed() < closed {
        crowd.turn(&mut nothing)?;
        if times.is_none() {
            times = match answer.try_recv() {
                Ok(done) => Some(done?),
                Err(mpsc::TryRecvError::Empty) => None,
                Err(gone) => return Err(gone.into()),
            };
        }
        let late = || anyhow!("{} of {closed} sessions ended", crowd.closed());
        ensure!(SystemClock.instant() < deadline, late());
    }
    times.context("the call was answered")
}

fn nanoseconds(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_nanos())?)
}
