//! A platform around a broker: a directory that is a map, certificates, a gateway.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use broker::{
    Addresses, Amendment, Broker, BrokerConfig, BrokerOptions, DeviceRecord, Directory, Event,
    ListenerTls, RunningBroker,
};
use gateway::{
    Caller, CallerKind, Credential, Credentials, DenialLimits, Denials, Gateway, GatewayOptions,
    Limits, Metrics,
};
use model::{AccountId, ApiError, CertificateId, Clock, ManualClock, Profile, Region, Scope};
use pki::authority::{DeviceAuthority, SanName, ServerAuthority, Subject, Validity};
use pki::tls::{ClientSettings, SecurityPolicy, ServerIdentity, client_config};
use pki::{KeyKind, generate_key};
use policy::{Dialect, Document, Facts, GroupFacts, NamedPolicy, ThingFacts};
use rustls::ClientConfig;
use serde_json::{Value, json};
use storage::{Migration, Storage, StorageError, Tx, Urgency};
use testkit::TestDatabase;

pub(crate) const ALL: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const HOST: &str = "broker.example";
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Within this every test is done, or hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate with its key, as a device holds them.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) id: CertificateId,
    certificate_pem: String,
    key_pem: String,
}

/// The registered certificates, and those introduced.
#[derive(Default)]
pub(crate) struct Registry {
    records: Mutex<HashMap<CertificateId, DeviceRecord>>,
    pub(crate) introduced: Mutex<Vec<IpAddr>>,
    /// Whether the database is to seem away.
    pub(crate) away: Mutex<bool>,
    /// What changes do, where that is known.
    pub(crate) amendment: Mutex<Option<Amendment>>,
    /// Whether the database is to hang.
    pub(crate) hangs: Mutex<bool>,
    pub(crate) goes_on: Condvar,
    /// How many records were read.
    pub(crate) reads: AtomicUsize,
}

impl Directory for Registry {
    fn device(
        &self,
        _: &mut Tx<'_>,
        certificate: &CertificateId,
    ) -> Result<Option<DeviceRecord>, ApiError> {
        if *self.away.lock().unwrap() {
            return Err(ApiError::unavailable("the database is away"));
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        let hangs = self.hangs.lock().unwrap();
        drop(self.goes_on.wait_while(hangs, |hangs| *hangs).unwrap());
        Ok(self.records.lock().unwrap().get(certificate).cloned())
    }

    fn amendment(&self, _: &mut Tx<'_>, _: &str, _: &str) -> Result<Option<Amendment>, ApiError> {
        Ok(self.amendment.lock().unwrap().clone())
    }

    fn introduce(
        &self,
        _: &mut Tx<'_>,
        der: &[u8],
        source_ip: IpAddr,
    ) -> Result<Option<Event>, ApiError> {
        self.introduced.lock().unwrap().push(source_ip);
        Ok(Some(Event {
            topic: "$aws/events/certificates/registered/ca".to_owned(),
            payload: pki::certificate_id(der).to_string().into_bytes(),
        }))
    }
}

/// Nobody has keys: tests call the gateway from within.
struct NoKeys;

impl Credentials for NoKeys {
    fn find(&self, _: &mut Tx<'_>, _: &str) -> Result<Option<Credential>, ApiError> {
        Ok(None)
    }
}

pub(crate) struct World {
    pub(crate) storage: Storage,
    pub(crate) registry: Arc<Registry>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) denials: Denials,
    pub(crate) metrics: Metrics,
    pub(crate) broker: Broker,
    pub(crate) addresses: Addresses,
    pub(crate) clock: Arc<ManualClock>,
    running: Option<RunningBroker>,
    authorities: Arc<Authorities>,
}

/// Made once per test: a restart keeps them.
struct Authorities {
    device: DeviceAuthority,
    server: ServerAuthority,
    clock: Arc<dyn Clock>,
}

pub(crate) fn migrations() -> Vec<Migration> {
    [broker::MIGRATIONS, gateway::MIGRATIONS].concat()
}

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, test)
            .await
            .expect("the test is done in time")
    })
}

/// Runs a test on a broker with its defaults, over each database.
#[track_caller]
pub(crate) fn in_world(test: impl AsyncFn(&mut World)) {
    in_world_with(BrokerConfig::default(), test);
}

#[track_caller]
pub(crate) fn in_world_with(config: BrokerConfig, test: impl AsyncFn(&mut World)) {
    for database in testkit::databases() {
        eprintln!("on {}", database.engine);
        run(async {
            let mut world = World::start(&database, config.clone()).await;
            test(&mut world).await;
            world.stop().await;
        });
    }
}

