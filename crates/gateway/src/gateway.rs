//! The gateway itself: what it is made of, and the pipeline of one call.
//!
//! The order is fixed. The input is read (types only), the caller is authorized for exactly the
//! resources the input names, the content is validated, the operation runs. So that nobody learns
//! from a validation message what they may not ask, and no operation runs without a permit.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use model::{ApiError, Profile, Scope, Timestamp};
use serde_json::Value;
use storage::{Migration, Storage, StorageError};
use tokio::sync::watch;

use crate::authorize;
use crate::caller::{Caller, CallerKind, Credentials, DevicePolicy};
use crate::catalogue::{Catalogue, DeclarationError, Route, Served};
use crate::constraints;
use crate::denials::{self, Denial, DenialId, Denials, Door};
use crate::input;
use crate::metrics::Metrics;
use crate::operation::{AsyncCall, Call, Mutation, Permit, Run};
use crate::options::{GatewayOptions, Limits};
use crate::places::Places;
use crate::trail::{self, Event, Journal};
use crate::workers::Workers;

/// The tables of the gateway: denials and the trail.
pub const MIGRATIONS: &[Migration] = &[Migration {
    capability: "gateway",
    version: 1,
    sql: include_str!("../migrations/0001.sql"),
}];

/// How long what must be written gathers before it is written together.
const GATHER: Duration = Duration::from_millis(100);

/// Why a gateway cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A mistake in the declaration of an operation.
    #[error("an operation is declared wrongly")]
    Declaration(#[from] DeclarationError),
    /// The operating system gives no threads.
    #[error("could not start the worker threads")]
    Workers(#[from] std::io::Error),
}

/// The door of all HTTP APIs. See the crate's documentation.
pub struct Gateway {
    pub(crate) storage: Storage,
    pub(crate) scope: Arc<Scope>,
    pub(crate) profile: Profile,
    pub(crate) catalogue: Catalogue,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) device_policy: Option<Arc<dyn DevicePolicy>>,
    pub(crate) denials: Denials,
    pub(crate) hosts: Vec<String>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    /// Strangers at the data plane's door must not be able to shut the control plane's.
    pub(crate) control_places: Arc<Places>,
    pub(crate) data_places: Arc<Places>,
    pub(crate) journal: Journal,
    pub(crate) stopping: watch::Sender<bool>,
    workers: Option<Workers>,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Done {
    /// Keyed by member names.
    pub(crate) output: Value,
    /// The last change of the write, for `x-palisade-change`.
    pub(crate) change: Option<u64>,
}

/// Why a call failed, and the id of the denial when it was refused.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ApiError,
    pub(crate) denial: Option<DenialId>,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self {
            error,
            denial: None,
        }
    }
}

/// One call on its way through the pipeline; cheap to clone into a transaction.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) served: Arc<Served>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) input: Arc<Value>,
    pub(crate) id: Arc<str>,
}

/// Waits for the word to stop. The guard of the watched value ends here: held across an await it
/// would keep its future from moving between threads.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stop| *stop).await);
}

impl Gateway {
    /// Joins the operations with their models.
    ///
    /// # Errors
    /// [`GatewayError`] for a declaration the models do not bear out.
    pub fn new(options: GatewayOptions) -> Result<Self, GatewayError> {
        let mut operations = options.operations;
        operations.extend(denials::operations(&options.denials));
        let catalogue = Catalogue::new(operations)?;
        options.denials.register(&options.metrics);
        let workers = catalogue.prepares().then(Workers::start).transpose()?;
        Ok(Self {
            storage: options.storage,
            scope: Arc::new(options.scope),
            profile: options.profile,
            catalogue,
            credentials: options.credentials,
            device_policy: options.device_policy,
            denials: options.denials,
            hosts: options.hosts.iter().map(|host| host_name(host)).collect(),
            metrics: options.metrics,
            control_places: Places::new(options.limits.connections),
            data_places: Places::new(options.limits.connections),
            limits: options.limits,
            journal: Journal::default(),
            stopping: watch::Sender::new(false),
            workers,
        })
    }

    /// Every operation served.
    pub fn routes(&self) -> Vec<Route> {
        self.catalogue.routes()
    }

    /// Calls an operation from within the process: the whole pipeline but HTTP and signature.
    /// `input` and the answer are keyed by the model's member names.
    ///
    /// # Errors
    /// What a client would be answered.
    pub async fn call(
        &self,
        caller: &Caller,
        service: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        let served = self.catalogue.named(service, operation).ok_or_else(|| {
            ApiError::new(
                model::ErrorKind::NotFound,
                "UnknownOperationException",
                format!("{service}:{operation} is not served here"),
            )
        })?;
        let input = input::members(served.service, served.model.input, &input)
            .map_err(|bad| constraints::refusal(service, bad.0))?;
        let request = Request {
            served: Arc::clone(served),
            caller: Arc::new(caller.clone()),
            input: Arc::new(input),
            id: model::random_uuid().into(),
        };
        match self.perform(&request).await {
            Ok(done) => Ok(done.output),
            Err(failure) => Err(failure.error),
        }
    }

