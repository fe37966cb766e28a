//! Shared subscriptions: each message to one member of a group.
//!
//! A group is its share name and filter. With a persistent member it keeps QoS 1 and 2 messages
//! that no member can take now, in order, and the new ones are dropped when it is full. What was
//! on its way to a member that vanishes goes to another one.
//!
//! Source: mqtt5 4.8.2; contract core 2.8.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mqtt::QoS;
use mqtt::topic::SubscriptionFilter;

use super::arena::Key;
use super::deliver::Offered;
use super::message::{Entry, Message, Terms};
use super::session::{Session, SubscriptionOptions};
use super::{Core, Now, Target};

/// A shared subscription.
#[derive(Debug)]
pub(crate) struct Group {
    /// `$share/{name}/{filter}`; also the holder of what is stored for it.
    pub(crate) text: Arc<str>,
    filter: SubscriptionFilter,
    members: Vec<Member>,
    /// What no member could take yet.
    pub(crate) queue: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    session: Key<Session>,
    options: SubscriptionOptions,
}

/// A small generator of numbers that need not be secret: which member comes first.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `count`; 0 when `count` is 0.
    // xorshift64*, Vigna 2016.
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(high % count).unwrap_or(0)
    }
}

impl Core {
    /// Makes `session` a member of the group named `text`; true when it was none.
    pub(super) fn join(
        &mut self,
        session: Key<Session>,
        text: &Arc<str>,
        filter: &SubscriptionFilter,
        options: SubscriptionOptions,
    ) -> bool {
        let key = self.group(text, filter);
        let Some(group) = self.groups.get_mut(key) else {
            return false;
        };
        let member = Member { session, options };
        let known = group
            .members
            .iter_mut()
            .find(|known| known.session == session);
        if let Some(known) = known {
            *known = member;
            return false;
        }
        group.members.push(member);
        if let Some(session) = self.sessions.get_mut(session) {
            session.groups.push(key);
        }
        true
    }

    /// The group named `text`, made if need be.
    pub(super) fn group(&mut self, text: &Arc<str>, filter: &SubscriptionFilter) -> Key<Group> {
        if let Some(key) = self.groups_by_text.get(text) {
            return *key;
        }
        let key = self.groups.insert(Group {
            text: Arc::clone(text),
            filter: filter.clone(),
            members: Vec::new(),
            queue: VecDeque::new(),
        });
        self.groups_by_text.insert(Arc::clone(text), key);
        let any = SubscriptionOptions {
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            identifier: None,
        };
        self.routes.insert(filter.filter(), Target::Group(key), any);
        key
    }

    /// Takes `session` out of a group. What was on its way to it stays with it until
    /// [`Core::give_back`]; a group without members is over.
    pub(super) fn leave_group(&mut self, session: Key<Session>, text: &str) {
        let Some(&key) = self.groups_by_text.get(text) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(session) {
            session.groups.retain(|group| *group != key);
        }
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        group.members.retain(|member| member.session != session);
        if group.members.is_empty() {
            self.end_group(key);
        }
    }

    fn end_group(&mut self, key: Key<Group>) {
        let Some(group) = self.groups.remove(key) else {
            return;
        };
        self.groups_by_text.remove(&group.text);
        self.routes
            .remove(group.filter.filter(), &Target::Group(key));
        for entry in group.queue {
            self.ledger.end(entry, &mut self.journal);
        }
    }

    /// Gives a message to one member.
    // spec aws-iot [MQ-71], [MQ-73]
    pub(super) fn offer_group(&mut self, now: Now, key: Key<Group>, message: &Rc<Message>) {
        let durable = self.has_stored_member(key);
        let Some(group) = self.groups.get(key) else {
            return;
        };
        let holder = durable.then(|| Arc::clone(&group.text));
        let granted = group.members.iter().map(|member| member.options.qos).max();
        let qos = message.qos().min(granted.unwrap_or_default());
        if qos == QoS::AtMostOnce {
            self.pass_to_any(now, key, message);
            return;
        }
        let waits = !group.queue.is_empty();
        if waits && (!durable || !self.may_wait(key, message)) {
            self.drop_for_full_group(key, message);
            return;
        }
        let terms = Terms {
            qos,
            retain: false,
            identifier: None,
        };
        let holder = holder.as_deref();
        let entry = self
            .ledger
            .hold(message, terms, Some(key), holder, &mut self.journal);
        if waits {
            self.enqueue(key, entry);
        } else if let Some(entry) = self.pass_on(now, key, entry, None) {
            self.keep_or_drop(key, entry);
        }
    }

    /// QoS 0: to any member that is there and may have it.
    fn pass_to_any(&mut self, now: Now, key: Key<Group>, message: &Rc<Message>) {
        for member in self.members_from_random(key) {
            let terms = Terms {
                qos: QoS::AtMostOnce,
                retain: message.publish().retain && member.options.retain_as_published,
                identifier: member.options.identifier,
            };
            if self.is_online(member.session)
                && self.offer(now, member.session, message, terms) == Offered::Taken
            {
                return;
            }
        }
    }

    /// Gives `entry` to a member that can send it now; gives it back when there is none.
    fn pass_on(
        &mut self,
        now: Now,
        key: Key<Group>,
        entry: Entry,
        except: Option<Key<Session>>,
    ) -> Option<Entry> {
        let mut entry = entry;
        for member in self.members_from_random(key) {
            if Some(member.session) == except {
                continue;
            }
            match self.hand_over(now, member.session, entry, member.options) {
                None => return None,
                Some(back) => entry = back,
            }
        }
        Some(entry)
    }

