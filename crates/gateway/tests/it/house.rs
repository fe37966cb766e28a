//! A gateway with made-up operations, keys and devices, and a client that signs.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gateway::sigv4::{Signing, sign};
use gateway::{
    AsyncCall, BoxFuture, Call, Caller, CallerIdentity, CallerKind, Credential, Credentials,
    DenialLimits, Denials, DevicePolicy, Gateway, GatewayOptions, Limits, Metrics, Mutation,
    Operation, OwnedResource, Peer, Plane,
};
use http_body_util::{BodyExt as _, Full};
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use model::{AccountId, ApiError, CertificateId, ErrorKind, Profile, Region, Scope, Timestamp};
use policy::{DeviceAction, Dialect, Document, NamedPolicy};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::{Migration, Storage, StorageError, Tx, params};
use zeroize::Zeroizing;

pub(crate) const HOST: &str = "palisade.example:9443";
pub(crate) const ARN: &str = "arn:aws:iot:us-east-1:111122223333:";
/// May do everything.
pub(crate) const ADMIN: &str = "AKIDEXAMPLE012345678";
/// May do nothing.
pub(crate) const NOBODY: &str = "AKIDNOBODY0123456789";
/// May describe things and publish, but not retain.
pub(crate) const READER: &str = "AKIDREADER0123456789";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const THINGS: Migration = Migration {
    capability: "house",
    version: 1,
    sql: "CREATE TABLE house_things (name TEXT NOT NULL PRIMARY KEY)",
};

/// Keys by id, each with the policy of its user.
struct Keys(BTreeMap<&'static str, Credential>);

impl Credentials for Keys {
    fn find(&self, _: &mut Tx<'_>, key: &str) -> Result<Option<Credential>, ApiError> {
        Ok(self.0.get(key).cloned())
    }
}

/// Devices may publish to topics that begin with their certificate's first letter.
#[derive(Default)]
pub(crate) struct Devices {
    pub(crate) asked: Mutex<Vec<(DeviceAction, OwnedResource)>>,
}

impl DevicePolicy for Devices {
    fn authorize(
        &self,
        certificate: CertificateId,
        _: IpAddr,
        requests: Vec<(DeviceAction, OwnedResource)>,
    ) -> BoxFuture<'static, Result<(), ApiError>> {
        let own = |resource: &OwnedResource| match resource {
            OwnedResource::Topic(topic) => topic.starts_with(&certificate.as_str()[..1]),
            _ => false,
        };
        let allowed = requests.iter().all(|(_, resource)| own(resource));
        self.asked.lock().unwrap().extend(requests);
        Box::pin(async move {
            let refused = || ApiError::new(ErrorKind::Forbidden, "ForbiddenException", "no");
            allowed.then_some(()).ok_or_else(refused)
        })
    }
}

pub(crate) struct House {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) devices: Arc<Devices>,
    pub(crate) denials: Denials,
    pub(crate) metrics: Metrics,
    pub(crate) storage: Storage,
}

/// Runs a test on a house over each database.
#[track_caller]
pub(crate) fn each_house(test: impl AsyncFn(&House)) {
    each_house_with(Limits::default(), test);
}

/// As [`each_house`], with other limits.
#[track_caller]
pub(crate) fn each_house_with(limits: Limits, test: impl AsyncFn(&House)) {
    let migrations = [gateway::MIGRATIONS, &[THINGS]].concat();
    testkit::each_database(&migrations, |storage| {
        let devices = Arc::new(Devices::default());
        let options = options(storage, &devices, &limits);
        let house = House {
            denials: options.denials.clone(),
            metrics: options.metrics.clone(),
            gateway: Arc::new(Gateway::new(options).unwrap()),
            devices,
            storage: storage.clone(),
        };
        run(test(&house));
    });
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

fn options(storage: &Storage, devices: &Arc<Devices>, limits: &Limits) -> GatewayOptions {
    let clock = Arc::clone(storage.clock());
    GatewayOptions {
        storage: storage.clone(),
        scope: Scope::new(
            AccountId::parse("111122223333").unwrap(),
            Region::parse("us-east-1").unwrap(),
        ),
        profile: Profile::Standard,
        operations: operations(),
        credentials: Arc::new(keys()),
        device_policy: Some(Arc::clone(devices) as Arc<dyn DevicePolicy>),
        denials: Denials::new(clock, DenialLimits::default()),
        hosts: vec!["Palisade.example".to_owned()],
        metrics: Metrics::new(),
        limits: limits.clone(),
    }
}

fn keys() -> Keys {
    let reader = json!([
        {"Effect": "Allow", "Action": ["iot:DescribeThing", "iot:Publish"], "Resource": "*"},
    ]);
    let admin = json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]);
    Keys(BTreeMap::from([
        (ADMIN, credential("admin", &admin)),
        (READER, credential("reader", &reader)),
        (NOBODY, credential("nobody", &json!([]))),
    ]))
}

