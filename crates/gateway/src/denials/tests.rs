use model::ManualClock;
use serde_json::json;
use testkit::each_database_and_clock;

use super::*;

const LIMITS: DenialLimits = DenialLimits {
    in_memory: 6,
    per_principal: 3,
    window: Duration::from_secs(60),
    explanation_bytes: 64,
    text_bytes: 16,
    stored: 4,
    age: Duration::from_secs(1000),
};

fn denial(principal: &str, action: &str, resource: &str) -> Denial {
    Denial {
        door: Door::Mqtt,
        principal: principal.to_owned(),
        client_id: Some("c".to_owned()),
        source_ip: Some([198, 51, 100, 9].into()),
        action: action.to_owned(),
        resource: resource.to_owned(),
        verdict: "implicit-deny",
        explanation: json!({"why": resource}),
    }
}

fn manual() -> (Arc<ManualClock>, Denials) {
    let clock = testkit::clock();
    let denials = Denials::new(Arc::clone(&clock) as Arc<dyn Clock>, LIMITS);
    (clock, denials)
}

fn held(denials: &Denials, id: &DenialId) -> DenialRecord {
    denials.in_memory(id).unwrap()
}

#[test]
fn repeats_coalesce_within_their_window() {
    let (clock, denials) = manual();
    let first = denials.record(denial("p", "a", "r"));
    assert_eq!(first.as_str().len(), 32);
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(denials.record(denial("p", "a", "r")), first);
    let record = held(&denials, &first);
    assert_eq!(record.count, 2);
    assert_eq!(
        record.last_at.since(record.first_at),
        Duration::from_millis(59_999)
    );
    clock.advance(Duration::from_millis(1));
    let next = denials.record(denial("p", "a", "r"));
    assert_ne!(next, first);
    assert_eq!(denials.record(denial("p", "a", "r")), next);
    for other in [
        denial("q", "a", "r"),
        denial("p", "b", "r"),
        denial("p", "a", "s"),
    ] {
        let id = denials.record(other);
        assert!(id != first && id != next);
    }
}

#[test]
fn repeats_are_counted_by_the_id_in_memory_and_after() {
    each_database_and_clock(crate::MIGRATIONS, |storage, _| {
        let (clock, denials) = manual();
        let id = denials.record(denial("p", "a", "r"));
        clock.advance(Duration::from_secs(1));
        denials.repeat(Door::Mqtt, id.as_str(), 41);
        let record = held(&denials, &id);
        assert_eq!((record.count, record.last_at), (42, clock.now()));
        run(denials.flush(storage)).unwrap();
        clock.advance(LIMITS.window);
        run(denials.flush(storage)).unwrap();
        assert!(denials.in_memory(&id).is_none(), "its window is over");
        denials.repeat(Door::Mqtt, id.as_str(), 7);
        denials.repeat(Door::Mqtt, id.as_str(), 1);
        run(denials.flush(storage)).unwrap();
        run(denials.flush(storage)).unwrap();
        let record = stored(storage, &id).unwrap();
        assert_eq!((record.count, record.last_at), (50, clock.now()));
        assert_eq!(denials.lost(), 0);
        for unknown in 0..=LIMITS.in_memory {
            denials.repeat(Door::Mqtt, &format!("unknown{unknown}"), 1);
        }
        assert_eq!(denials.lost(), 1, "what waits is bounded");
        run(denials.flush(storage)).unwrap();
    });
}

#[test]
fn one_principal_cannot_push_out_others() {
    let (_, denials) = manual();
    let mine = denials.record(denial("me", "a", "r"));
    let ids: Vec<DenialId> = (0..100)
        .map(|at| denials.record(denial("noisy", "a", &format!("r{at}"))))
        .collect();
    assert_eq!(held(&denials, &ids[2]).resource, "r2");
    let rest = held(&denials, &ids[3]);
    assert_eq!((rest.resource.as_str(), rest.count), (MANY_RESOURCES, 97));
    assert_eq!(rest.explanation, Value::Null);
    assert!(ids[3..].iter().all(|id| *id == ids[3]));
    assert_eq!(held(&denials, &mine).count, 1);
    assert_eq!(denials.lost(), 0);
}

