//! The compiled decision for one session.
//!
//! A session asks the same few actions again and again while only the topic
//! changes. So the first request of an action turns the statements that speak
//! of it into rules: variables filled, conditions on the session settled, the
//! ARN in front of the topic consumed, Denies apart from Allows. An action that
//! is never asked costs nothing.
//!
//! What it does not do: notice that a fact changed. Whoever holds it replaces
//! it then; no verdict outlives the facts it rests on.

use std::sync::{Arc, OnceLock};

use crate::condition::{Bound, undefined};
use crate::document::Statement;
use crate::evaluate::Context;
use crate::facts::{Connection, Facts, GroupFacts, Hardening, NamedPolicy, Scope, ThingFacts};
use crate::name::Name;
use crate::pattern::Pattern;
use crate::request::{Denied, DeviceAction, Kind, Permit, Request, Verdict};
use crate::session::{self, Session};

/// Decides for one connection of one principal.
#[derive(Debug)]
pub struct Authorizer {
    pub(crate) session: Session,
    pub(crate) hardening: Hardening,
    arn_prefix: String,
    /// Made when the first action is asked about.
    rules: OnceLock<Box<Slots>>,
}

/// One slot per action, filled when the action is first asked about.
type Slots = [OnceLock<Box<Rules>>; DeviceAction::ALL.len()];

/// What the statements come to for one action of one session.
#[derive(Debug)]
struct Rules {
    deny: Vec<Rule>,
    allow: Vec<Rule>,
}

/// A statement that can still apply.
#[derive(Debug)]
struct Rule {
    negated: bool,
    /// Of what follows the resource's kind in the ARN.
    patterns: Vec<Pattern>,
    /// Only those whose key belongs to a request.
    conditions: Vec<(Name, Bound)>,
}

/// A policy in force, and what put it there.
#[derive(Clone, Copy)]
pub(crate) struct Source<'f> {
    pub(crate) policy: &'f NamedPolicy,
    pub(crate) group: Option<&'f GroupFacts>,
    /// Only its Deny statements count.
    denies_only: bool,
}

impl Authorizer {
    /// For a connection: its thing is the exclusively attached one, or the
    /// attached one that the client id names.
    pub fn new(
        facts: Arc<Facts>,
        connection: &Connection,
        scope: &Scope,
        hardening: Hardening,
    ) -> Self {
        let session = Session::new(facts, connection, scope, None);
        Self::with_session(session, scope, hardening)
    }

    /// For a request that names its thing, such as one for credentials with
    /// the header `x-amzn-iot-thingname`. Thing variables are defined when a
    /// thing of that name is attached to the principal.
    // spec aws-iot [CR-3]
    pub fn for_thing(
        facts: Arc<Facts>,
        connection: &Connection,
        scope: &Scope,
        hardening: Hardening,
        thing: &str,
    ) -> Self {
        let session = Session::new(facts, connection, scope, Some(thing));
        Self::with_session(session, scope, hardening)
    }

    fn with_session(session: Session, scope: &Scope, hardening: Hardening) -> Self {
        Self {
            session,
            hardening,
            arn_prefix: scope.arn_prefix(),
            rules: OnceLock::new(),
        }
    }

    /// The verdict. Allocates only the first time an action is asked about,
    /// for named shadows, and where text is compared with the time.
    pub fn decide(&self, request: &Request<'_>) -> Verdict {
        let Some(rules) = self.rules(request.action) else {
            return Verdict::ImplicitDeny;
        };
        if request.resource.kind() != request.action.kind() || self.refusal(request).is_some() {
            return Verdict::ImplicitDeny;
        }
        let name = request.resource.name();
        let applies = |rule: &Rule, name: &str| rule.covers(name) && rule.holds(request);
        // spec aws-iot [PL-23]: a Deny of the bare filter holds for a shared subscription to it.
        let bare = request.resource.unshared_filter();
        let denied = rules
            .deny
            .iter()
            .any(|rule| applies(rule, &name) || bare.is_some_and(|bare| applies(rule, bare)));
        Verdict::of(denied, || {
            rules.allow.iter().any(|rule| applies(rule, &name))
        })
    }

