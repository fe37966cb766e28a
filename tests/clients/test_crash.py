"""The broker dies or is stopped at a random moment under mixed load, again and again, and whatever
was acknowledged is there.

`make test` plays ten rounds, `make soak` more (`PALISADE_TEST_CRASH_ROUNDS`). A round that fails is
played again with `PALISADE_TEST_CRASH_SEED`; what the machine does in between is not in the seed.
"""

import asyncio
import json
import os
import random
import threading

import pytest

from conftest import EVERYTHING
from fleet import Churner, Fleet, Link, Publisher, Subscriber, Testator
from test_restart import database_of
from wire import PINGRESP, PUBLISH, publish, subscribe

ROUNDS = int(os.environ.get("PALISADE_TEST_CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("PALISADE_TEST_CRASH_SEED", "1"))


class Restless(threading.Thread):
    """Rights change all the time, though to no effect: every session is judged again."""

    def __init__(self, platform, device):
        super().__init__(daemon=True)
        self.iot, self.device = platform.client("iot"), device
        self.stops = threading.Event()

    def run(self):
        while not self.stops.is_set():
            try:
                self.iot.attach_policy(policyName="harmless", target=self.device.certificate_arn)
                self.iot.detach_policy(policyName="harmless", target=self.device.certificate_arn)
            except Exception:  # The broker is gone.
                return
            self.stops.wait(0.05)


class Rounds:
    def __init__(self, platform, new_device, seed):
        self.platform, self.random = platform, random.Random(seed)
        iot = platform.client("iot")
        self.device = new_device(*EVERYTHING, target=platform, client=iot)
        self.narrow = new_device(*EVERYTHING, target=platform, client=iot)
        for name, effect, resource in (("harmless", "Allow", "topic/none"),
                                       ("no-t0", "Deny", "topic/t/0/*")):
            iot.create_policy(policyName=name, policyDocument=json.dumps({
                "Version": "2012-10-17", "Statement": [
                    {"Effect": effect, "Action": "iot:Receive",
                     "Resource": platform.arn(resource)}]}))

    async def play(self, rounds):
        fleet = self.fleet = Fleet(self.platform, self.random)
        device = self.device
        self.publishers = [fleet.add(Publisher(fleet, device, number, version))
                           for number, version in ((0, 5), (1, 4), (2, 5))]
        self.all = [
            fleet.add(Subscriber(fleet, device, "exact", "t/#", 2, receive_maximum=10)),
            fleet.add(Subscriber(fleet, device, "old", "t/#", 2, 4)),
            fleet.add(Subscriber(fleet, device, "retained", "r/#", 1))]
        self.group = [fleet.add(Subscriber(fleet, device, f"member-{n}", "$share/g/t/#", 1))
                      for n in range(2)]
        for member in self.group:
            # Which member has what says nothing of an order.
            member.takes = lambda topic, payload, qos, of=member: of.received.update([payload])
        self.observer = fleet.add(Subscriber(fleet, device, "observer", "w/#", 1))
        self.restricted = fleet.add(Subscriber(fleet, self.narrow, "restricted", "t/0/#", 1))
        self.churner = fleet.add(Churner(fleet, device, "churner", "n/#", 1))
        self.testators = [fleet.add(Testator(fleet, device, n, v)) for n, v in ((0, 5), (1, 4))]
        self.subscribers = [*self.all, *self.group, self.observer, self.restricted, self.churner]
        # Spans of moments in which `restricted` may receive nothing.
        self.forbidden = []
        fleet.up.set()
        try:
            await fleet.until(lambda: all(one.granted for one in self.subscribers), "subscribed")
            for number in range(rounds):
                await self.round(number)
        finally:
            await fleet.close()

    async def round(self, number):
        fleet = self.fleet
        before = sum(1 for *_, at in fleet.messages.values() if at)
        if number % 4 == 1:
            await self.forbid()
        if number % 4 == 3:
            await self.permit()
        restless = Restless(self.platform, self.device)
        restless.start()
        fleet.loading = True
        await fleet.until(lambda: any(at for *_, at in list(fleet.messages.values())[before:]),
                          "something is acknowledged")
        await asyncio.sleep(self.random.uniform(0.1, 1.5))
        await asyncio.to_thread(self.end, number)
        fleet.up.clear()
        restless.stops.set()
        fleet.loading = False
        await asyncio.to_thread(restless.join, 30)
        for testator in self.testators:
            # What was heard politely may have been forgotten with the broker.
            testator.dropped.clear()
        await asyncio.to_thread(self.platform.start)
        fleet.up.set()
        await self.check(number)

    def end(self, number):
        """A stop is a disconnect of everybody; a death is not even that."""
        if number % 3 == 2:
            self.platform.stop()
        else:
            self.platform.kill()

    async def check(self, number):
        fleet = self.fleet
        await fleet.until(lambda: not any(one.flights for one in self.publishers)
                          and all(one.online for one in self.subscribers), "everybody is back")
        t = fleet.acknowledged(lambda topic: topic.startswith("t/"))
        r = fleet.acknowledged(lambda topic: topic.startswith("r/"))
        assert len(t) > 20 * (number + 1)
        in_t0 = {payload for payload in t if fleet.messages[payload][0].startswith("t/0/")
                 and not self.may_be_forbidden(payload)}
        owed = [(self.all[0], t), (self.all[1], t), (self.all[2], r),
                (self.restricted, in_t0), (self.churner, self.churner.owed())]
        wills = set().union(*(testator.owed for testator in self.testators))

        def missing():
            found = {one.name: owes - one.received.keys() for one, owes in owed}
            found["the group"] = t - self.group[0].received.keys() - self.group[1].received.keys()
            found["wills"] = wills - self.observer.received.keys()
            return {name: sorted(left)[:5] for name, left in found.items() if left}

        await fleet.until(lambda: not missing(), lambda: f"round {number}: {missing()}")
        assert not self.churner.strays(), "nothing is sent to who is not subscribed"
        for payload in self.restricted.received:
            assert ":" not in payload or not self.is_forbidden(payload), payload
        for testator in self.testators:
            early = {testator.standing} | testator.dropped
            assert not early & self.observer.received.keys(), "a will that is not due"
        await self.check_retained()

    async def check_retained(self):
        link, _ = await Link.open(self.fleet, self.device, "looks")
        link.send(subscribe("r/#", qos=0), b"\xc0\x00")
        found = {}
        while (packet := await link.next(30)).kind != PINGRESP:
            if packet.kind == PUBLISH:
                found[packet.topic] = packet.payload.decode()
        link.abort()
        # Everything is acknowledged, so the last is what there is.
        expected = {f"r/{one.number}": one.retained for one in self.publishers if one.retained}
        assert found == expected

    async def forbid(self):
        """Takes a right away, and waits until it is gone: a probe is not delivered."""
        target = self.narrow.certificate_arn
        await asyncio.to_thread(self.platform.client("iot").attach_policy,
                                policyName="no-t0", target=target)
        link, _ = await Link.open(self.fleet, self.device, "prober")
        inside, _ = await Link.open(self.fleet, self.narrow, "probed")
        inside.send(subscribe("t/0/#", "barrier", qos=0))
        await inside.next(30)
        while True:
            link.send(publish("t/0/probe", b"probe", 0), publish("barrier", b"", 0))
            if (await inside.next(30)).topic == "barrier":
                break
            await inside.next(30)
        link.abort()
        inside.abort()
        self.forbidden.append([self.fleet.moment(), None])

    async def permit(self):
        self.forbidden[-1][1] = self.fleet.moment()
        await asyncio.to_thread(self.platform.client("iot").detach_policy,
                                policyName="no-t0", target=self.narrow.certificate_arn)
        link, _ = await Link.open(self.fleet, self.device, "prober")
        inside, _ = await Link.open(self.fleet, self.narrow, "probed")
        inside.send(subscribe("t/0/#", qos=0))
        await inside.next(30)
        found = None
        while not found:
            link.send(publish("t/0/probe", b"probe", 0))
            found = await inside.next(0.1)
        link.abort()
        inside.abort()

    def is_forbidden(self, payload):
        _, sent, _ = self.fleet.messages[payload]
        return any(since < sent and (until is None or self.fleet.messages[payload][2] < until)
                   for since, until in self.forbidden)

    def may_be_forbidden(self, payload):
        _, sent, at = self.fleet.messages[payload]
        # What waited when the right was taken away is not delivered either.
        return any(since < at and (until is None or sent < until)
                   for since, until in self.forbidden)


@pytest.mark.parametrize("engine, rounds", [("sqlite", ROUNDS), ("postgres", max(2, ROUNDS // 5))])
def test_nothing_acknowledged_is_lost(new_platform, new_device, unique, engine, rounds):
    platform = new_platform(*database_of(engine, unique))
    print(f"PALISADE_TEST_CRASH_SEED={SEED}")
    asyncio.run(Rounds(platform, new_device, SEED).play(rounds))
