use super::*;

#[test]
fn numbers_rise_and_are_forgotten_after_an_hour() {
    let at = |minutes: i64| Timestamp::from_seconds(minutes * 60);
    let client: Arc<str> = "c".into();
    let mut presences = Presences::new(10);
    assert_eq!(presences.connected(&client, at(0)), 0);
    // A takeover: the new connect comes before the old disconnect.
    assert_eq!(presences.connected(&client, at(1)), 1);
    presences.left(&client, 0, at(1));
    assert_eq!(presences.connected(&client, at(200)), 2);
    presences.left(&client, 2, at(200));
    assert_eq!(presences.connected(&client, at(259)), 3);
    presences.left(&client, 3, at(259));
    assert_eq!(presences.connected(&client, at(319)), 0);
    presences.left(&client, 0, at(319));
    presences.sweep(at(378));
    assert_eq!(presences.clients.len(), 1);
    presences.sweep(at(379));
    assert_eq!(presences.clients.len(), 0);
}

#[test]
fn beyond_the_bound_clients_are_numbered_0() {
    let mut presences = Presences::new(1);
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    let now = Timestamp::from_seconds(0);
    for (client, expected) in [(&a, 0), (&b, 0), (&a, 1), (&b, 0)] {
        assert_eq!(presences.connected(client, now), expected);
    }
}
