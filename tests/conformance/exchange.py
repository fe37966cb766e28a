"""Whole exchanges of either side, for tests that look at something else."""

from wire import (PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, acknowledge, disconnect,
                  publish)

# PUBACK and PUBREC may say that nobody was listening.
OK = (0, 0x10)


def deliver(sender, topic, payload, qos=1, id=1, **options):
    """Publishes, and completes the exchange; a server may route QoS 2 only at its release."""
    sender.send(publish(topic, payload, qos, id, version=sender.version, **options))
    if qos:
        answer = sender.next_of(PUBACK if qos == 1 else PUBREC)
        assert answer.id == id and answer.code in OK, answer
    if qos == 2:
        sender.send(acknowledge(PUBREL, id))
        assert sender.next_of(PUBCOMP).id == id


def take(receiver, count=1):
    """The next messages, acknowledged as their QoS asks, the last of them too."""
    found, unreleased = [], 0
    while len(found) < count or unreleased:
        one = receiver.next()
        if one.kind == PUBLISH:
            found.append(one)
            if one.qos == 1:
                receiver.send(acknowledge(PUBACK, one.id))
            elif one.qos == 2:
                unreleased += 1
                receiver.send(acknowledge(PUBREC, one.id))
        elif one.kind == PUBREL:
            unreleased -= 1
            receiver.send(acknowledge(PUBCOMP, one.id))
    return found


def leave(client):
    """Disconnects, and waits until the server knows."""
    assert client.send(disconnect()).rest() == []


def quiet(client):
    """What comes before the answer to a PINGREQ."""
    client.send(b"\xc0\x00")
    found = []
    while (one := client.next()).kind != PINGRESP:
        found.append(one)
    return found


def until_end(sender, receiver, topic):
    """What `receiver` is sent on a topic before a last message, which is certain to come."""
    deliver(sender, topic, b"end", qos=0)
    found = []
    while (one := take(receiver)[0]).payload != b"end":
        found.append(one)
    return found
