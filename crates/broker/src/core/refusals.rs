//! What a connection was refused of late: the first of each is explained and taken down, repeats
//! are counted.
//!
//! To explain a refusal means to look at every statement, to take a lock and to write a line of
//! log; a subscriber who may not receive would make the broker do so for every message. So each
//! connection remembers a few refusals by action and name. A repeat adds one to a number, and the
//! numbers are told in batches, at most one a second and record.
//!
//! Who is refused something else each time has a bounded number of explanations a minute; what
//! goes beyond is taken down under its action alone.

use std::rc::Rc;
use std::time::Duration;

use gateway::{Denial, Denials, Door};
use model::Timestamp;
use policy::{DeviceAction, Resource};

use super::enforce::Principal;
use super::{Core, Now, Timer};

/// Refusals remembered of one connection; a device mostly uses a handful of topics.
const REMEMBERED_MAX: usize = 8;
/// How long one stands for its repeats: no longer than their record takes them.
const STANDS: Duration = Duration::from_secs(60);
/// Explanations for one connection in that time.
const EXPLAINED_MAX: u32 = 32;
/// How often the repeats of one refusal are told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Takes refusals down and names them.
pub(crate) trait Book {
    /// A refusal; the id that leads to it.
    fn record(&self, denial: Denial) -> String;

    /// So many more of the one with this id.
    fn repeat(&self, id: &str, times: u64);
}

/// The book that is kept.
pub(crate) type DenialBook = Rc<dyn Book>;

impl Book for Denials {
    fn record(&self, denial: Denial) -> String {
        Self::record(self, denial).to_string()
    }

    fn repeat(&self, id: &str, times: u64) {
        Self::repeat(self, Door::Mqtt, id, times);
    }
}

/// How much is said of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What was asked for, and every statement that decided.
    Whole,
    /// The action.
    ActionAlone,
}

/// See the module documentation.
pub(super) struct Refusals {
    book: DenialBook,
    principal: Principal,
    remembered: Vec<Refusal>,
    /// Those taken down under their action alone; no more than there are actions.
    of_actions: Vec<Refusal>,
    /// Since when explanations are counted, and how many there were.
    counted_since: Timestamp,
    explained: u32,
}

struct Refusal {
    action: DeviceAction,
    /// Empty when it stands for all of an action.
    name: Box<str>,
    id: Rc<str>,
    at: Timestamp,
    told_at: Timestamp,
    /// Repeats that were not told yet.
    untold: u64,
}

impl Refusals {
    pub(super) fn new(book: &DenialBook, principal: &Principal, now: Timestamp) -> Self {
        Self {
            book: Rc::clone(book),
            principal: principal.clone(),
            remembered: Vec::new(),
            of_actions: Vec::new(),
            counted_since: now,
            explained: 0,
        }
    }

    /// The id of the record that takes this refusal; `form` makes one where there is none.
    pub(super) fn refused(
        &mut self,
        action: DeviceAction,
        resource: Resource<'_>,
        now: Timestamp,
        form: impl FnOnce(Detail) -> Denial,
    ) -> Rc<str> {
        let name = name(resource);
        let (book, principal) = (&self.book, &self.principal);
        let known = |known: &&mut Refusal| known.action == action && *known.name == *name;
        let standing = self.remembered.iter_mut().find(known);
        if let Some(standing) = standing.filter(|standing| now.since(standing.at) < STANDS) {
            return standing.again(now, &**book, principal);
        }
        if self.counts_as_explained(now) {
            return self.take_down(action, name, now, form(Detail::Whole));
        }
        let of_action = |known: &&mut Refusal| known.action == action;
        let (book, principal) = (&self.book, &self.principal);
        let standing = self.of_actions.iter_mut().find(of_action);
        if let Some(standing) = standing.filter(|standing| now.since(standing.at) < STANDS) {
            return standing.again(now, &**book, principal);
        }
        self.take_down(action, "", now, form(Detail::ActionAlone))
    }

