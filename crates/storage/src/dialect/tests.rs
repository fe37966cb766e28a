use proptest::prelude::*;

use super::{Dialect, Pieces, for_postgresql, schema};
use crate::{Value, params};

#[test]
fn placeholders_are_translated_outside_of_quotes_and_comments() {
    let check = |sql, expected: &str, count| {
        let parameters = vec![Value::Int(1); count];
        let found = for_postgresql(sql, &parameters);
        assert_eq!(found, (expected.to_owned(), count));
    };
    check("a = ?1 AND b = ?12", "a = $1 AND b = $12", 12);
    check("a = '?1' AND b = ?1", "a = '?1' AND b = $1", 1);
    check("a = 'it''s ?1' || ?1", "a = 'it''s ?1' || $1", 1);
    check(
        "\"?1\" = ?1 -- why ?1\n, ?2",
        "\"?1\" = $1 -- why ?1\n, $2",
        2,
    );
    check("a = 'é?1' || ?1", "a = 'é?1' || $1", 1);
    check("unclosed '?1", "unclosed '?1", 0);
    check("", "", 0);
}

#[test]
fn nulls_are_written_out_and_the_rest_is_numbered_anew() {
    let check = |sql, parameters: &[Value], expected: &str| {
        assert_eq!(for_postgresql(sql, parameters).0, expected);
    };
    let (null, one) = (Value::Null, Value::Int(1));
    let sql = "?1 IS NULL OR (?2, ?3) = (?1, ?2)";
    check(sql, &params![1, 2, 3], "$1 IS NULL OR ($2, $3) = ($1, $2)");
    check(
        sql,
        &[null.clone(), one.clone(), one.clone()],
        "NULL IS NULL OR ($1, $2) = (NULL, $1)",
    );
    check(
        sql,
        &[one.clone(), null.clone(), one],
        "$1 IS NULL OR (NULL, $2) = ($1, NULL)",
    );
    check(
        sql,
        &[null.clone(), null.clone(), null],
        "NULL IS NULL OR (NULL, NULL) = (NULL, NULL)",
    );
}

#[test]
fn types_are_translated_and_tables_are_strict() {
    let check = |sql, sqlite, postgres| {
        assert_eq!(schema(sql, Dialect::Sqlite), sqlite);
        assert_eq!(schema(sql, Dialect::Postgres), postgres);
    };
    check(
        "CREATE TABLE a (b BIGINT PRIMARY KEY, c TEXT, d BLOB, e DOUBLE PRECISION);",
        "CREATE TABLE a (b INTEGER PRIMARY KEY, c TEXT, d BLOB, e REAL ) STRICT;",
        "CREATE TABLE a (b BIGINT PRIMARY KEY, c TEXT COLLATE \"C\", d BYTEA, e DOUBLE PRECISION);",
    );
    check(
        "CREATE TABLE a (b TEXT DEFAULT 'TEXT);') -- (\n; CREATE INDEX i ON a (b);",
        "CREATE TABLE a (b TEXT DEFAULT 'TEXT);') STRICT -- (\n; CREATE INDEX i ON a (b);",
        "CREATE TABLE a (b TEXT COLLATE \"C\" DEFAULT 'TEXT);') -- (\n; CREATE INDEX i ON a (b);",
    );
    check(
        "ALTER TABLE a ADD COLUMN text BLOB; CREATE TABLE c (d TEXT)",
        "ALTER TABLE a ADD COLUMN text BLOB; CREATE TABLE c (d TEXT) STRICT",
        "ALTER TABLE a ADD COLUMN text BYTEA; CREATE TABLE c (d TEXT COLLATE \"C\")",
    );
    check(
        "UPDATE a SET b = (1)",
        "UPDATE a SET b = (1)",
        "UPDATE a SET b = (1)",
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_in_pieces(sql in "[a?1;'\"() é\n-]{0,40}") {
        let together: String = Pieces(&sql).map(|piece| piece.text()).collect();
        prop_assert_eq!(together, sql);
    }
}
