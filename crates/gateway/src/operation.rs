//! An operation is declared once.
//!
//! A capability names the service and the operation, how the resource follows from the input, and
//! the function that does the work. Everything else (method, URI, members, limits, exceptions)
//! stands in the service model; routing, parsing, authorization, the transaction with its trail
//! record, rendering and metrics follow from the two.
//!
//! The function receives a [`Call`] or an [`AsyncCall`], which only the gateway can make, and only
//! after the caller was allowed to do exactly this.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use model::{ApiError, Profile, Scope, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use storage::{Storage, Tx, Urgency};

use crate::caller::Caller;
use crate::resource::ResourceTemplate;

/// A future that owns what it needs.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether an operation changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// It only reads.
    No,
    /// It changes something, so a presigned URL cannot call it and control calls are recorded.
    Yes,
}

/// Proof that the gateway allowed this call; nobody else can make one.
#[derive(Clone, Debug)]
pub(crate) struct Permit(());

impl Permit {
    /// Made in one place: where authorization has just succeeded.
    pub(crate) fn after_authorization() -> Self {
        Self(())
    }
}

/// What an operation within a transaction works with.
pub struct Call<'c, 't> {
    /// The transaction: of reading, or of writing together with the trail record.
    pub tx: &'c mut Tx<'t>,
    /// Who calls.
    pub caller: &'c Caller,
    /// Account and region.
    pub scope: &'c Scope,
    /// The profile in force.
    pub profile: Profile,
    /// The id in the answer's `x-amzn-RequestId`.
    pub request_id: &'c str,
    #[expect(
        dead_code,
        reason = "its presence is the proof; nobody needs to look inside"
    )]
    pub(crate) permit: Permit,
}

impl Call<'_, '_> {
    /// The one moment of this transaction.
    pub fn now(&self) -> Timestamp {
        self.tx.now()
    }
}

impl fmt::Debug for Call<'_, '_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Call")
            .field("caller", &self.caller.arn)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// What an operation without a transaction works with.
#[derive(Clone)]
pub struct AsyncCall {
    /// The database.
    pub storage: Storage,
    /// Who calls.
    pub caller: Arc<Caller>,
    /// Account and region.
    pub scope: Arc<Scope>,
    /// The profile in force.
    pub profile: Profile,
    /// The id in the answer's `x-amzn-RequestId`.
    pub request_id: Arc<str>,
    #[expect(
        dead_code,
        reason = "its presence is the proof; nobody needs to look inside"
    )]
    pub(crate) permit: Permit,
}

impl fmt::Debug for AsyncCall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AsyncCall")
            .field("caller", &self.caller.arn)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Work on an input within a transaction.
pub(crate) type Work = dyn Fn(&mut Call<'_, '_>, &Value) -> Result<Value, ApiError> + Send + Sync;
/// Work whose expensive part is already done; may run again.
pub(crate) type PreparedWork =
    Box<dyn FnMut(&mut Call<'_, '_>, &Value) -> Result<Value, ApiError> + Send>;
/// The expensive part: runs once, on a worker thread, before the transaction.
pub(crate) type Prepare = dyn Fn(&Value) -> Result<PreparedWork, ApiError> + Send + Sync;
/// Work without a transaction.
pub(crate) type AsyncWork =
    dyn Fn(AsyncCall, Value) -> BoxFuture<'static, Result<Value, ApiError>> + Send + Sync;

/// How an operation runs.
#[derive(Clone)]
pub(crate) enum Run {
    Read(Arc<Work>),
    Write(Arc<Work>),
    PreparedWrite(Arc<Prepare>),
    Asynchronous(Arc<AsyncWork>),
}

/// A further action an input may need, beside the operation's own.
pub(crate) struct FurtherAction {
    pub(crate) action: &'static str,
    pub(crate) when: fn(&Value) -> bool,
}

/// Resources computed from the input.
pub(crate) type Resources = dyn Fn(&Value, &Scope) -> Vec<String> + Send + Sync;

/// One operation of one service: what a capability declares.
pub struct Operation {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) mutation: Mutation,
    pub(crate) urgency: Urgency,
    pub(crate) templates: Vec<ResourceTemplate>,
    pub(crate) resources: Option<Box<Resources>>,
    pub(crate) further: Vec<FurtherAction>,
    /// Condition keys and the input members that are their values.
    pub(crate) condition_keys: Vec<(&'static str, &'static str)>,
    pub(crate) any_caller: bool,
    pub(crate) or_caller: bool,
    pub(crate) recorded: bool,
    pub(crate) run: Run,
}

