//! An installation with nothing but identity, its administrator and whoever else a test makes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use gateway::{
    Caller, CallerIdentity, Credential, Credentials, DenialLimits, Denials, Gateway,
    GatewayOptions, Limits, Metrics,
};
use identity::{IdentityCredentials, Usage};
use model::{AccountId, ApiError, ManualClock, Profile, Region, Scope, Timestamp};
use serde_json::{Value, json};
use storage::{Migration, Storage, Urgency, params};
use tokio::runtime::Runtime;

/// What the ARNs of users and roles begin with.
pub(crate) const A: &str = "arn:aws:iam::111122223333:";

/// The gateway over an open database.
pub(crate) struct World {
    pub(crate) administrator: Caller,
    pub(crate) storage: Storage,
    clock: Arc<ManualClock>,
    usage: Usage,
    gateway: Gateway,
    runtime: Runtime,
}

pub(crate) fn migrations() -> Vec<Migration> {
    [gateway::MIGRATIONS, identity::MIGRATIONS].concat()
}

pub(crate) fn scope() -> Scope {
    Scope::new(
        AccountId::parse("111122223333").unwrap(),
        Region::parse("us-east-1").unwrap(),
    )
}

/// Runs a test on each engine, with an administrator.
#[track_caller]
#[expect(
    clippy::print_stdout,
    reason = "shown with the output of a test that fails"
)]
pub(crate) fn each_world(test: impl Fn(&World)) {
    for database in testkit::databases() {
        println!("on {}", database.engine);
        let storage = database.open(&migrations());
        let created = storage.write_blocking(Urgency::Normal, |tx| {
            let now = tx.now();
            identity::create_administrator(tx, now)
        });
        let key = created.unwrap().value;
        test(&World::open(storage, Arc::clone(&database.clock), &key.id));
    }
}