fn credential(user: &str, statements: &Value) -> Credential {
    Credential {
        secret: Zeroizing::new(SECRET.to_owned()),
        session_token: None,
        expires: None,
        active: true,
        caller: CallerIdentity {
            kind: CallerKind::User,
            arn: format!("arn:aws:iam::111122223333:user/{user}"),
            user_id: format!("AIDA{user}"),
            policies: Arc::new(policies(statements)),
            tags: BTreeMap::new(),
            session_name: None,
        },
    }
}

fn policies(statements: &Value) -> Vec<NamedPolicy> {
    if statements.as_array().is_some_and(Vec::is_empty) {
        return Vec::new();
    }
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let document = Document::parse(&text, Dialect::Identity).unwrap();
    vec![NamedPolicy {
        name: "p".into(),
        arn: "arn:aws:iam::111122223333:policy/p".into(),
        version: "v1".into(),
        document: Arc::new(document),
        text: text.into(),
    }]
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thing {
    thing_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Publish {
    topic: String,
    #[serde(with = "gateway::blob")]
    payload: Vec<u8>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct User {
    user_name: String,
}

fn operations() -> Vec<Operation> {
    vec![
        Operation::read("iot", "DescribeThing", "thing/{thingName}", describe),
        Operation::write("iot", "CreateThing", "thing/{thingName}", create),
        Operation::read("iot", "ListThings", "*", |_, _: Value| {
            Ok(json!({"things": []}))
        }),
        Operation::prepared_write(
            "iot",
            "CreateKeysAndCertificate",
            "*",
            |_: &Value| Ok("SECRET".to_owned()),
            |call, _: Value, key: &String| {
                call.tx.changed("certificate", "ab")?;
                Ok(json!({"certificateId": "ab", "keyPair": {"PrivateKey": key}}))
            },
        )
        .containment(),
        Operation::asynchronous(
            "iot-data",
            "Publish",
            "topic/{topic}",
            Mutation::Yes,
            |call, input: Publish| Box::pin(publish(call, input)),
        )
        .also("iot:RetainPublish", |input| input["retain"] == true),
        Operation::write(
            "iam",
            "CreateUser",
            "iam:user/{UserName}",
            |_, user: User| {
                Ok(json!({"User": {
                    "Path": "/", "UserName": user.user_name, "UserId": "AIDA", "Arn": "arn",
                    "CreateDate": 1_760_000_000.0,
                }}))
            },
        ),
        Operation::read("sts", "GetCallerIdentity", "*", |call, _: Value| {
            Ok(json!({"UserId": call.caller.user_id, "Arn": call.caller.arn}))
        })
        .any_caller(),
    ]
}

fn describe(call: &mut Call<'_, '_>, thing: Thing) -> Result<Thing, ApiError> {
    let found = call.tx.query_one(
        "SELECT name FROM house_things WHERE name = ?1",
        &params![thing.thing_name.as_str()],
    )?;
    match found {
        Some(_) => Ok(thing),
        None => Err(ApiError::not_found(format!(
            "there is no thing {}",
            thing.thing_name
        ))),
    }
}

fn create(call: &mut Call<'_, '_>, thing: Thing) -> Result<Thing, ApiError> {
    let name = thing.thing_name.as_str();
    let added = call.tx.execute(
        "INSERT INTO house_things (name) VALUES (?1) ON CONFLICT (name) DO NOTHING",
        &params![name],
    )?;
    if added == 0 {
        let arn = call.scope.iot_arn(&format!("thing/{name}"));
        let message = format!("thing {name} already exists");
        return Err(ApiError::already_exists(message, name, &arn));
    }
    call.tx.changed("thing", name)?;
    Ok(thing)
}

async fn publish(call: AsyncCall, input: Publish) -> Result<Value, ApiError> {
    match input.payload.as_slice() {
        b"refuse" => Err(ApiError::invalid(format!("refused on {}", input.topic))),
        b"break" => Err(ApiError::internal(format!("broken on {}", input.topic))),
        _ => Ok(json!({"message": "OK", "traceId": &*call.request_id})),
    }
}

/// A request before it is signed.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) key: &'a str,
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) peer: Whom<'a>,
}

/// Over which plane, and with which certificate.
#[derive(Clone, Copy)]
pub(crate) enum Whom<'a> {
    Control,
    Data,
    Device(&'a str),
}

pub(crate) const ASK: Ask<'static> = Ask {
    key: ADMIN,
    service: "iot",
    method: "GET",
    path: "/things/pump",
    query: "",
    body: b"",
    peer: Whom::Control,
};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The code of an error, by the header of rest-json.
    pub(crate) fn code(&self) -> &str {
        self.header("x-amzn-errortype").trim_end_matches(':')
    }
}

