//! An installation with nothing but the registry, and a caller who may do everything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use gateway::{
    Caller, CallerKind, Credential, Credentials, DenialLimits, Denials, Gateway, GatewayOptions,
    Metrics,
};
use model::{AccountId, ApiError, CertificateId, Profile, Region, Scope};
use policy::{CertificateFacts, Dialect, Document, NameAttribute, NamedPolicy};
use registry::{Certificates, Documents, Endpoints, Limits, Ports};
use serde_json::{Value, json};
use storage::{Migration, Storage, Tx, Urgency};
use testkit::TestDatabase;
use tokio::runtime::Runtime;

/// What every ARN of the tests begins with.
pub(crate) const A: &str = "arn:aws:iot:us-east-1:111122223333:";

/// The ARN of a resource.
pub(crate) fn arn(resource: &str) -> String {
    format!("{A}{resource}")
}

/// The id of a certificate: 64 times the same digit. Those of `f` are not registered.
pub(crate) fn certificate_id(digit: char) -> CertificateId {
    CertificateId::parse(&String::from(digit).repeat(64)).unwrap()
}

/// The ARN of [`certificate_id`].
pub(crate) fn certificate(digit: char) -> String {
    arn(&format!("cert/{}", certificate_id(digit)))
}

/// The id of an identity.
pub(crate) const IDENTITY: &str = "us-east-1:01234567-89ab-cdef-0123-456789abcdef";

/// Knows every certificate whose id does not begin with `f`, and the CA of digit `c`.
#[derive(Debug)]
pub(crate) struct KnownCertificates;

impl Certificates for KnownCertificates {
    fn exists(&self, _: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError> {
        Ok(!id.as_str().starts_with('f'))
    }

    fn ca_exists(&self, _: &mut Tx<'_>, id: &CertificateId) -> Result<bool, ApiError> {
        Ok(*id == certificate_id('c'))
    }

    fn facts(
        &self,
        tx: &mut Tx<'_>,
        id: &CertificateId,
    ) -> Result<Option<CertificateFacts>, ApiError> {
        let facts = CertificateFacts {
            id: id.to_string(),
            serial: "01".to_owned(),
            subject: vec![(NameAttribute::CommonName, vec!["pump".to_owned()])],
            ..CertificateFacts::default()
        };
        Ok(self.exists(tx, id)?.then_some(facts))
    }
}

struct NoCredentials;

impl Credentials for NoCredentials {
    fn find(&self, _: &mut Tx<'_>, _: &str) -> Result<Option<Credential>, ApiError> {
        Ok(None)
    }
}

/// The gateway over an open database.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<model::ManualClock>,
    caller: Caller,
    runtime: Runtime,
}

pub(crate) fn migrations() -> Vec<Migration> {
    [gateway::MIGRATIONS, registry::MIGRATIONS].concat()
}

pub(crate) fn scope() -> Scope {
    Scope::new(
        AccountId::parse("111122223333").unwrap(),
        Region::parse("us-east-1").unwrap(),
    )
}

/// A caller with one identity policy.
pub(crate) fn caller(policy: &Value) -> Caller {
    let text = policy.to_string();
    let policy = NamedPolicy {
        name: "test".into(),
        arn: "arn:aws:iam::111122223333:policy/test".into(),
        version: "1".into(),
        document: Arc::new(Document::parse(&text, Dialect::Identity).unwrap()),
        text: text.into(),
    };
    Caller {
        kind: CallerKind::User,
        arn: "arn:aws:iam::111122223333:user/tester".to_owned(),
        user_id: "AIDATESTER".to_owned(),
        account: "111122223333".to_owned(),
        access_key_id: None,
        session_name: None,
        source_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        user_agent: "test".to_owned(),
        policies: Arc::new(vec![policy]),
        tags: BTreeMap::new(),
        certificate: None,
    }
}

/// A policy document that allows everything but `action` on `resource`.
pub(crate) fn all_but(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": action, "Resource": resource},
    ]})
}

/// A policy document of one statement.
pub(crate) fn document(effect: &str, action: &str, resource: &str) -> Value {
    let statement = json!({"Effect": effect, "Action": action, "Resource": resource});
    json!({"Version": "2012-10-17", "Statement": statement})
}