impl World {
    /// `key` is an access key of the administrator.
    pub(crate) fn open(storage: Storage, clock: Arc<ManualClock>, key: &str) -> Self {
        let usage = Usage::default();
        let gateway = Gateway::new(GatewayOptions {
            storage: storage.clone(),
            scope: scope(),
            profile: Profile::Standard,
            operations: identity::operations(&usage),
            credentials: Arc::new(IdentityCredentials::new(scope(), usage.clone())),
            device_policy: None,
            denials: Denials::new(Arc::clone(storage.clock()), DenialLimits::default()),
            hosts: vec!["localhost".to_owned()],
            metrics: Metrics::new(),
            limits: Limits::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self {
            administrator: caller(key, find(&storage, key).unwrap().caller),
            storage,
            clock,
            usage,
            gateway: gateway.unwrap(),
            runtime: runtime.unwrap(),
        }
    }

    /// Closes the database.
    pub(crate) fn close(self) {
        self.runtime.block_on(self.storage.close());
    }

    pub(crate) fn call(
        &self,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        let service = match operation {
            "AssumeRole" | "GetCallerIdentity" => "sts",
            _ => "iam",
        };
        let call = self.gateway.call(caller, service, operation, input);
        self.runtime.block_on(call)
    }

    /// The administrator's call succeeds.
    #[track_caller]
    pub(crate) fn ok(&self, operation: &str, input: Value) -> Value {
        match self.call(&self.administrator, operation, input.clone()) {
            Ok(output) => output,
            Err(error) => panic!("{operation} {input}: {error}"),
        }
    }

    /// The administrator's call fails with `exception`, and the message contains `says`.
    #[track_caller]
    pub(crate) fn fails(&self, operation: &str, input: Value, exception: &str, says: &str) {
        let caller = self.administrator.clone();
        self.fails_as(&caller, operation, input, exception, says);
    }

    #[track_caller]
    pub(crate) fn fails_as(
        &self,
        caller: &Caller,
        operation: &str,
        input: Value,
        exception: &str,
        says: &str,
    ) {
        match self.call(caller, operation, input.clone()) {
            Ok(output) => panic!("{operation} {input}: answered {output}"),
            Err(error) => {
                assert_eq!(error.exception, exception, "{operation} {input}: {error}");
                let found = error.message.contains(says);
                assert!(found, "{operation} {input}: {error} lacks {says:?}");
            }
        }
    }

    /// A new user who may do what `policy` allows, with a key of its own.
    #[track_caller]
    pub(crate) fn user(&self, name: &str, policy: Option<&Value>) -> Caller {
        self.ok("CreateUser", json!({"UserName": name}));
        if let Some(policy) = policy {
            let input = json!({
                "UserName": name, "PolicyName": "p", "PolicyDocument": policy.to_string(),
            });
            self.ok("PutUserPolicy", input);
        }
        let made = self.ok("CreateAccessKey", json!({"UserName": name}));
        self.caller(text(&made["AccessKey"]["AccessKeyId"]))
    }

    /// A new role that trusts `principal` and may do everything.
    #[track_caller]
    pub(crate) fn role(&self, name: &str, principal: &Value) -> Value {
        let trust = trust(principal).to_string();
        let input = json!({"RoleName": name, "AssumeRolePolicyDocument": trust});
        let made = self.ok("CreateRole", input);
        let input = json!({
            "RoleName": name,
            "PolicyName": "all",
            "PolicyDocument": allow("*", "*").to_string(),
        });
        self.ok("PutRolePolicy", input);
        made["Role"].clone()
    }

    /// Credentials of a session of the role, as `caller` asks for them.
    #[track_caller]
    pub(crate) fn session(&self, caller: &Caller, role: &str, name: &str) -> Value {
        let input = json!({"RoleArn": format!("{A}role/{role}"), "RoleSessionName": name});
        match self.call(caller, "AssumeRole", input) {
            Ok(output) => output["Credentials"].clone(),
            Err(error) => panic!("AssumeRole {role}: {error}"),
        }
    }

    /// Who signs with an access key that there is.
    #[track_caller]
    pub(crate) fn caller(&self, key: &str) -> Caller {
        caller(key, self.find(key).expect("a credential").caller)
    }

    pub(crate) fn find(&self, key: &str) -> Option<Credential> {
        find(&self.storage, key)
    }

    /// The pages of a list, `size` items each at most.
    #[track_caller]
    pub(crate) fn pages(
        &self,
        operation: &str,
        input: &Value,
        member: &str,
        size: usize,
    ) -> Vec<Vec<Value>> {
        let mut input = input.clone();
        input["MaxItems"] = json!(size);
        let mut pages = Vec::new();
        loop {
            let page = self.ok(operation, input.clone());
            pages.push(page[member].as_array().unwrap().clone());
            let marker = page.get("Marker");
            let truncated = page["IsTruncated"].as_bool().unwrap();
            assert_eq!(marker.is_some(), truncated, "{operation} {page}");
            match marker {
                Some(marker) => input["Marker"] = marker.clone(),
                None => return pages,
            }
        }
    }

    /// A list of at least two items goes on only from its own markers, unaltered, and the bounds
    /// of `MaxItems` hold. `other` is an input of the same operation for another list, if any.
    #[track_caller]
    pub(crate) fn check_markers(&self, operation: &str, input: &Value, other: Option<&Value>) {
        let with = |input: &Value, member: &str, value: Value| {
            let mut input = input.clone();
            input[member] = value;
            input
        };
        let first = self.ok(operation, with(input, "MaxItems", json!(1)));
        let marker = text(&first["Marker"]);
        // Of the model: a marker has at most 320 characters.
        assert!(marker.len() <= 320, "{operation}: {marker}");
        self.ok(operation, with(input, "Marker", json!(marker)));
        let flipped = if marker.starts_with('A') { "B" } else { "A" };
        for bad in [
            format!("{flipped}{}", &marker[1..]),
            marker[..marker.len() - 4].to_owned(),
            format!("{marker}AAAA"),
            "not base 64!".to_owned(),
        ] {
            let input = with(input, "Marker", json!(bad));
            self.fails(operation, input, "ValidationError", "Marker");
        }
        if let Some(other) = other {
            let input = with(other, "Marker", json!(marker));
            self.fails(operation, input, "ValidationError", "Marker");
        }
        for (size, good) in [(0, false), (1, true), (1000, true), (1001, false)] {
            let input = with(input, "MaxItems", json!(size));
            match self.call(&self.administrator, operation, input) {
                Ok(_) => assert!(good, "{operation}: {size} items"),
                Err(error) => {
                    assert!(!good, "{operation}: {size} items: {error}");
                    assert_eq!(error.exception, "ValidationError");
                }
            }
        }
    }

    /// Runs a statement that makes many rows at once.
    pub(crate) fn fill(&self, sql: &'static str, parameter: &str) {
        let parameter = parameter.to_owned();
        let filled = self.storage.write_blocking(Urgency::Normal, move |tx| {
            tx.execute(sql, &params![&parameter])
                .map_err(ApiError::from)
        });
        filled.unwrap();
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.storage.clock().now()
    }

    /// Writes what the gateway gathers.
    pub(crate) fn flush(&self) {
        self.runtime.block_on(self.gateway.flush());
    }

    /// As the gateway tells of a request proven to be signed with `key`.
    pub(crate) fn use_key(&self, key: &str, service: &str, seconds: i64) {
        let credentials = IdentityCredentials::new(scope(), self.usage.clone());
        credentials.used(key, service, Timestamp::from_seconds(seconds));
    }

    pub(crate) fn write_usage(&self) -> u64 {
        let write = self.usage.write(&self.storage);
        self.runtime.block_on(write).unwrap()
    }

    pub(crate) fn forget_expired_sessions(&self) -> u64 {
        let forget = identity::forget_expired_sessions(&self.storage, self.now());
        self.runtime.block_on(forget).unwrap()
    }
}

fn find(storage: &Storage, key: &str) -> Option<Credential> {
    let (credentials, key) = (
        IdentityCredentials::new(scope(), Usage::default()),
        key.to_owned(),
    );
    storage
        .read_blocking(move |tx| credentials.find(tx, &key))
        .unwrap()
}

fn caller(key: &str, identity: CallerIdentity) -> Caller {
    Caller {
        kind: identity.kind,
        arn: identity.arn,
        user_id: identity.user_id,
        account: "111122223333".to_owned(),
        access_key_id: Some(key.to_owned()),
        session_name: identity.session_name,
        source_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        user_agent: "test".to_owned(),
        policies: identity.policies,
        tags: identity.tags,
        certificate: None,
    }
}

/// A policy document of one statement.
pub(crate) fn allow(action: &str, resource: &str) -> Value {
    let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
    json!({"Version": "2012-10-17", "Statement": statement})
}

/// A trust policy of one statement.
pub(crate) fn trust(principal: &Value) -> Value {
    let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": statement})
}

/// Trusts everybody in the account.
pub(crate) fn account() -> Value {
    json!({"AWS": format!("{A}root")})
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not a text"))
}

/// One member of each item.
pub(crate) fn column<'a>(items: &'a Value, member: &str) -> Vec<&'a str> {
    let items = items.as_array().unwrap();
    items.iter().map(|item| text(&item[member])).collect()
}