    /// Writes what gathers: denials, and trail records of calls without a transaction. Ends,
    /// with everything written, when the gateway is shut down.
    pub async fn background(&self) {
        let mut stopping = self.stopping.subscribe();
        loop {
            tokio::select! {
                () = self.denials.woken() => (),
                () = self.journal.woken() => (),
                () = stopped(&mut stopping) => {
                    self.flush().await;
                    return;
                }
            }
            tokio::time::sleep(GATHER).await;
            self.flush().await;
        }
    }

    /// Writes denials and trail records that wait. What cannot be written waits on.
    pub async fn flush(&self) {
        let denials = self.denials.flush(&self.storage).await;
        let trail = self.journal.flush(&self.storage).await;
        for error in [denials.err(), trail.err()].into_iter().flatten() {
            tracing::warn!(error = %error, "records wait because they cannot be written");
        }
        self.metrics
            .set_lost(self.denials.lost(), self.journal.lost());
    }

    /// Removes denials and trail records that are kept no longer, a bounded number per call.
    /// Answers how many were removed; call again at once when it is not zero.
    ///
    /// # Errors
    /// The storage's.
    pub async fn reconcile(&self, now: Timestamp) -> Result<u64, StorageError> {
        let denials = self.denials.reconcile(&self.storage, now).await?;
        let oldest = trail::oldest(now, self.limits.trail_age);
        let committed = self
            .storage
            .write(storage::Urgency::Normal, move |tx| {
                trail::remove_older(tx, oldest)
            })
            .await?;
        Ok(denials + committed.value)
    }

    /// Authorizes, validates and runs.
    pub(crate) async fn perform(&self, request: &Request) -> Result<Done, Failure> {
        let permit = self.authorized(request).await?;
        let result = match self.validated(request) {
            Ok(()) => self.run(request, permit).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            self.record_failure(request, error);
        }
        Ok(result?)
    }

    fn validated(&self, request: &Request) -> Result<(), ApiError> {
        let served = &request.served;
        let Some(id) = served.model.input else {
            return Ok(());
        };
        constraints::check(served.service, id, &request.input)
            .map_err(|bad| constraints::refusal(served.service.name, bad.message()))
    }

    async fn authorized(&self, request: &Request) -> Result<Permit, Failure> {
        let caller = &request.caller;
        let questions = authorize::questions(&request.served, &request.input, caller, &self.scope)?;
        if caller.kind == CallerKind::Device {
            return self.device_authorized(request, &questions).await;
        }
        if request.served.operation.any_caller {
            return Ok(Permit::after_authorization());
        }
        let now = self.storage.clock().now();
        let mut context = authorize::context(caller, &request.input, now, &self.scope);
        for (key, member) in &request.served.operation.condition_keys {
            if let Some(text) = request.input.get(member).and_then(Value::as_str) {
                context.insert((*key).to_owned(), vec![text.to_owned()]);
            }
        }
        match authorize::identity(caller, questions, &context) {
            Ok(()) => Ok(Permit::after_authorization()),
            Err(refused) => Err(self.refused(request, &refused)),
        }
    }

    async fn device_authorized(
        &self,
        request: &Request,
        questions: &[authorize::Question],
    ) -> Result<Permit, Failure> {
        let served = &request.served;
        let (Some(policy), Some(certificate)) = (&self.device_policy, &request.caller.certificate)
        else {
            return Err(authorize::forbidden("devices are not served here").into());
        };
        if !served.service.is_data_plane() {
            let message = format!("devices may not call {}", served.action);
            return Err(authorize::forbidden(message).into());
        }
        let requests = authorize::device_requests(questions, &self.scope)?;
        policy
            .authorize(certificate.clone(), request.caller.source_ip, requests)
            .await?;
        Ok(Permit::after_authorization())
    }

    /// Records a refusal and forms its answer.
    fn refused(&self, request: &Request, refused: &authorize::Refused) -> Failure {
        let caller = &request.caller;
        let id = self.denials.record(Denial {
            door: Door::Api,
            principal: caller.arn.clone(),
            client_id: None,
            source_ip: Some(caller.source_ip),
            action: refused.question.action.clone(),
            resource: refused.question.resource.clone(),
            verdict: authorize::verdict_name(refused.decision.verdict),
            explanation: serde_json::to_value(&refused.decision).unwrap_or(Value::Null),
        });
        let message = authorize::refusal_message(caller, refused, id.as_str());
        let error = if request.served.service.is_data_plane() {
            authorize::forbidden(message)
        } else {
            ApiError::access_denied(message)
        };
        self.record_failure(request, &error);
        Failure {
            error,
            denial: Some(id),
        }
    }