impl World {
    /// Opens `database` with the limits of `profile`.
    pub(crate) fn open(database: &TestDatabase, profile: Profile) -> Self {
        let storage = database.open(&migrations());
        let ports = Ports {
            certificates: Arc::new(KnownCertificates),
            endpoints: Endpoints {
                data: "data.example".to_owned(),
                credentials: "credentials.example".to_owned(),
                jobs: "jobs.example".to_owned(),
            },
            limits: Limits::of(profile),
            documents: Arc::new(Documents::new()),
        };
        let gateway = Gateway::new(GatewayOptions {
            storage: storage.clone(),
            scope: scope(),
            profile,
            operations: registry::operations(&ports),
            credentials: Arc::new(NoCredentials),
            device_policy: None,
            denials: Denials::new(Arc::clone(storage.clock()), DenialLimits::default()),
            hosts: vec!["localhost".to_owned()],
            metrics: Metrics::new(),
            limits: gateway::Limits::default(),
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Self {
            gateway,
            storage,
            clock: Arc::clone(&database.clock),
            caller: caller(&document("Allow", "*", "*")),
            runtime,
        }
    }

    /// Calls an operation as someone.
    pub(crate) fn ask_as(
        &self,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        self.runtime
            .block_on(self.gateway.call(caller, "iot", operation, input))
    }

    /// Calls an operation that succeeds.
    #[track_caller]
    pub(crate) fn ok(&self, operation: &str, input: Value) -> Value {
        let shown = input.to_string();
        match self.ask_as(&self.caller, operation, input) {
            Ok(output) => output,
            Err(error) => panic!("{operation} {shown}: {error}"),
        }
    }

    /// Calls an operation that is refused with `exception`.
    #[track_caller]
    pub(crate) fn fails(&self, operation: &str, input: Value, exception: &str) -> ApiError {
        let shown = input.to_string();
        match self.ask_as(&self.caller, operation, input) {
            Ok(output) => panic!("{operation} {shown}: answered {output}"),
            Err(error) => {
                assert_eq!(error.exception, exception, "{operation} {shown}: {error}");
                error
            }
        }
    }

    /// All pages of a list, `size` items each; `changed` is called after the first page.
    #[track_caller]
    pub(crate) fn scan(
        &self,
        operation: &str,
        input: &Value,
        member: &str,
        size: usize,
        changed: impl FnOnce(),
    ) -> Vec<Value> {
        let marker = [
            "ListPolicies",
            "Attached",
            "Targets",
            "PrincipalPolicies",
            "PolicyPrin",
        ]
        .iter()
        .any(|part| operation.contains(part));
        let (token, next, max) = if marker {
            ("marker", "nextMarker", "pageSize")
        } else {
            ("nextToken", "nextToken", "maxResults")
        };
        let mut input = input.clone();
        input[max] = json!(size);
        let mut changed = Some(changed);
        let mut all = Vec::new();
        loop {
            let page = self.ok(operation, input.clone());
            let items = page[member].as_array().unwrap();
            assert!(items.len() <= size, "{operation}");
            all.extend(items.iter().cloned());
            match page.get(next).and_then(Value::as_str) {
                Some(found) => input[token] = json!(found),
                None => return all,
            }
            if let Some(changed) = changed.take() {
                changed();
            }
        }
    }

    /// What is announced while `run` runs, as `topic:key`.
    pub(crate) fn changes(&self, run: impl FnOnce()) -> Vec<String> {
        let mut changes = self.storage.changes();
        run();
        self.storage
            .write_blocking(Urgency::Normal, |tx| tx.changed("end", "of test"))
            .unwrap();
        let mut seen = Vec::new();
        loop {
            for change in self.runtime.block_on(changes.next()) {
                if change.topic == "end" {
                    return seen;
                }
                seen.push(format!("{}:{}", change.topic, change.key));
            }
        }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Runs a test on each database.
#[expect(
    clippy::print_stdout,
    reason = "shown with the output of a test that fails"
)]
#[track_caller]
pub(crate) fn each(profile: Profile, test: impl Fn(&World)) {
    for database in testkit::databases() {
        println!("on {}", database.engine);
        test(&World::open(&database, profile));
    }
}

/// Runs a test on each database in the profile `standard`.
#[track_caller]
pub(crate) fn each_standard(test: impl Fn(&World)) {
    each(Profile::Standard, test);
}

/// A list of items as a list of one of their members.
pub(crate) fn column(items: &[Value], member: &str) -> Vec<String> {
    items
        .iter()
        .map(|item| item[member].as_str().unwrap().to_owned())
        .collect()
}
