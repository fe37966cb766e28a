//! The gateway with the certificates' operations, on a database that a test has opened.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certificates::{Event, Ports};
use gateway::{
    Caller, CallerKind, Credential, Credentials, DenialLimits, Denials, Gateway, GatewayOptions,
    Limits, Metrics,
};
use model::{AccountId, ApiError, ManualClock, Profile, Region, Scope, Timestamp};
use pki::KeyKind;
use pki::authority::{DeviceAuthority, Validity};
use policy::{Dialect, Document, NamedPolicy};
use serde_json::{Value, json};
use storage::{Changes, Migration, Storage, Tx, Urgency, params};
use tokio::runtime::Runtime;

use crate::fixture::{Attached, Ca, Tagged, self_signed};

const MARKER: &str = "test-marker";

pub(crate) struct World<'a> {
    pub(crate) attached: Arc<Attached>,
    pub(crate) tagged: Arc<Tagged>,
    storage: &'a Storage,
    clock: &'a ManualClock,
    gateway: Gateway,
    runtime: Runtime,
    changes: Mutex<Changes>,
}

/// Runs a test on each engine, with keys that are quickly made.
#[track_caller]
pub(crate) fn each_world(test: impl Fn(&World<'_>)) {
    testkit::each_database_and_clock(&migrations(), |storage, clock| {
        test(&World::new(storage, clock));
    });
}

pub(crate) fn migrations() -> Vec<Migration> {
    [gateway::MIGRATIONS, certificates::MIGRATIONS].concat()
}

/// Waits until the storage has let go of its database.
pub(crate) fn closed(storage: Storage) {
    runtime().block_on(storage.close());
}

impl<'a> World<'a> {
    pub(crate) fn new(storage: &'a Storage, clock: &'a ManualClock) -> Self {
        Self::with_keys(storage, clock, KeyKind::EcdsaP256)
    }

    pub(crate) fn with_keys(storage: &'a Storage, clock: &'a ManualClock, keys: KeyKind) -> Self {
        let now = storage.clock().now();
        let validity = Validity::lasting(now, Duration::from_hours(30 * 365 * 24));
        let authority = DeviceAuthority::create("test", validity.expect("a validity"));
        let attached = Arc::new(Attached::default());
        let tagged = Arc::new(Tagged::default());
        let ports = Ports {
            authority: Arc::new(authority.expect("an authority")),
            keys,
            attachments: Arc::clone(&attached) as Arc<dyn certificates::Attachments>,
            tags: Arc::clone(&tagged) as Arc<dyn certificates::Tags>,
        };
        let gateway = Gateway::new(GatewayOptions {
            storage: storage.clone(),
            scope: scope(),
            profile: Profile::Standard,
            operations: certificates::operations(&ports),
            credentials: Arc::new(Nobody),
            device_policy: None,
            denials: Denials::new(Arc::clone(storage.clock()), DenialLimits::default()),
            hosts: vec!["localhost".to_owned()],
            metrics: Metrics::new(),
            limits: Limits::default(),
        });
        Self {
            attached,
            tagged,
            storage,
            clock,
            gateway: gateway.expect("a gateway"),
            runtime: runtime(),
            changes: Mutex::new(storage.changes()),
        }
    }

    pub(crate) fn call(
        &self,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        let call = self.gateway.call(caller, "iot", operation, input);
        self.runtime.block_on(call)
    }

    #[track_caller]
    pub(crate) fn ok(&self, operation: &str, input: Value) -> Value {
        match self.call(&administrator(), operation, input.clone()) {
            Ok(output) => output,
            Err(error) => panic!("{operation} {input}: {error}"),
        }
    }

    /// The call fails with `exception`, and the message contains `says`.
    #[track_caller]
    pub(crate) fn refused(
        &self,
        operation: &str,
        input: Value,
        exception: &str,
        says: &str,
    ) -> ApiError {
        match self.call(&administrator(), operation, input.clone()) {
            Ok(output) => panic!("{operation} {input}: {output}"),
            Err(error) => {
                assert_eq!(error.exception, exception, "{operation} {input}: {error}");
                assert!(error.message.contains(says), "{operation} {input}: {error}");
                error
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.storage.clock().now()
    }

    pub(crate) fn advance_ms(&self, by: u64) {
        self.clock.advance(Duration::from_millis(by));
    }

    pub(crate) fn arn(&self, resource: &str) -> String {
        scope().iot_arn(resource)
    }

    #[track_caller]
    pub(crate) fn described(&self, id: &str) -> Value {
        let mut described = self.ok("DescribeCertificate", json!({"certificateId": id}));
        described["certificateDescription"].take()
    }

    #[track_caller]
    pub(crate) fn described_ca(&self, id: &str) -> Value {
        let mut described = self.ok("DescribeCACertificate", json!({"certificateId": id}));
        assert!(described.get("registrationConfig").is_none());
        described["certificateDescription"].take()
    }

    #[track_caller]
    pub(crate) fn status(&self, id: &str) -> String {
        self.described(id)["status"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn set_status(&self, id: &str, status: &str) {
        self.ok(
            "UpdateCertificate",
            json!({"certificateId": id, "newStatus": status}),
        );
    }

    /// The id of a new certificate that has `status`.
    #[track_caller]
    pub(crate) fn certificate(&self, status: &str) -> String {
        let input = json!({"certificatePem": self_signed("a"), "status": status});
        let registered = self.ok("RegisterCertificateWithoutCA", input);
        registered["certificateId"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn registration_code(&self) -> String {
        let answer = self.ok("GetRegistrationCode", json!({}));
        answer["registrationCode"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    /// Registers `ca` in mode DEFAULT, with all that takes.
    #[track_caller]
    pub(crate) fn register_ca(&self, ca: &Ca, mut input: Value) -> Value {
        input["caCertificate"] = json!(ca.pem);
        input["verificationCertificate"] = json!(ca.sign(&self.registration_code()));
        self.ok("RegisterCACertificate", input)
    }

    /// The ids of a whole list, page by page.
    #[track_caller]
    pub(crate) fn listed(&self, operation: &str, mut input: Value) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        loop {
            let page = self.ok(operation, input.clone());
            let items = page["certificates"].as_array().expect("a list");
            let ids = items
                .iter()
                .map(|item| item["certificateId"].as_str().expect("a text"));
            pages.push(ids.map(str::to_owned).collect());
            match page.get("nextMarker") {
                Some(marker) => input["marker"] = marker.clone(),
                None => return pages,
            }
        }
    }

    /// How many device certificates there are.
    #[track_caller]
    pub(crate) fn count(&self) -> usize {
        self.listed("ListCertificates", json!({})).concat().len()
    }

    /// Topic and key of what was announced since the last call.
    pub(crate) fn changes(&self) -> Vec<(String, String)> {
        self.write(|tx, _| Ok(tx.changed(MARKER, "")?));
        let mut changes = crate::fixture::locked(&self.changes);
        let mut found = Vec::new();
        loop {
            for change in self.runtime.block_on(changes.next()) {
                if change.topic == MARKER {
                    return found;
                }
                found.push((change.topic, change.key));
            }
        }
    }

    #[track_caller]
    pub(crate) fn read<T: Send + 'static>(
        &self,
        run: impl Fn(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> T {
        self.storage.read_blocking(run).expect("a read")
    }

    #[track_caller]
    fn write<T: Send + 'static>(
        &self,
        run: impl Fn(&mut Tx<'_>, &Scope) -> Result<T, ApiError> + Send + 'static,
    ) -> T {
        let written = self
            .storage
            .write_blocking(Urgency::Normal, move |tx| run(tx, &scope()));
        written.expect("a write").value
    }

    /// A device shows its certificate from `198.51.100.9`.
    #[track_caller]
    pub(crate) fn introduce(&self, der: &[u8]) -> Option<Event> {
        self.introduce_from(der, "198.51.100.9")
    }

    #[track_caller]
    pub(crate) fn introduce_from(&self, der: &[u8], source_ip: &str) -> Option<Event> {
        let source_ip: IpAddr = source_ip.parse().expect("an address");
        let der = der.to_vec();
        self.write(move |tx, scope| certificates::introduce(tx, scope, &der, source_ip))
    }

    /// Rows as `count` introductions by the authority `ca` leave them, now.
    pub(crate) fn fill(&self, ca: &str, count: u16) {
        let ca = ca.to_owned();
        self.write(move |tx, _| {
            let now = tx.now();
            for number in 0..count {
                tx.execute(
                    "INSERT INTO certificates (certificate_id, ca_certificate_id, status, mode, \
                     pem, signed_sha256, issue_sha256, key_sha256, generation_id, \
                     customer_version, not_before, not_after, created_at, modified_at) \
                     VALUES (?1, ?2, 'PENDING_ACTIVATION', 'DEFAULT', '', ?4, ?4, ?4, '', 1, 0, \
                     0, ?3, ?3)",
                    &params![
                        format!("{number:064x}"),
                        &ca,
                        now,
                        number.to_be_bytes().as_slice()
                    ],
                )?;
            }
            Ok(())
        });
    }
}

/// May do everything.
pub(crate) fn administrator() -> Caller {
    let text = r#"{"Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    let document = Document::parse(text, Dialect::Identity).expect("a policy");
    let policy = NamedPolicy {
        name: "everything".into(),
        arn: "arn:aws:iam::111122223333:policy/everything".into(),
        version: "v1".into(),
        document: Arc::new(document),
        text: text.into(),
    };
    Caller {
        policies: Arc::new(vec![policy]),
        ..nobody()
    }
}

/// May do nothing.
pub(crate) fn nobody() -> Caller {
    Caller {
        kind: CallerKind::User,
        arn: "arn:aws:iam::111122223333:user/someone".to_owned(),
        user_id: "AIDAEXAMPLE".to_owned(),
        account: "111122223333".to_owned(),
        access_key_id: Some("AKIAEXAMPLE".to_owned()),
        session_name: None,
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: String::new(),
        policies: Arc::default(),
        tags: BTreeMap::new(),
        certificate: None,
    }
}

fn scope() -> Scope {
    let account = AccountId::parse("111122223333").expect("an account");
    Scope::new(account, Region::parse("us-east-1").expect("a region"))
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime")
}

/// No access keys: tests call as a caller who is already known.
struct Nobody;

impl Credentials for Nobody {
    fn find(&self, _tx: &mut Tx<'_>, _id: &str) -> Result<Option<Credential>, ApiError> {
        Ok(None)
    }
}