#[test]
fn memory_is_bounded_and_losses_are_counted() {
    let (_, denials) = manual();
    let ids: Vec<DenialId> = (0..LIMITS.in_memory + 2)
        .map(|at| denials.record(denial(&format!("p{at}"), "a", "r")))
        .collect();
    assert_eq!(denials.state().records.len(), LIMITS.in_memory);
    assert_eq!(denials.lost(), 2);
    assert!(denials.in_memory(&ids[1]).is_none());
    assert!(denials.in_memory(&ids[2]).is_some());
    assert_eq!(denials.state().of_principal.len(), LIMITS.in_memory);
    assert_eq!(denials.state().by_key.len(), LIMITS.in_memory);
}

#[test]
fn long_texts_and_explanations_are_cut() {
    let (_, denials) = manual();
    let mut long = denial("p", "a", &"ä".repeat(20));
    long.explanation = json!("x".repeat(62));
    let id = denials.record(long);
    assert_eq!(held(&denials, &id).resource, "ä".repeat(8));
    assert_eq!(held(&denials, &id).explanation, json!("x".repeat(62)));
    let mut long = denial("p", "a", "s");
    long.explanation = json!("x".repeat(63));
    let id = denials.record(long);
    assert_eq!(held(&denials, &id).explanation, Value::Null);
}

#[test]
fn private_keys_never_enter_a_record() {
    let (_, denials) = manual();
    let key = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----";
    let mut pasted = denial(key, key, key);
    pasted.client_id = Some(key.to_owned());
    pasted.explanation = json!([key]);
    let id = denials.record(pasted);
    let record = held(&denials, &id);
    assert!(!format!("{record:?}").contains("SECRET"), "{record:?}");
    assert_eq!(record.explanation, json!([crate::HIDDEN]));
}

fn stored(storage: &Storage, id: &DenialId) -> Option<DenialRecord> {
    let id = id.clone();
    storage
        .read_blocking(move |tx| store::find(tx, id.as_str()))
        .unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

#[test]
fn no_text_keeps_records_from_being_written() {
    each_database_and_clock(crate::MIGRATIONS, |storage, _| {
        let (_, denials) = manual();
        let mut hostile = denial("p\0", "a\0", "r\0\u{fffe}");
        hostile.client_id = Some("c\0".to_owned());
        hostile.explanation = json!("\0");
        let hostile = denials.record(hostile);
        let other = denials.record(denial("p", "a", "r"));
        run(denials.flush(storage)).unwrap();
        let record = stored(storage, &hostile).unwrap();
        assert_eq!(record.resource, "r\u{fffd}\u{fffe}");
        assert_eq!(record, held(&denials, &hostile));
        assert!(stored(storage, &other).is_some());
    });
}

#[test]
fn flushing_writes_new_records_and_new_counts() {
    each_database_and_clock(crate::MIGRATIONS, |storage, _| {
        let (clock, denials) = manual();
        let id = denials.record(denial("p", "a", "r"));
        run(denials.flush(storage)).unwrap();
        assert_eq!(stored(storage, &id), Some(held(&denials, &id)));
        clock.advance(Duration::from_secs(1));
        denials.record(denial("p", "a", "r"));
        run(denials.flush(storage)).unwrap();
        let record = stored(storage, &id).unwrap();
        assert_eq!(record.count, 2);
        assert_eq!(record, held(&denials, &id));
        clock.advance(LIMITS.window);
        run(denials.flush(storage)).unwrap();
        assert!(
            denials.in_memory(&id).is_none(),
            "written and over: forgotten"
        );
        assert!(stored(storage, &id).is_some());
    });
}

#[test]
fn retention_is_by_age_and_number() {
    each_database_and_clock(crate::MIGRATIONS, |storage, _| {
        let (clock, denials) = manual();
        let mut ids = Vec::new();
        for at in 0..6 {
            ids.push(denials.record(denial(&format!("p{at}"), "a", "r")));
            clock.advance(Duration::from_secs(100));
        }
        run(denials.flush(storage)).unwrap();
        let reconcile = |denials: &Denials| run(denials.reconcile(storage, clock.now())).unwrap();
        assert_eq!(reconcile(&denials), 2, "four are kept");
        assert!(stored(storage, &ids[1]).is_none());
        assert!(stored(storage, &ids[2]).is_some());
        assert_eq!(reconcile(&denials), 0);
        // The third was seen at 200 s and is 1000 s old at 1200 s.
        clock.advance(Duration::from_secs(600));
        assert_eq!(reconcile(&denials), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(reconcile(&denials), 1);
        assert!(stored(storage, &ids[2]).is_none());
    });
}
