//! What this installation serves: every declared operation joined with its model.
//!
//! Mistakes in declarations (a name the model does not know, a template over a member that does
//! not exist, two operations on one route) are found when the catalogue is built, which is at
//! start and in every test.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::operation::{Mutation, Operation, Run};
use crate::resource::ResourceTemplate;
use crate::router::{Match, Router};
use crate::service_model::{OperationModel, Protocol, ServiceModel};

/// Labels that take the whole rest of the path though their template does not say so.
// spec aws-iot [EP-43]: an unencoded slash inside a topic is accepted.
const GREEDY: [(&str, &str, &str); 2] = [
    ("iot-data", "Publish", "topic"),
    ("iot-data", "GetRetainedMessage", "topic"),
];

/// An operation with its model.
pub(crate) struct Served {
    pub(crate) operation: Operation,
    pub(crate) model: &'static OperationModel,
    pub(crate) service: &'static ServiceModel,
    /// `iot:CreateThing`.
    pub(crate) action: String,
}

impl Served {
    /// Whether a call of it stands in the trail.
    // spec aws-iot [12.3]: control-plane calls that change something are recorded.
    pub(crate) fn recorded(&self) -> bool {
        let control = !self.service.is_data_plane();
        self.operation.recorded || (control && self.operation.mutation == Mutation::Yes)
    }
}

/// One line of the list of all operations, for documentation and for the refusal test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `iot`, `iot-data`, `iam`, `sts` or `palisade`.
    pub service: &'static str,
    /// The operation's name.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The URI template; `/` for the query protocol.
    pub uri: &'static str,
    /// The IAM action.
    pub action: String,
    /// Whether it changes something.
    pub mutates: bool,
    /// Whether every authenticated caller may call it.
    pub any_caller: bool,
}

/// A mistake in a declaration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeclarationError {
    /// No model of that name.
    #[error("there is no model of service `{service}`")]
    UnknownService {
        /// The service.
        service: &'static str,
    },
    /// The model has no such operation.
    #[error("the model of `{service}` has no operation `{name}`")]
    UnknownOperation {
        /// The service.
        service: &'static str,
        /// The operation.
        name: &'static str,
    },
    /// Declared twice, or on the same route as another.
    #[error("`{service}:{name}` is declared twice, or shares its route with another")]
    Duplicate {
        /// The service.
        service: &'static str,
        /// The operation.
        name: &'static str,
    },
    /// A resource template mentions a member that the input does not have.
    #[error("a resource of `{service}:{name}` mentions `{member}`, which its input lacks")]
    UnknownMember {
        /// The service.
        service: &'static str,
        /// The operation.
        name: &'static str,
        /// The member.
        member: &'static str,
    },
}

/// Every operation served, by name and by route.
pub(crate) struct Catalogue {
    served: Vec<Arc<Served>>,
    by_name: HashMap<(&'static str, &'static str), usize>,
    routers: BTreeMap<&'static str, Router>,
}

impl Catalogue {
    /// Joins declarations and models.
    pub(crate) fn new(operations: Vec<Operation>) -> Result<Self, DeclarationError> {
        let mut catalogue = Self {
            served: Vec::new(),
            by_name: HashMap::new(),
            routers: BTreeMap::new(),
        };
        for operation in operations {
            catalogue.add(operation)?;
        }
        Ok(catalogue)
    }

    fn add(&mut self, operation: Operation) -> Result<(), DeclarationError> {
        let (service, name) = (operation.service, operation.name);
        let model =
            ServiceModel::of(service).ok_or(DeclarationError::UnknownService { service })?;
        let shape = model
            .operations
            .get(name)
            .ok_or(DeclarationError::UnknownOperation { service, name })?;
        check_members(&operation, model, shape)?;
        let at = self.served.len();
        let mut new = self.by_name.insert((service, name), at).is_none();
        if model.protocol == Protocol::RestJson {
            let router = self.routers.entry(service).or_default();
            new &= router.add(&shape.method, &template(service, name, &shape.uri), at);
        }
        if !new {
            return Err(DeclarationError::Duplicate { service, name });
        }
        self.served.push(Arc::new(Served {
            action: format!("{}:{name}", model.action_prefix()),
            operation,
            model: shape,
            service: model,
        }));
        Ok(())
    }

    /// The operation at `target`, as [`Match::Found`] gives it.
    pub(crate) fn at(&self, target: usize) -> Option<&Arc<Served>> {
        self.served.get(target)
    }

    /// The operation of that name.
    pub(crate) fn named(&self, service: &str, name: &str) -> Option<&Arc<Served>> {
        self.served.get(*self.by_name.get(&(service, name))?)
    }

    /// Routes a rest-json request.
    pub(crate) fn route(&self, service: &str, method: &str, raw_path: &str) -> Match {
        match self.routers.get(service) {
            Some(router) => router.find(method, raw_path),
            None => Match::Nothing,
        }
    }

    /// All operations, in the order of their declaration.
    pub(crate) fn routes(&self) -> Vec<Route> {
        self.served
            .iter()
            .map(|served| Route {
                service: served.service.name,
                name: served.operation.name,
                method: served.model.method.as_str(),
                uri: served.model.uri.as_str(),
                action: served.action.clone(),
                mutates: served.operation.mutation == Mutation::Yes,
                any_caller: served.operation.any_caller,
            })
            .collect()
    }

    /// Whether any operation needs worker threads.
    pub(crate) fn prepares(&self) -> bool {
        self.served
            .iter()
            .any(|served| matches!(served.operation.run, Run::PreparedWrite(_)))
    }
}

fn check_members(
    operation: &Operation,
    model: &ServiceModel,
    shape: &OperationModel,
) -> Result<(), DeclarationError> {
    let input = shape.input.and_then(|id| model.structure(id));
    let known = |member: &str| input.is_some_and(|input| input.member(member).is_some());
    let mut members = operation
        .templates
        .iter()
        .flat_map(ResourceTemplate::members);
    match members.find(|member| !known(member)) {
        None => Ok(()),
        Some(member) => Err(DeclarationError::UnknownMember {
            service: operation.service,
            name: operation.name,
            member,
        }),
    }
}

fn template(service: &str, name: &str, uri: &str) -> String {
    let mut uri = uri.to_owned();
    for (of_service, of_name, label) in GREEDY {
        if (service, name) == (of_service, of_name) {
            uri = uri.replace(&format!("{{{label}}}"), &format!("{{{label}+}}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests;
