//! What clients do and hear, and what is done to them.

use super::*;

impl Simulation {
    /// Everything happens that can, for some hours.
    pub(super) fn storm(&mut self) {
        self.calm = false;
        for _ in 0..80 {
            self.act();
            self.pump();
            let pause = match self.random.below(20) {
                0 => 3 * 3_600_000,
                1..6 => 300_000,
                _ => 1_000,
            };
            let pause = self.random.below(pause);
            self.run_for(pause);
        }
    }

    /// Everybody comes back and may do everything; what is owed comes.
    pub(super) fn settle(&mut self) {
        self.note(|| "calm".to_owned());
        self.calm = true;
        for client in 0..CLIENTS {
            self.change(client, Mode::All);
            self.flush(client);
            let link = self.agents[client].link;
            let cut = link.is_none_or(|id| self.links.get(&id).is_none_or(|link| link.cut));
            if cut {
                self.connect(client, false, false);
            }
        }
        // Longer than any will is delayed.
        self.run_for(1_200_000);
        self.model.settled();
        for (client, agent) in self.agents.iter().enumerate() {
            assert!(agent.online(), "client {client} is not back");
            assert!(agent.flights.is_empty(), "{client}: {:?}", agent.flights);
        }
        for topic in TOPICS {
            let name = super::super::topic(topic);
            let kept = self.world.core.retained_message(self.world.now, &name);
            let kept = kept.and_then(|item| number_of(&item.payload));
            let (standing, certain) = self.model.retained(topic);
            assert!(
                kept.map_or(!certain, |number| standing.contains(&number)),
                "{topic} retains {kept:?}, not one of {standing:?}"
            );
        }
        assert_eq!(self.world.core.store_backlog(), 0);
        assert_eq!(self.world.core.waiting_bytes(), 0);
        assert!(self.world.disk.entries.is_empty());
        self.world.disk.check();
        self.links.retain(|_, link| link.end.is_some());
        let known = self.world.core.connection_count();
        assert_eq!(known, CLIENTS, "one connection for each");
    }

    fn act(&mut self) {
        let client = usize::try_from(self.random.below(CLIENTS as u64)).expect("an index");
        if client == OBSERVER {
            match self.random.below(4) {
                0 => self.lose(client),
                _ if self.agents[client].link.is_none() => self.connect(client, false, false),
                _ => self.flush(client),
            }
            return;
        }
        match self.random.below(100) {
            0..2 => return self.die(),
            2 => return self.restart(),
            3..8 => {
                let mode = self.random.pick(&Mode::EACH);
                return self.change(client, mode);
            }
            _ => {}
        }
        self.flush(client);
        if !self.agents[client].online() {
            let clean = self.random.once_in(5);
            let will = self.random.once_in(2);
            return self.connect(client, clean, will);
        }
        match self.random.below(100) {
            0..50 => {
                for _ in 0..=self.random.below(3) {
                    self.publish(client);
                }
            }
            50..68 => {
                let filter = self.random.pick(&FILTERS);
                // A member at QoS 0 may lose what is given to it.
                let most = self.random.pick(&[0, 1, 2]);
                let qos = if filter == SHARED { most.max(1) } else { most };
                self.subscribe(client, filter, qos);
            }
            68..74 => {
                let filter = self.random.pick(&FILTERS);
                self.unsubscribe(client, filter);
            }
            74..82 => self.leave(client),
            82..86 => {
                let clean = self.random.once_in(5);
                self.connect(client, clean, true);
            }
            _ => self.lose(client),
        }
    }