    /// Sends an entry of a shared subscription through `key`; gives it back when that cannot take
    /// it now, or may not have it.
    pub(super) fn hand_over(
        &mut self,
        now: Now,
        key: Key<Session>,
        mut entry: Entry,
        options: SubscriptionOptions,
    ) -> Option<Entry> {
        let waits_own = self
            .sessions
            .get(key)
            .is_some_and(|session| !session.queue.is_empty());
        if waits_own || !self.can_send(key) || !self.may_receive(now, key, &entry.message) {
            return Some(entry);
        }
        let message = Rc::clone(&entry.message);
        entry.qos = message.qos().min(options.qos);
        entry.retain = message.publish().retain && options.retain_as_published;
        entry.identifier = options.identifier;
        if entry.qos == QoS::AtMostOnce {
            let terms = Terms {
                qos: entry.qos,
                retain: entry.retain,
                identifier: entry.identifier,
            };
            self.offer(now, key, &message, terms);
            self.finish(entry, true);
            return None;
        }
        // spec mqtt5 [MQTT-4.8.2-4]: QoS 2 is completed with the member it was begun with.
        let holder = self.sessions.get(key).and_then(Session::holder);
        if entry.qos == QoS::ExactlyOnce && holder.is_some() {
            entry = self
                .ledger
                .rehome(entry, holder.as_deref(), &mut self.journal);
            entry.group = None;
        }
        self.dispatch_entry(now, key, entry);
        None
    }

    /// Keeps what nobody can take now if somebody persistent may come back for it.
    fn keep_or_drop(&mut self, key: Key<Group>, entry: Entry) {
        if self.has_stored_member(key) && self.may_wait(key, &entry.message) {
            self.enqueue(key, entry);
        } else {
            self.drop_for_full_group(key, &entry.message);
            self.ledger.end(entry, &mut self.journal);
        }
    }

    fn enqueue(&mut self, key: Key<Group>, entry: Entry) {
        match self.groups.get_mut(key) {
            Some(group) => {
                self.journal.hurry();
                group.queue.push_back(entry);
            }
            None => self.ledger.end(entry, &mut self.journal),
        }
    }

    fn may_wait(&self, key: Key<Group>, message: &Message) -> bool {
        let group = self.groups.get(key);
        group.is_some_and(|group| self.is_full(group.queue.len(), message).is_none())
    }

    fn drop_for_full_group(&mut self, key: Key<Group>, message: &Message) {
        let group = self.groups.get(key);
        let full = group.and_then(|group| {
            let full = self.is_full(group.queue.len(), message)?;
            Some((full, Arc::clone(&group.text)))
        });
        match full {
            Some((full, text)) => self.drop_for_full_queue(full, &text),
            None => self.counters.dropped_queue_full += 1,
        }
    }

    /// Gives `session`, which has room again, what waits in its groups.
    pub(super) fn drain_groups(&mut self, now: Now, session: Key<Session>) {
        let groups = match self.sessions.get(session) {
            Some(found) if !found.groups.is_empty() => found.groups.clone(),
            _ => return,
        };
        for key in groups {
            while let Some(entry) = self.next_waiting(key, session) {
                let Some(options) = self.options_in(key, session) else {
                    break;
                };
                if let Some(back) = self.hand_over(now, session, entry, options) {
                    if let Some(group) = self.groups.get_mut(key) {
                        group.queue.push_front(back);
                    }
                    break;
                }
            }
        }
    }

    fn next_waiting(&mut self, key: Key<Group>, session: Key<Session>) -> Option<Entry> {
        if !self.can_send(session) {
            return None;
        }
        self.groups.get_mut(key)?.queue.pop_front()
    }

    fn options_in(&self, key: Key<Group>, session: Key<Session>) -> Option<SubscriptionOptions> {
        let group = self.groups.get(key)?;
        let member = group
            .members
            .iter()
            .find(|member| member.session == session)?;
        Some(member.options)
    }

    /// A member has vanished with these on their way to it, in order: others get them.
    // spec aws-iot [MQ-74]
    pub(super) fn give_back(&mut self, now: Now, entries: Vec<Entry>, from: Key<Session>) {
        // What finds nobody goes to the front of its queue, so last first.
        for entry in entries.into_iter().rev() {
            let Some(key) = entry.group.filter(|key| self.groups.get(*key).is_some()) else {
                self.ledger.end(entry, &mut self.journal);
                continue;
            };
            let Some(entry) = self.pass_on(now, key, entry, Some(from)) else {
                continue;
            };
            let durable = self.has_stored_member(key);
            match self.groups.get_mut(key) {
                Some(group) if durable => group.queue.push_front(entry),
                _ => self.ledger.end(entry, &mut self.journal),
            }
        }
    }

    fn has_stored_member(&self, key: Key<Group>) -> bool {
        let members = self.groups.get(key).map(|group| group.members.iter());
        members.into_iter().flatten().any(|member| {
            let session = self.sessions.get(member.session);
            session.is_some_and(|session| session.stored)
        })
    }

    fn is_online(&self, session: Key<Session>) -> bool {
        let session = self.sessions.get(session);
        session.is_some_and(|session| session.connection.is_some())
    }

    // spec aws-iot [MQ-71]: one random member; the others in turn when it cannot.
    fn members_from_random(&mut self, key: Key<Group>) -> Vec<Member> {
        let Some(group) = self.groups.get(key) else {
            return Vec::new();
        };
        let mut members = group.members.clone();
        let first = self.dice.below(members.len());
        // `first` is 0 when there are no members.
        members.rotate_left(first);
        members
    }
}