    /// The verdict as a value: what is allowed can only be done with a permit.
    ///
    /// # Errors
    ///
    /// [`Denied`], when the verdict is not [`Verdict::Allowed`].
    pub fn permit<'a>(&self, request: &Request<'a>) -> Result<Permit<'a>, Denied> {
        match self.decide(request) {
            Verdict::Allowed => Ok(Permit::granted(request)),
            Verdict::ExplicitDeny => Err(Denied::Explicit),
            Verdict::ImplicitDeny => Err(Denied::Implicit),
        }
    }

    /// Whether a verdict for this action and resource stays true while the
    /// facts do. Not so when a statement asks for the time, or for the topic of
    /// a direct message.
    pub fn cacheable(&self, action: DeviceAction) -> bool {
        self.rules(action).is_some_and(|rules| {
            let Rules { deny, allow } = rules;
            deny.iter()
                .chain(allow)
                .all(|rule| rule.conditions.is_empty())
        })
    }

    /// The connection it decides for.
    pub fn connection(&self) -> &Connection {
        self.session.connection()
    }

    /// Gives back the memory of rules that the holder does not expect to need soon; they are made
    /// again when they are.
    pub fn forget_rules(&mut self, action: DeviceAction) {
        let Some(slots) = self.rules.get_mut() else {
            return;
        };
        if let Some(slot) = slots.get_mut(action as usize) {
            slot.take();
        }
        if slots.iter().all(|slot| slot.get().is_none()) {
            self.rules.take();
        }
    }

    /// The thing this connection is.
    // spec aws-iot [RG-52]
    pub fn resolved_thing(&self) -> Option<&ThingFacts> {
        self.session.thing()
    }

    /// Why no statement is consulted, when that is so.
    // core.md 7.7 row 37: such an id turns `${iot:ClientId}` in a topic
    // filter into an MQTT wildcard.
    pub(crate) fn refusal(&self, request: &Request<'_>) -> Option<&'static str> {
        let refused = self.hardening.refuse_wildcard_ids
            && request.action == DeviceAction::Connect
            && request.resource.name().contains(['+', '#', '*', '?']);
        refused.then_some("the client id holds one of `+`, `#`, `*` and `?`")
    }

    /// The whole ARN of what is named so.
    pub(crate) fn arn(&self, kind: Kind, name: &str) -> String {
        match kind {
            Kind::Any => name.to_owned(),
            _ => format!("{}{}{name}", self.arn_prefix, kind.arn_part()),
        }
    }

    /// The policies in force: the principal's, those of the thing's groups, and
    /// hardened, the Denies of the groups of every other attached thing.
    // core.md 7.6
    // spec aws-iot [PL-50]
    pub(crate) fn sources(&self) -> Vec<Source<'_>> {
        let facts = self.session.facts();
        let own = facts.policies.iter();
        let mut sources: Vec<Source<'_>> = own
            .map(|policy| Source {
                policy,
                group: None,
                denies_only: false,
            })
            .collect();
        let resolved = self.session.thing();
        let others = facts.things.iter().filter(|thing| {
            self.hardening.group_denies_of_all_things
                && resolved.is_none_or(|resolved| !std::ptr::eq(resolved, *thing))
        });
        let things = resolved.into_iter().map(|thing| (thing, false));
        // Two things may be in one group; its policies count once.
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (thing, denies_only) in things.chain(others.map(|thing| (thing, true))) {
            for group in &thing.groups {
                let key = (group.name.as_str(), group.arn.as_str());
                if seen.contains(&key) {
                    continue;
                }
                seen.push(key);
                let policies = group.policies.iter();
                sources.extend(policies.map(|policy| Source {
                    policy,
                    group: Some(group),
                    denies_only,
                }));
            }
        }
        sources
    }

    /// The rules of one action. There is a slot for every action.
    fn rules(&self, action: DeviceAction) -> Option<&Rules> {
        let empty = || Box::new([const { OnceLock::new() }; DeviceAction::ALL.len()]);
        let slot = self.rules.get_or_init(empty).get(action as usize)?;
        Some(slot.get_or_init(|| Box::new(self.compile(action))))
    }

    fn compile(&self, action: DeviceAction) -> Rules {
        let name = action.name().to_ascii_lowercase();
        let prefix = self.arn(action.kind(), "");
        let mut rules = Rules {
            deny: Vec::new(),
            allow: Vec::new(),
        };
        for source in self.sources() {
            for (_, statement) in source.statements(&name) {
                if let Some(rule) = self.rule(statement, &prefix) {
                    let side = if statement.is_deny() {
                        &mut rules.deny
                    } else {
                        &mut rules.allow
                    };
                    side.push(rule);
                }
            }
        }
        rules
    }

    /// `None` when the statement cannot apply in this session.
    fn rule(&self, statement: &Statement, prefix: &str) -> Option<Rule> {
        let closed = self.hardening.deny_on_undefined;
        let deny = statement.is_deny();
        let negated = statement.resources.negated;
        let fill = undefined(deny, negated, closed);
        let value = |name: &Name| self.session.text(name);
        let filled = statement
            .resources
            .templates
            .iter()
            .filter_map(|t| t.fill(fill, value));
        let patterns: Vec<Pattern> = filled.flat_map(|pattern| pattern.after(prefix)).collect();
        if patterns.is_empty() && !negated {
            return None;
        }
        let mut conditions = Vec::new();
        for condition in &statement.conditions {
            let bound = condition.bind(deny, closed, value);
            if condition.key.is_per_request() {
                conditions.push((condition.key.clone(), bound));
            } else if !bound.holds(self.session.operands(&condition.key).as_deref()) {
                return None;
            }
        }
        Some(Rule {
            negated,
            patterns,
            conditions,
        })
    }
}

impl<'f> Source<'f> {
    /// The statements that count and speak of `action` (in lower case), each
    /// with its index in the document.
    pub(crate) fn statements(self, action: &str) -> impl Iterator<Item = (usize, &'f Statement)> {
        let statements = self.policy.document.attached_statements();
        statements.filter(move |(_, statement)| {
            (statement.is_deny() || !self.denies_only) && statement.covers_action(action)
        })
    }
}

impl Rule {
    fn covers(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name)) != self.negated
    }

    fn holds(&self, request: &Request<'_>) -> bool {
        self.conditions.iter().all(|(name, bound)| {
            let operand = session::operand(request, name);
            bound.holds(operand.as_ref().map(std::slice::from_ref))
        })
    }
}