impl World {
    pub(crate) async fn start(database: &TestDatabase, config: BrokerConfig) -> Self {
        let clock = Arc::clone(&database.clock) as Arc<dyn Clock>;
        let names = vec![
            SanName::parse(HOST).unwrap(),
            SanName::parse("127.0.0.1").unwrap(),
        ];
        let validity = Validity::lasting(clock.now(), YEAR).unwrap();
        let authorities = Arc::new(Authorities {
            device: DeviceAuthority::create("test", validity).unwrap(),
            server: ServerAuthority::create("test", &names, validity).unwrap(),
            clock,
        });
        Self::over(database, config, authorities, Arc::default()).await
    }

    /// The same installation, started again.
    pub(crate) async fn restart(self, database: &TestDatabase) -> Self {
        self.restart_after(database, || ()).await
    }

    /// As [`World::restart`], and this happens while it is down.
    pub(crate) async fn restart_after(
        self,
        database: &TestDatabase,
        meanwhile: impl FnOnce(),
    ) -> Self {
        let (authorities, registry) = (Arc::clone(&self.authorities), Arc::clone(&self.registry));
        let mut old = self;
        old.stop().await;
        drop(old);
        meanwhile();
        Self::over(database, BrokerConfig::default(), authorities, registry).await
    }

    async fn over(
        database: &TestDatabase,
        config: BrokerConfig,
        authorities: Arc<Authorities>,
        registry: Arc<Registry>,
    ) -> Self {
        let storage = database.open(&migrations());
        let scope = Scope::new(
            AccountId::parse("111122223333").unwrap(),
            Region::parse("us-east-1").unwrap(),
        );
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let config = BrokerConfig {
            mqtt_listen: any,
            alpn_listen: any,
            https_listen: any,
            ..config
        };
        let denials = Denials::new(Arc::clone(storage.clock()), DenialLimits::default());
        let metrics = Metrics::new();
        let broker = Broker::new(BrokerOptions {
            config,
            scope: scope.clone(),
            profile: Profile::Standard,
            storage: storage.clone(),
            directory: Arc::clone(&registry) as Arc<dyn Directory>,
            denials: denials.clone(),
            metrics: metrics.clone(),
        })
        .unwrap();
        let gateway = Arc::new(
            Gateway::new(GatewayOptions {
                storage: storage.clone(),
                scope,
                profile: Profile::Standard,
                operations: broker.operations(),
                credentials: Arc::new(NoKeys),
                device_policy: Some(broker.device_policy()),
                denials: denials.clone(),
                hosts: vec![HOST.to_owned(), "127.0.0.1".to_owned()],
                metrics: metrics.clone(),
                limits: Limits::default(),
            })
            .unwrap(),
        );
        let names = vec![
            SanName::parse(HOST).unwrap(),
            SanName::parse("127.0.0.1").unwrap(),
        ];
        let validity = Validity::lasting(authorities.clock.now(), YEAR / 2).unwrap();
        let issued = authorities.server.issue_server(&names, validity).unwrap();
        let tls = ListenerTls {
            identity: ServerIdentity::issued(&issued).unwrap(),
            names,
        };
        let running = broker.listen(Arc::clone(&gateway), tls).await.unwrap();
        running.readiness()().unwrap();
        Self {
            storage,
            registry,
            gateway,
            denials,
            metrics,
            broker,
            addresses: running.addresses(),
            clock: Arc::clone(&database.clock),
            running: Some(running),
            authorities,
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.gateway.shutdown();
        if let Some(running) = self.running.take() {
            running.shutdown(Duration::from_secs(5)).await;
        }
        self.storage.close().await;
    }

    /// Whether whoever asks about a certificate gets no answer.
    pub(crate) fn hang(&self, hangs: bool) {
        *self.registry.hangs.lock().unwrap() = hangs;
        self.registry.goes_on.notify_all();
    }

    /// A device with a new certificate that nobody has registered.
    pub(crate) fn stranger(&self) -> Device {
        let now = self.authorities.clock.now();
        self.stranger_until(Validity::lasting(now, YEAR / 2).unwrap())
    }

    pub(crate) fn stranger_until(&self, validity: Validity) -> Device {
        let key = generate_key(KeyKind::EcdsaP256).unwrap();
        let authority = &self.authorities.device;
        let certificate = authority
            .issue(key.public_key(), Subject::Fixed, validity)
            .unwrap();
        Device {
            id: certificate.id().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.pem().unwrap().to_string(),
        }
    }

    /// A device with a registered, active certificate and this policy.
    pub(crate) fn device(&self, policy: &str) -> Device {
        let device = self.stranger();
        self.put(&device, record(policy));
        device
    }

    pub(crate) fn put(&self, device: &Device, record: DeviceRecord) {
        self.registry
            .records
            .lock()
            .unwrap()
            .insert(device.id.clone(), record);
    }

    pub(crate) fn take(&self, device: &Device) {
        self.registry.records.lock().unwrap().remove(&device.id);
    }

    /// Commits a change of `topic` and `key`, and gives its sequence.
    pub(crate) async fn changed(&self, topic: &'static str, key: &str) -> u64 {
        let key = key.to_owned();
        let run = move |tx: &mut Tx<'_>| -> Result<(), StorageError> { tx.changed(topic, &key) };
        let committed = self.storage.write(Urgency::Containment, run).await.unwrap();
        committed.last_change.unwrap()
    }

    /// TLS of a client, with the certificate of `device` when there is one.
    pub(crate) fn tls(&self, device: Option<&Device>, alpn: &[&str]) -> Arc<ClientConfig> {
        self.tls_of(device, alpn, SecurityPolicy::default())
    }

    /// As [`World::tls`], of a client that speaks certain versions.
    pub(crate) fn tls_of(
        &self,
        device: Option<&Device>,
        alpn: &[&str],
        policy: SecurityPolicy,
    ) -> Arc<ClientConfig> {
        let identity =
            device.map(|device| (device.certificate_pem.as_str(), device.key_pem.as_str()));
        client_config(ClientSettings {
            roots_pem: &self.authorities.server.certificate().pem(),
            identity,
            send_sni: true,
            policy,
            alpn: alpn.iter().map(|one| one.as_bytes().to_vec()).collect(),
            clock: Arc::clone(&self.authorities.clock),
        })
        .unwrap()
    }

    /// Calls an operation as somebody who may do everything.
    pub(crate) async fn call(
        &self,
        service: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        self.call_as(
            r#"[{"Effect":"Allow","Action":"*","Resource":"*"}]"#,
            service,
            operation,
            input,
        )
        .await
    }

    /// Calls an operation as somebody with these statements.
    pub(crate) async fn call_as(
        &self,
        statements: &str,
        service: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
        let caller = Caller {
            kind: CallerKind::User,
            arn: "arn:aws:iam::111122223333:user/test".to_owned(),
            user_id: "AIDATEST".to_owned(),
            account: "111122223333".to_owned(),
            access_key_id: None,
            session_name: None,
            source_ip: Ipv4Addr::LOCALHOST.into(),
            user_agent: String::new(),
            policies: Arc::new(vec![named("user", &text, Dialect::Identity)]),
            tags: BTreeMap::new(),
            certificate: None,
        };
        self.gateway.call(&caller, service, operation, input).await
    }

    pub(crate) async fn receipt(&self, sequence: u64) -> Value {
        let input = json!({ "sequence": sequence });
        self.call("palisade", "GetReceipt", input).await.unwrap()
    }
}

pub(crate) fn record(policy: &str) -> DeviceRecord {
    DeviceRecord {
        active: true,
        status: "ACTIVE".to_owned(),
        facts: Facts {
            policies: vec![named("own", policy, Dialect::Iot)],
            ..Facts::default()
        },
        propagating: BTreeMap::new(),
    }
}

pub(crate) fn revoked() -> DeviceRecord {
    DeviceRecord {
        active: false,
        status: "REVOKED".to_owned(),
        ..record(ALL)
    }
}

/// As [`record`], attached to `thing`, which is in `group` with its policy.
pub(crate) fn grouped(policy: &str, thing: &str, group: Option<(&str, &str)>) -> DeviceRecord {
    let mut record = record(policy);
    let groups = group.map(|(name, policy)| GroupFacts {
        name: name.to_owned(),
        arn: format!("arn:aws:iot:us-east-1:111122223333:thinggroup/{name}"),
        policies: vec![named(name, policy, Dialect::Iot)],
    });
    record.facts.things.push(ThingFacts {
        name: thing.to_owned(),
        groups: groups.into_iter().collect(),
        ..ThingFacts::default()
    });
    record
}

pub(crate) fn named_iot(name: &str, text: &str) -> NamedPolicy {
    named(name, text, Dialect::Iot)
}

fn named(name: &str, text: &str, dialect: Dialect) -> NamedPolicy {
    NamedPolicy {
        name: name.into(),
        arn: format!("arn:aws:iot:us-east-1:111122223333:policy/{name}").into(),
        version: "1".into(),
        document: Arc::new(Document::parse(text, dialect).unwrap()),
        text: text.into(),
    }
}

/// A policy of lines such as `Allow Publish topic/a/*`.
pub(crate) fn policy(lines: &[&str]) -> String {
    let statements: Vec<Value> = lines
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let resource = match words[2] {
                "*" => "*".to_owned(),
                name => format!("arn:aws:iot:us-east-1:111122223333:{name}"),
            };
            json!({"Effect": words[0], "Action": format!("iot:{}", words[1]), "Resource": resource})
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}