    fn send(&mut self, id: u64, packet: &Packet) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if !link.cut {
            mqtt::encode(packet, link.version, &mut link.up).expect("a valid packet");
            self.moves_up(id);
        }
    }

    pub(super) fn say(&mut self, client: usize, packet: &Packet) {
        if let Some(id) = self.agents[client].link {
            self.send(id, packet);
        }
    }

    pub(super) fn connect(&mut self, client: usize, clean: bool, will: bool) {
        if self.model.modes[client] == Mode::Revoked {
            return;
        }
        let now = self.world.now.wall;
        if self.agents[client].link.is_some() {
            // It has started anew and knows nothing of its connection.
            self.model.leaves(client, now, false);
        }
        self.agents[client].offline();
        let (mut connect, expiry_s) = self.agents[client].connect(clean);
        let clean = connect.clean_start;
        if clean {
            self.agents[client].forget();
        }
        let device = self.model.modes[client].device(&self.agents[client].name);
        let end = self.world.open(connect.version, &device);
        self.last_link += 1;
        let id = self.last_link;
        let mut link = Link::new(client, end, clean, expiry_s);
        if will {
            link.will = Some(self.with_will(client, &mut connect));
        }
        self.note(|| {
            format!(
                "{client} connects, link {id}, clean {clean}, will {:?}",
                link.will
            )
        });
        self.links.insert(id, link);
        self.model.connecting(client, clean);
        self.agents[client].link = Some(id);
        self.send(id, &Packet::Connect(Box::new(connect)));
        let keep_alive = u64::from(self.agents[client].keep_alive_s);
        if keep_alive > 0 {
            self.schedule(keep_alive * 800, Event::Ping(id));
        }
    }

    fn with_will(&mut self, client: usize, connect: &mut Connect) -> u32 {
        self.last_number += 1;
        let number = self.last_number;
        let delay_s = match connect.version {
            V3 => 0,
            V5 => self.random.pick(&[0, 0, 20, 200]),
        };
        *connect = with_will(connect.clone(), &format!("w/{client}"), delay_s);
        if let Some(will) = &mut connect.will {
            will.payload = format!("w{number}").into();
        }
        let fate = Fate::Open;
        let received = false;
        let will = WillKnown {
            client,
            delay_s,
            fate,
            received,
        };
        self.model.wills.insert(number, will);
        number
    }

    fn publish(&mut self, client: usize) {
        let qos = self.random.pick(&[0, 1, 1, 2, 2]);
        if qos > 0 && self.agents[client].flights.len() >= FLIGHTS_MAX {
            return;
        }
        self.last_number += 1;
        let number = self.last_number;
        let topic = self.random.pick(&TOPICS);
        let retain = self.random.once_in(6);
        let empty = retain && self.random.once_in(4);
        let expiry_s = self.random.pick(&[None, None, None, Some(600)]);
        let expiry_s = expiry_s.filter(|_| !retain && self.agents[client].version == V5);
        let moment = self.model.moment();
        let now = self.world.now.wall;
        let sent = Sent {
            publisher: client,
            topic,
            qos,
            retain,
            empty,
            sent: moment,
            acknowledged: None,
            expires: expiry_s.map(|s| now.after(Duration::from_secs(u64::from(s)))),
            repeated: false,
            refused: false,
            delivered: false,
        };
        self.note(|| format!("{client} publishes {number}: {sent:?}"));
        self.model.messages.insert(number, sent);
        let packet_id = self.agents[client].free_id();
        let mut message = message(topic, number, qos, packet_id, empty);
        message.retain = retain;
        message.properties.message_expiry_s = expiry_s;
        if qos > 0 {
            self.agents[client].flights.push(Flight {
                number,
                packet_id,
                recorded: false,
            });
        }
        self.say(client, &Packet::Publish(message));
    }

    pub(super) fn subscribe(&mut self, client: usize, filter: &'static str, qos: u8) {
        let packet_id = self.agents[client].free_id();
        let asked = self.model.moment();
        let subscriptions = &mut self.model.sessions[client].subscriptions;
        let fresh = Subscribed {
            asked,
            granted: None,
            qos,
            ended: None,
            before: None,
        };
        let known = subscriptions.entry(filter).or_insert(fresh);
        if known.ended.is_some() {
            *known = Subscribed {
                before: known.ended,
                ..fresh
            };
        }
        known.granted = None;
        self.note(|| format!("{client} subscribes to {filter} at {qos}"));
        let request = Request {
            filter,
            qos: Some(qos),
        };
        self.agents[client].requests.insert(packet_id, request);
        let Packet::Subscribe(mut packet) = subscribe(filter, qos) else {
            unreachable!("it is one");
        };
        packet.packet_id = id(packet_id);
        self.say(client, &Packet::Subscribe(packet));
    }

    fn unsubscribe(&mut self, client: usize, filter: &'static str) {
        let packet_id = self.agents[client].free_id();
        let messages = &self.model.messages;
        let known = &mut self.model.sessions[client];
        if let Some(subscribed) = known.subscriptions.get_mut(filter) {
            subscribed.granted = None;
        }
        // What it was owed may come or not.
        let kept = |number: &u32| !agent::filter_matches(filter, messages[number].topic);
        known.owed.retain(kept);
        if filter == SHARED {
            self.model.group_owed.clear();
        }
        self.note(|| format!("{client} unsubscribes from {filter}"));
        let request = Request { filter, qos: None };
        self.agents[client].requests.insert(packet_id, request);
        let Packet::Unsubscribe(mut packet) = unsubscribe(filter) else {
            unreachable!("it is one");
        };
        packet.packet_id = id(packet_id);
        self.say(client, &Packet::Unsubscribe(packet));
    }

    /// Sends what was put off.
    fn flush(&mut self, client: usize) {
        for packet in std::mem::take(&mut self.agents[client].deferred) {
            self.say(client, &packet);
        }
    }

    /// The client disconnects as it should; one of version 5 may end its session with it.
    fn leave(&mut self, client: usize) {
        let Some(link_id) = self.agents[client].link else {
            return;
        };
        let mut packet = Disconnect::default();
        let discards = self.agents[client].version == V5 && self.random.once_in(4);
        if discards {
            packet.properties.session_expiry_s = Some(0);
            self.agents[client].forget();
        }
        self.note(|| format!("{client} leaves, discards {discards}"));
        self.say(client, &Packet::Disconnect(packet));
        if let Some(link) = self.links.get_mut(&link_id) {
            link.polite = true;
        }
        self.agents[client].offline();
        self.model.leaves(client, self.world.now.wall, discards);
    }

    /// The network breaks at any byte, and either end may notice late.
    fn lose(&mut self, client: usize) {
        let Some(link_id) = self.agents[client].link else {
            return;
        };
        self.note(|| format!("{client} loses link {link_id}"));
        self.flush(client);
        let up = self.random.below(2) == 0;
        if up {
            // A part of what is on its way still arrives, whatever it is.
            self.goes_up(link_id);
        }
        let keep_alive = u64::from(self.agents[client].keep_alive_s);
        if let Some(link) = self.links.get_mut(&link_id) {
            link.cut = true;
            link.up.clear();
            link.down.clear();
        }
        self.model.leaves(client, self.world.now.wall, false);
        let late = match self.random.below(3) {
            0 => 0,
            1 => 60_000,
            _ => 3_600_000,
        };
        let missed = self.random.below(late + 1);
        self.schedule(missed, Event::Missed(link_id));
        if keep_alive > 0 {
            self.schedule(keep_alive * 1500 + 2000, Event::Silent(link_id));
        }
        if keep_alive == 0 || self.random.once_in(2) {
            let noticed = self.random.below(late + 1);
            self.schedule(noticed, Event::Noticed(link_id));
        }
    }

    /// What a client may do changes, now.
    fn change(&mut self, client: usize, mode: Mode) {
        if client == OBSERVER || self.model.modes[client] == mode {
            return;
        }
        self.note(|| format!("{client} may {mode:?}"));
        self.model.changes_mode(client, mode);
        let device = mode.device(&self.agents[client].name);
        let standing = match mode {
            Mode::Revoked => Standing::Inactive("REVOKED".into()),
            _ => device.active(),
        };
        self.world.review(&device, &standing);
        self.pump();
    }

    /// The broker dies, and starts again after a while from what the disk has.
    fn die(&mut self) {
        let finished = self.random.once_in(2);
        self.note(|| format!("the broker dies, its last batch is kept: {finished}"));
        if let Some(batch) = self.writing.take()
            && finished
        {
            self.world.disk.apply(&batch.ops);
        }
        self.starts_again();
    }

    /// The broker is stopped as it should be, and starts again.
    fn restart(&mut self) {
        self.note(|| "the broker is restarted".to_owned());
        self.world.core.shut_down(self.world.now);
        self.pump();
        let mut batch = self.writing.take();
        while let Some(written) = batch {
            self.world.disk.apply(&written.ops);
            self.world.core.persisted(self.world.now, written.up_to);
            self.pump();
            batch = self.writing.take();
        }
        self.model.synced();
        self.starts_again();
    }

    fn starts_again(&mut self) {
        self.lives += 1;
        let ids: Vec<_> = self.links.keys().copied().collect();
        let reset = self.random.once_in(2);
        for id in ids {
            let Some(link) = self.links.get_mut(&id).filter(|link| link.end.is_some()) else {
                continue;
            };
            link.end = None;
            link.cut = true;
            link.up.clear();
            if reset {
                link.down.clear();
            }
            let late = self.random.below(10_000);
            self.schedule(late, Event::Missed(id));
        }
        let died_at = self.world.now.wall;
        let down = self.random.pick(&[10, 1000, 60_000, 3_600_000]);
        let down = Duration::from_millis(self.random.below(down));
        self.world.set_clock(self.world.now.instant + down);
        self.model.crashed(died_at, self.world.now.wall);
        self.world.crash();
        self.pump();
    }

    /// The broker has closed a connection.
    pub(super) fn closes(&mut self, key: Key<Connection>) {
        let Some(link_id) = self.link_of(key) else {
            return;
        };
        self.note(|| format!("link {link_id} is closed"));
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        link.end = None;
        let heard_out = link.up.is_empty() && link.arrived.is_empty() && !link.cut;
        let (client, will, polite, cut) = (link.client, link.will, link.polite, link.cut);
        if link.accepted {
            self.model.left(client, self.world.now.wall);
        }
        if let Some(will) = will.and_then(|number| self.model.wills.get_mut(&number))
            && will.fate == Fate::Stands
        {
            will.fate = match (polite, heard_out) {
                (false, _) => Fate::Owed,
                (true, true) => Fate::Dropped,
                (true, false) => Fate::Open,
            };
        }
        if !cut {
            let late = 300 + self.random.below(2000);
            self.schedule(late, Event::Missed(link_id));
        }
    }

    /// A packet leaves the broker.
    pub(super) fn writes(&mut self, link_id: u64, packet: &Packet) {
        let link = self.links.get_mut(&link_id).expect("it is open");
        let (client, clean, expiry_s) = (link.client, link.clean, link.expiry_s);
        let now = self.world.now.wall;
        match packet {
            Packet::ConnAck(connack) => {
                assert_eq!(connack.reason, ReasonCode::Success, "{client}");
                link.accepted = true;
                let present = connack.session_present;
                self.note(|| format!("{client} is accepted, present {present}"));
                let later = self.links.range(link_id + 1..);
                let later = later.filter(|(_, link)| link.client == client).count();
                let anew = self
                    .model
                    .connected(client, now, clean, present, expiry_s, later);
                if present {
                    // A will that was delayed may not come any more.
                    let wills = self.model.wills.values_mut();
                    for will in wills.filter(|will| will.client == client && will.delay_s > 0) {
                        if will.fate == Fate::Owed {
                            will.fate = Fate::Open;
                        }
                    }
                }
                if anew {
                    // The client learns it with this CONNACK, or with a later one.
                    self.agents[client].forget();
                }
            }
            Packet::Publish(publish) => {
                if let Some(number) = number_of(&publish.payload) {
                    let flags = (publish.retain, publish.dup);
                    self.model.delivers(client, now, number, flags);
                }
            }
            _ => {}
        }
    }

    /// A packet reaches its client.
    pub(super) fn hears(&mut self, client: usize, packet: Packet) {
        if !matches!(packet, Packet::Publish(_)) {
            let version = self.agents[client].version;
            self.note(|| format!("{client} hears {}", brief(&packet, version)));
        }
        match packet {
            Packet::ConnAck(connack) => self.is_welcome(client, connack.session_present),
            Packet::Publish(publish) => self.hears_publish(client, &publish),
            Packet::PubRel(ack) => {
                self.agents[client].open.remove(&ack.packet_id.get());
                self.answer(client, Packet::PubComp(Ack::success(ack.packet_id)));
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                let flight = self.flight(client, ack.packet_id);
                if let Some(flight) = flight {
                    self.note(|| format!("{client} is told {:?} of {flight:?}", ack.reason));
                    let flights = &mut self.agents[client].flights;
                    flights.retain(|other| other.packet_id != flight.packet_id);
                    let refused = ack.reason.is_error() && !flight.recorded;
                    self.model.acknowledged(flight.number, refused);
                }
            }
            Packet::PubRec(ack) => {
                let Some(flight) = self.flight(client, ack.packet_id) else {
                    return;
                };
                let refused = ack.reason.is_error();
                self.model.acknowledged(flight.number, refused);
                let flights = &mut self.agents[client].flights;
                if refused {
                    flights.retain(|other| other.packet_id != flight.packet_id);
                    return;
                }
                for other in flights.iter_mut() {
                    other.recorded |= other.packet_id == flight.packet_id;
                }
                self.say(client, &Packet::PubRel(Ack::success(ack.packet_id)));
            }
            Packet::SubAck(suback) => self.is_granted(client, suback.packet_id, suback.reasons[0]),
            Packet::UnsubAck(unsuback) => {
                let request = self.agents[client]
                    .requests
                    .remove(&unsuback.packet_id.get());
                let moment = self.model.moment();
                let again = request.is_some_and(|request| self.asks_for(client, request.filter));
                let known = &mut self.model.sessions[client].subscriptions;
                let known = request.and_then(|request| known.get_mut(request.filter));
                if let Some(known) = known.filter(|_| !again) {
                    known.ended.get_or_insert(moment);
                }
            }
            _ => {}
        }
    }

    /// Whether an answer is awaited that changes what the client has of this filter.
    fn asks_for(&self, client: usize, filter: &str) -> bool {
        let mut requests = self.agents[client].requests.values();
        requests.any(|request| request.filter == filter)
    }

    fn flight(&self, client: usize, packet_id: NonZeroU16) -> Option<Flight> {
        let mut flights = self.agents[client].flights.iter();
        flights
            .find(|flight| flight.packet_id == packet_id.get())
            .copied()
    }

    fn is_welcome(&mut self, client: usize, present: bool) {
        let agent = &mut self.agents[client];
        agent.welcomed = true;
        let will = agent.link.and_then(|id| self.links.get(&id)?.will);
        let lives = agent
            .link
            .and_then(|id| self.links.get(&id))
            .is_some_and(|link| link.end.is_some());
        if let Some(will) = will.and_then(|number| self.model.wills.get_mut(&number)) {
            // Where the broker has closed meanwhile, nobody knows for what.
            if lives && self.model.modes[client] != Mode::Revoked {
                will.fate = Fate::Stands;
            }
        }
        if !present {
            return;
        }
        for flight in self.agents[client].flights.clone() {
            let sent = self.model.messages.get_mut(&flight.number);
            let sent = sent.expect("it was sent");
            sent.repeated = true;
            let packet = if flight.recorded {
                Packet::PubRel(Ack::success(id(flight.packet_id)))
            } else {
                let Sent { topic, qos, .. } = *sent;
                let mut again = message(topic, flight.number, qos, flight.packet_id, sent.empty);
                again.retain = sent.retain;
                again.dup = true;
                Packet::Publish(again)
            };
            self.note(|| format!("{client} repeats {flight:?}"));
            self.say(client, &packet);
        }
    }

    fn hears_publish(&mut self, client: usize, publish: &Publish) {
        let text = String::from_utf8_lossy(&publish.payload).into_owned();
        let qos = publish.qos.number();
        let fresh = match publish.packet_id {
            Some(packet_id) if qos == 2 => self.agents[client].open.insert(packet_id.get()),
            _ => true,
        };
        if fresh {
            self.note(|| format!("{client} has {text} at {qos}"));
            if let Some(number) = number_of(&publish.payload) {
                self.model.receives(client, number, qos, publish.retain);
            }
            if let Some(number) = text.strip_prefix('w') {
                self.model.will_comes(number.parse().expect("a number"));
            }
        }
        if let Some(packet_id) = publish.packet_id {
            let ack = Ack::success(packet_id);
            let packet = match qos {
                1 => Packet::PubAck(ack),
                _ => Packet::PubRec(ack),
            };
            self.answer(client, packet);
        }
    }

    /// Acknowledgements leave in order, sometimes late.
    fn answer(&mut self, client: usize, packet: Packet) {
        let waits = !self.agents[client].deferred.is_empty();
        if !self.calm && (waits || self.random.once_in(6)) {
            self.agents[client].deferred.push(packet);
        } else {
            self.say(client, &packet);
        }
    }

    fn is_granted(&mut self, client: usize, packet_id: NonZeroU16, reason: ReasonCode) {
        let request = self.agents[client].requests.remove(&packet_id.get());
        let moment = self.model.moment();
        let mode = self.model.modes[client];
        let Some(request) = request else {
            return;
        };
        let again = self.asks_for(client, request.filter);
        let subscriptions = &mut self.model.sessions[client].subscriptions;
        let Some(known) = subscriptions.get_mut(request.filter) else {
            return;
        };
        if !reason.is_error() {
            let doubtful = mode == Mode::NoSubscribe && request.filter.ends_with("t/1");
            known.granted = (!doubtful && !again).then_some(moment);
            known.qos = request.qos.unwrap_or(0);
        }
    }
}

/// The number in the payload of a message; a will has none.
fn number_of(payload: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(payload).ok()?;
    text.strip_prefix('m')?.parse().ok()
}

fn message(topic: &str, number: u32, qos: u8, packet_id: u16, empty: bool) -> Publish {
    let payload = if empty {
        String::new()
    } else {
        format!("m{number}")
    };
    publish(topic, &payload, qos, packet_id)
}
