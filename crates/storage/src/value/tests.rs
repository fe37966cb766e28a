use crate::{Row, StorageError, Value};

#[test]
fn what_both_engines_store_alike() {
    let check = |value: Value, stored: bool| {
        assert_eq!(value.check(1).is_ok(), stored, "{value:?}");
    };
    check(Value::Null, true);
    check(Value::from(""), true);
    check(Value::from("a\u{1}é𝄞"), true);
    check(Value::from("a\0"), false);
    check(Value::from(f64::MAX), true);
    check(Value::from(f64::NAN), false);
    check(Value::from(f64::INFINITY), false);
    check(Value::from(vec![0u8]), true);
}

#[test]
fn parameters_become_values() {
    let made = params!["a", 1i64, true, 2.5, vec![7u8], None::<i64>, Some("b"),];
    let expected = [
        Value::Text("a".to_owned()),
        Value::Int(1),
        Value::Int(1),
        Value::Real(2.5),
        Value::Blob(vec![7]),
        Value::Null,
        Value::Text("b".to_owned()),
    ];
    assert_eq!(made, expected);
    assert!(params![].is_empty());
}

#[test]
fn cells_are_read_as_what_they_are() {
    let row = Row(vec![Value::Int(2), Value::from("x"), Value::Null]);
    assert_eq!(row.int(0), Ok(2));
    assert_eq!(row.bool(0), Ok(true));
    assert_eq!(row.time(0).map(model::Timestamp::millis), Ok(2));
    assert_eq!(row.opt_text(2), Ok(None));
    assert_eq!(row.opt_text(1), Ok(Some("x".to_owned())));

    let mismatch = |column, wanted, found| {
        let error = StorageError::TypeMismatch {
            column,
            wanted,
            found,
        };
        Err::<(), _>(error)
    };
    assert_eq!(row.text(0).map(drop), mismatch(0, "text", "integer"));
    assert_eq!(row.int(1).map(drop), mismatch(1, "integer", "text"));
    assert_eq!(row.blob(2).map(drop), mismatch(2, "blob", "null"));
    let absent = StorageError::NoColumn {
        column: 3,
        columns: 3,
    };
    assert_eq!(row.opt_int(3), Err(absent));
}