impl Operation {
    /// An operation that only reads, in a read transaction.
    ///
    /// `resource` is a template: `thing/{thingName}` is relative to the IoT ARN of the
    /// installation, `iam:user/{UserName}` to the IAM ARN, `palisade:denial/{denialId}` to our
    /// own; `{policyArn}` alone is a member that is itself an ARN; `*` is every resource.
    pub fn read<I, O, F>(
        service: &'static str,
        name: &'static str,
        resource: &'static str,
        run: F,
    ) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&mut Call<'_, '_>, I) -> Result<O, ApiError> + Send + Sync + 'static,
    {
        let work = in_transaction(service, run);
        Self::new(service, name, resource, Mutation::No, Run::Read(work))
    }

    /// An operation that changes something, in a write transaction that also holds the trail
    /// record. The function may run again and must not have effects beyond the transaction.
    pub fn write<I, O, F>(
        service: &'static str,
        name: &'static str,
        resource: &'static str,
        run: F,
    ) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&mut Call<'_, '_>, I) -> Result<O, ApiError> + Send + Sync + 'static,
    {
        let work = in_transaction(service, run);
        Self::new(service, name, resource, Mutation::Yes, Run::Write(work))
    }

    /// As [`Operation::write`], with an expensive part (the generation of a key) that runs once,
    /// on a bounded worker thread, before the transaction and after authorization.
    pub fn prepared_write<I, P, O, G, F>(
        service: &'static str,
        name: &'static str,
        resource: &'static str,
        prepare: G,
        run: F,
    ) -> Self
    where
        I: DeserializeOwned,
        P: Send + 'static,
        O: Serialize,
        G: Fn(&I) -> Result<P, ApiError> + Send + Sync + 'static,
        F: Fn(&mut Call<'_, '_>, I, &P) -> Result<O, ApiError> + Send + Sync + 'static,
    {
        let run = Arc::new(run);
        let work: Arc<Prepare> = Arc::new(move |input: &Value| {
            let prepared = prepare(&read_input(service, input)?)?;
            let run = Arc::clone(&run);
            let work: PreparedWork = Box::new(move |call, input| {
                let output = run(call, read_input(service, input)?, &prepared)?;
                written_output(&output)
            });
            Ok(work)
        });
        Self::new(
            service,
            name,
            resource,
            Mutation::Yes,
            Run::PreparedWrite(work),
        )
    }

    /// An operation that opens its own transactions, or needs none.
    pub fn asynchronous<I, O, F>(
        service: &'static str,
        name: &'static str,
        resource: &'static str,
        mutation: Mutation,
        run: F,
    ) -> Self
    where
        I: DeserializeOwned,
        O: Serialize + 'static,
        F: Fn(AsyncCall, I) -> BoxFuture<'static, Result<O, ApiError>> + Send + Sync + 'static,
    {
        let work: Arc<AsyncWork> = Arc::new(move |call, input| {
            let started = read_input(service, &input).map(|input| run(call, input));
            Box::pin(async move { written_output(&started?.await?) })
        });
        Self::new(service, name, resource, mutation, Run::Asynchronous(work))
    }

    fn new(
        service: &'static str,
        name: &'static str,
        resource: &'static str,
        mutation: Mutation,
        run: Run,
    ) -> Self {
        Self {
            service,
            name,
            mutation,
            urgency: Urgency::Normal,
            templates: vec![ResourceTemplate::new(resource)],
            resources: None,
            further: Vec::new(),
            condition_keys: Vec::new(),
            any_caller: false,
            or_caller: false,
            recorded: false,
            run,
        }
    }

    /// Takes access away (revocation, detachment, quarantine): may use the disk reserve.
    #[must_use]
    pub fn containment(mut self) -> Self {
        self.urgency = Urgency::Containment;
        self
    }

    /// A further resource that must be allowed too.
    #[must_use]
    pub fn resource(mut self, template: &'static str) -> Self {
        self.templates.push(ResourceTemplate::new(template));
        self
    }

    /// Further resources that no template can name.
    #[must_use]
    pub fn resources(
        mut self,
        resources: impl Fn(&Value, &Scope) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.resources = Some(Box::new(resources));
        self
    }

    /// A further action, `iot:RetainPublish`, that must be allowed on the same resources when
    /// `when` holds for the input.
    #[must_use]
    pub fn also(mut self, action: &'static str, when: fn(&Value) -> bool) -> Self {
        self.further.push(FurtherAction { action, when });
        self
    }

    /// A condition key of identity policies, `iot:Topic`, whose value is the input's `member`.
    #[must_use]
    pub fn condition_key(mut self, key: &'static str, member: &'static str) -> Self {
        self.condition_keys.push((key, member));
        self
    }

    /// Open to every authenticated caller, as `sts:GetCallerIdentity` is.
    #[must_use]
    pub fn any_caller(mut self) -> Self {
        self.any_caller = true;
        self
    }

    /// Acts on the caller itself when the input does not name the resource, as
    /// `iam:CreateAccessKey` does: the caller is then what must be allowed.
    #[must_use]
    pub fn or_caller(mut self) -> Self {
        self.or_caller = true;
        self
    }

    /// Recorded in the trail though it only reads or belongs to the data plane.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Operation({}:{})", self.service, self.name)
    }
}

fn in_transaction<I, O, F>(service: &'static str, run: F) -> Arc<Work>
where
    I: DeserializeOwned,
    O: Serialize,
    F: Fn(&mut Call<'_, '_>, I) -> Result<O, ApiError> + Send + Sync + 'static,
{
    Arc::new(move |call, input| {
        let output = run(call, read_input(service, input)?)?;
        written_output(&output)
    })
}

fn read_input<I: DeserializeOwned>(service: &'static str, input: &Value) -> Result<I, ApiError> {
    I::deserialize(input).map_err(|error| crate::constraints::refusal(service, error.to_string()))
}

fn written_output<O: Serialize>(output: &O) -> Result<Value, ApiError> {
    serde_json::to_value(output).map_err(ApiError::internal)
}
