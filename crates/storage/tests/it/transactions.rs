//! Reads, writes, and what happens to those that fail.

use storage::{Migration, Storage, StorageError, Urgency, params};

pub(crate) const NOTES: &[Migration] = &[Migration {
    capability: "notes",
    version: 1,
    sql: "CREATE TABLE notes (
            name TEXT PRIMARY KEY,
            size BIGINT NOT NULL,
            weight DOUBLE PRECISION,
            body BLOB
          );",
}];

#[test]
fn what_is_written_is_read() {
    testkit::each_database(NOTES, |storage: &Storage| {
        let written = storage.write_blocking::<_, StorageError, _>(Urgency::Normal, |tx| {
            let sql = "INSERT INTO notes (name, size, weight, body) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(sql, &params!["a", 7, 1.5, vec![1u8, 2]])?;
            tx.execute(sql, &params!["b", 8, None::<f64>, None::<Vec<u8>>])?;
            tx.changed("note", "a")?;
            tx.changed("note", "b")
        });
        assert_eq!(written.unwrap().last_change, Some(2));
        let row = storage.read_blocking::<_, StorageError, _>(|tx| {
            tx.query_one(
                "SELECT name, size, weight, body FROM notes WHERE name > ?1 ORDER BY name LIMIT ?2",
                &params!["", 1],
            )
        });
        let row = row.unwrap().unwrap();
        assert_eq!(row.text(0), Ok("a".to_owned()));
        assert_eq!(row.int(1), Ok(7));
        assert_eq!(row.real(2), Ok(1.5));
        assert_eq!(row.blob(3), Ok(vec![1, 2]));
    });
}