    /// Whether one more explanation is within the bound.
    fn counts_as_explained(&mut self, now: Timestamp) -> bool {
        if STANDS <= now.since(self.counted_since) {
            self.counted_since = now;
            self.explained = 0;
        }
        let within = self.explained < EXPLAINED_MAX;
        self.explained += u32::from(within);
        within
    }

    fn take_down(
        &mut self,
        action: DeviceAction,
        name: &str,
        now: Timestamp,
        denial: Denial,
    ) -> Rc<str> {
        let resource = denial.resource.clone();
        let id: Rc<str> = self.book.record(denial).into();
        tracing::info!(
            decision = "deny",
            principal = %self.principal.certificate,
            action = action.name(),
            resource,
            denial.id = %id,
            "policy decision"
        );
        let refusal = Refusal {
            action,
            name: name.into(),
            id: Rc::clone(&id),
            at: now,
            told_at: now,
            untold: 0,
        };
        let known = match name {
            "" => &mut self.of_actions,
            _ => &mut self.remembered,
        };
        let same = |known: &Refusal| known.action == action && *known.name == *name;
        let place = known.iter().position(same).or_else(|| {
            let full = REMEMBERED_MAX <= known.len() && !name.is_empty();
            let oldest = known.iter().enumerate().min_by_key(|(_, known)| known.at);
            oldest.filter(|_| full).map(|(place, _)| place)
        });
        match place.and_then(|place| known.get_mut(place)) {
            Some(old) => {
                let mut old = std::mem::replace(old, refusal);
                old.tell(now, &*self.book, &self.principal);
            }
            None => known.push(refusal),
        }
        id
    }

    /// Tells of the repeats that were only counted so far.
    pub(super) fn tell(&mut self, now: Timestamp) {
        for known in self.remembered.iter_mut().chain(&mut self.of_actions) {
            known.tell(now, &*self.book, &self.principal);
        }
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        let now = self.counted_since;
        self.tell(now);
    }
}

impl Refusal {
    fn again(&mut self, now: Timestamp, book: &dyn Book, principal: &Principal) -> Rc<str> {
        self.untold += 1;
        if TELL_EVERY <= now.since(self.told_at) {
            self.tell(now, book, principal);
        }
        Rc::clone(&self.id)
    }

    fn tell(&mut self, now: Timestamp, book: &dyn Book, principal: &Principal) {
        self.told_at = now;
        if self.untold == 0 {
            return;
        }
        book.repeat(&self.id, self.untold);
        tracing::info!(
            decision = "deny",
            principal = %principal.certificate,
            action = self.action.name(),
            name = &*self.name,
            denial.id = %self.id,
            repeats = self.untold,
            "policy decision"
        );
        self.untold = 0;
    }
}

/// What the resource is called; the action says of which kind it is.
fn name(resource: Resource<'_>) -> &str {
    match resource {
        Resource::Client(name)
        | Resource::Topic(name)
        | Resource::TopicFilter(name)
        | Resource::Thing { name, .. }
        | Resource::RoleAlias(name)
        | Resource::DirectMessage { topic: name, .. } => name,
        Resource::Any => "*",
    }
}

/// When the repeats of all connections, and the budgets used up, are told next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Telling {
    /// Refusals counted when they were told last.
    told: u64,
    armed: bool,
}

impl Core {
    /// Sees to it that what was refused since is told soon, and which budgets are used up.
    pub(super) fn arrange_telling(&mut self, now: Now) {
        let refused = self.telling.told != self.counters.denials;
        if (refused || self.reached.has_untold()) && !self.telling.armed {
            self.telling.armed = true;
            self.wake_at(now.instant + TELL_EVERY, Timer::Tell);
        }
    }

    pub(super) fn tell(&mut self, now: Now) {
        self.telling.armed = false;
        self.reached.tell();
        if self.telling.told == self.counters.denials {
            return;
        }
        self.telling.told = self.counters.denials;
        for (_, connection) in self.connections.iter() {
            if let Some(serving) = connection.serving() {
                serving.access.tell_refusals(now.wall);
            }
        }
    }
}
