use std::fmt::Write as _;

use super::*;

const MOVES: [Move; 5] = [
    Move::Activate,
    Move::Deactivate,
    Move::Revoke,
    Move::Transfer,
    Move::Delete,
];

fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::Becomes(status) => status.to_string(),
        Outcome::Stays => "(no change)".to_owned(),
        Outcome::Removed => "(removed)".to_owned(),
        Outcome::Refused => "(refused)".to_owned(),
    }
}

// tests aws-iot [CT-30]
// tests aws-iot [CT-32]
#[test]
fn every_status_meets_every_move() {
    let mut table = String::new();
    for status in Status::ALL {
        for wanted in MOVES {
            let outcome = word(status.on(wanted));
            let wanted = format!("{wanted:?}");
            writeln!(table, "{:18} {wanted:10} -> {outcome}", status.as_str())
                .expect("a String takes it");
        }
    }
    testkit::golden("golden/status.txt", &table);
}

// tests aws-iot [CT-31]: revocation is for good.
#[test]
fn nothing_leaves_revoked_but_by_deletion() {
    for wanted in MOVES {
        assert!(
            !matches!(Status::Revoked.on(wanted), Outcome::Becomes(_)),
            "{wanted:?}"
        );
    }
}

#[test]
fn statuses_round_trip() {
    for status in Status::ALL {
        assert_eq!(Status::parse(status.as_str()), Some(status));
        assert_eq!(
            serde_json::to_value(status).expect("serialises"),
            status.as_str()
        );
    }
    assert_eq!(Status::parse("REGISTER_INACTIVE"), None);
    assert_eq!(Status::parse("active"), None);
}

#[track_caller]
fn check_requested(text: &str, expected: Option<(Move, Status)>) {
    let requested: RequestedStatus =
        serde_json::from_value(text.into()).expect("a status of the model");
    match expected {
        Some((wanted, initial)) => {
            assert_eq!(requested.wanted().ok(), Some(wanted), "{text}");
            assert_eq!(requested.initial().ok(), Some(initial), "{text}");
        }
        None => {
            for error in [
                requested.wanted().map(|_| ()),
                requested.initial().map(|_| ()),
            ] {
                let error = error.expect_err(text);
                assert_eq!(error.exception, "InvalidRequestException");
                assert!(error.message.contains(text), "{}", error.message);
            }
        }
    }
}

// tests aws-iot [CT-30]
#[test]
fn requested_statuses() {
    check_requested("ACTIVE", Some((Move::Activate, Status::Active)));
    check_requested("INACTIVE", Some((Move::Deactivate, Status::Inactive)));
    check_requested(
        "REGISTER_INACTIVE",
        Some((Move::Deactivate, Status::Inactive)),
    );
    check_requested("REVOKED", Some((Move::Revoke, Status::Revoked)));
    check_requested("PENDING_TRANSFER", None);
    check_requested("PENDING_ACTIVATION", None);
}