    async fn run(&self, request: &Request, permit: Permit) -> Result<Done, ApiError> {
        let operation = &request.served.operation;
        match &operation.run {
            Run::Read(work) => {
                let (work, scope, profile) = (Arc::clone(work), self.scope.clone(), self.profile);
                let of = request.clone();
                let output = self
                    .storage
                    .read(move |tx| {
                        let mut call = of.call(tx, &scope, profile, &permit);
                        work(&mut call, &of.input)
                    })
                    .await?;
                self.record_if_asked(request, &output);
                Ok(Done {
                    output,
                    change: None,
                })
            }
            Run::Write(work) => {
                let work = Arc::clone(work);
                self.write(request, permit, move |call, input| work(call, input))
                    .await
            }
            Run::PreparedWrite(prepare) => {
                let (prepare, input) = (Arc::clone(prepare), Arc::clone(&request.input));
                let workers = self
                    .workers
                    .as_ref()
                    .ok_or_else(|| ApiError::internal("there are no worker threads"))?;
                let mut work = workers.run(move || prepare(&input)).await?;
                self.write(request, permit, move |call, input| work(call, input))
                    .await
            }
            Run::Asynchronous(work) => {
                let call = AsyncCall {
                    storage: self.storage.clone(),
                    caller: Arc::clone(&request.caller),
                    scope: Arc::clone(&self.scope),
                    profile: self.profile,
                    request_id: Arc::clone(&request.id),
                    permit,
                };
                let output = work(call, Value::clone(&request.input)).await?;
                self.record_asynchronous(request, &output).await;
                Ok(Done {
                    output,
                    change: None,
                })
            }
        }
    }

    /// Runs `work` and writes its trail record in one transaction.
    async fn write(
        &self,
        request: &Request,
        permit: Permit,
        mut work: impl FnMut(&mut Call<'_, '_>, &Value) -> Result<Value, ApiError> + Send + 'static,
    ) -> Result<Done, ApiError> {
        let (of, scope, profile) = (request.clone(), self.scope.clone(), self.profile);
        let committed = self
            .storage
            .write(request.served.operation.urgency, move |tx| {
                let mut call = of.call(tx, &scope, profile, &permit);
                let output = work(&mut call, &of.input)?;
                let at = call.tx.now();
                if of.served.recorded() {
                    let record = of.event(&scope, at, Ok(&output)).record();
                    trail::put(call.tx, &record)?;
                }
                Ok::<_, ApiError>(output)
            })
            .await?;
        Ok(Done {
            output: committed.value,
            change: committed.last_change,
        })
    }

    /// A successful call that had transactions of its own: what changed something is recorded
    /// before the caller hears of it.
    async fn record_asynchronous(&self, request: &Request, output: &Value) {
        let operation = &request.served.operation;
        if !request.served.recorded() || operation.mutation == Mutation::No {
            return self.record_if_asked(request, output);
        }
        let now = self.storage.clock().now();
        let record = request.event(&self.scope, now, Ok(output)).record();
        let writing = record.clone();
        let written = self
            .storage
            .write(operation.urgency, move |tx| trail::put(tx, &writing))
            .await;
        if written.is_err() {
            // It is done and cannot be undone: the record waits for the database.
            self.journal.push(record);
        }
    }

    /// A successful call that had no write transaction.
    fn record_if_asked(&self, request: &Request, output: &Value) {
        if request.served.recorded() {
            let now = self.storage.clock().now();
            self.journal
                .push(request.event(&self.scope, now, Ok(output)).record());
        }
    }

    /// A call that failed or was refused.
    fn record_failure(&self, request: &Request, error: &ApiError) {
        debug_assert!(
            crate::error::is_modelled(&request.served, error.exception),
            "{} raised {}, which its model does not know: {}",
            request.served.action,
            error.exception,
            error.message
        );
        if request.served.recorded() {
            let now = self.storage.clock().now();
            self.journal
                .push(request.event(&self.scope, now, Err(error)).record());
        }
    }
}

/// A host as it stands in a `Host` header, without a port.
fn host_name(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host,
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Gateway")
            .field("scope", &self.scope)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl Request {
    fn call<'c, 't>(
        &'c self,
        tx: &'c mut storage::Tx<'t>,
        scope: &'c Scope,
        profile: Profile,
        permit: &Permit,
    ) -> Call<'c, 't> {
        Call {
            tx,
            caller: &self.caller,
            scope,
            profile,
            request_id: &self.id,
            permit: permit.clone(),
        }
    }

    fn event<'a>(
        &'a self,
        scope: &'a Scope,
        at: Timestamp,
        outcome: Result<&'a Value, &'a ApiError>,
    ) -> Event<'a> {
        Event {
            served: &self.served,
            caller: &self.caller,
            scope,
            request_id: &self.id,
            at,
            input: &self.input,
            outcome,
        }
    }
}