impl Ask<'_> {
    /// The request, signed when a key is named.
    pub(crate) fn signed(&self) -> hyper::Request<Full<Bytes>> {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", "house/1".parse().unwrap());
        if self.service == "iam" || self.service == "sts" {
            let form = "application/x-www-form-urlencoded";
            headers.insert("content-type", form.parse().unwrap());
        }
        if self.key.is_empty() {
            headers.insert("host", HOST.parse().unwrap());
        } else {
            headers = sign(&Signing {
                method: self.method,
                path: self.path,
                query: self.query,
                host: HOST,
                headers: &headers,
                body: self.body,
                access_key_id: self.key,
                secret: SECRET,
                session_token: None,
                region: "us-east-1",
                service: self.service,
                at: testkit::START,
            })
            .unwrap();
        }
        self.with(&headers)
    }

    /// The request with these headers as they are.
    pub(crate) fn with(&self, headers: &HeaderMap) -> hyper::Request<Full<Bytes>> {
        let mut uri = self.path.to_owned();
        if !self.query.is_empty() {
            uri = format!("{uri}?{}", self.query);
        }
        let body = Full::new(Bytes::copy_from_slice(self.body));
        let mut request = hyper::Request::builder()
            .method(self.method)
            .uri(uri)
            .body(body)
            .unwrap();
        *request.headers_mut() = headers.clone();
        request
    }
}

pub(crate) fn peer(whom: Whom<'_>) -> Peer {
    let (plane, certificate) = match whom {
        Whom::Control => (Plane::Control, None),
        Whom::Data => (Plane::Data, None),
        Whom::Device(letter) => (Plane::Data, CertificateId::parse(&letter.repeat(64)).ok()),
    };
    Peer {
        address: ([198, 51, 100, 9], 4711).into(),
        certificate,
        plane,
    }
}

impl House {
    /// Signs, sends and reads the answer, on a connection of its own.
    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Answer {
        self.send(ask.signed(), ask.peer).await
    }

    pub(crate) async fn send(
        &self,
        request: hyper::Request<Full<Bytes>>,
        whom: Whom<'_>,
    ) -> Answer {
        let (client, server) = tokio::io::duplex(16 * 1024);
        let gateway = Arc::clone(&self.gateway);
        let served = gateway.serve_connection(server, peer(whom));
        let asked = async {
            let io = TokioIo::new(client);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            let exchange = async {
                let response = sender.send_request(request).await.unwrap();
                drop(sender);
                let (head, body) = response.into_parts();
                let body = body.collect().await.unwrap().to_bytes().to_vec();
                Answer {
                    status: head.status.as_u16(),
                    headers: head.headers,
                    body,
                }
            };
            // The connection may be cut while a body is still being sent: the answer counts.
            let (answer, _) = tokio::join!(exchange, connection);
            answer
        };
        tokio::join!(served, asked).1
    }

    /// The records of the trail, oldest first, once all that wait are written.
    pub(crate) async fn trail(&self) -> Vec<Value> {
        self.gateway.flush().await;
        self.storage
            .read(|tx| {
                let rows = tx.query(
                    "SELECT record FROM trail_events ORDER BY at, id LIMIT 100",
                    &[],
                )?;
                rows.iter()
                    .map(|row| row.text(0))
                    .collect::<Result<Vec<_>, StorageError>>()
            })
            .await
            .unwrap()
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    }
}

/// A caller from within the process.
pub(crate) fn caller(statements: &Value) -> Caller {
    let identity = credential("anna", statements).caller;
    Caller {
        kind: identity.kind,
        arn: identity.arn,
        user_id: identity.user_id,
        account: "111122223333".to_owned(),
        access_key_id: None,
        session_name: None,
        source_ip: [127, 0, 0, 1].into(),
        user_agent: "house/1".to_owned(),
        policies: identity.policies,
        tags: BTreeMap::new(),
        certificate: None,
    }
}

/// A moment so many seconds after the clock's.
pub(crate) fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(testkit::START.seconds() + seconds)
}
