//! A disk that fills up: containment goes through, the rest is refused, and it all comes back.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use storage::{Database, DiskReserve, Options, Storage, StorageError, Urgency, params};
use tempfile::TempDir;

use crate::notes::{NOTES, all, put, read, write};

const SIZE: u64 = 64 << 10;
const FLOOR: u64 = 128 << 10;

fn contain(storage: &Storage, name: &'static str) -> Result<(), StorageError> {
    let written = storage.write_blocking(Urgency::Containment, move |tx| put(tx, name, 1));
    written.map(drop)
}

fn ordinary(storage: &Storage, name: &'static str) -> Result<(), StorageError> {
    write(storage, move |tx| put(tx, name, 1)).map(drop)
}

fn is_full(result: Result<(), StorageError>) -> bool {
    matches!(result, Err(StorageError::DiskFull { .. }))
}

/// Options whose free space is what `free` says.
fn options(database: &testkit::TestDatabase, directory: &Path, free: &Arc<AtomicU64>) -> Options {
    let free = Arc::clone(free);
    let mut options = database.options(NOTES);
    options.disk = DiskReserve {
        path: Some(directory.join("reserve")),
        size_bytes: SIZE,
        floor_bytes: FLOOR,
        free: Arc::new(move |_: &Path| Ok(free.load(Ordering::SeqCst))),
    };
    options
}

#[test]
fn below_the_floor_only_containment_goes_through() {
    for database in testkit::databases() {
        let directory = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(FLOOR + SIZE));
        let storage = Storage::open(options(&database, directory.path(), &free)).unwrap();
        ordinary(&storage, "a").unwrap();
        free.store(FLOOR - 1, Ordering::SeqCst);
        assert!(is_full(ordinary(&storage, "b")));
        contain(&storage, "c").unwrap();
        assert_eq!(read(&storage, all).unwrap().len(), 2, "reads go on");
        assert_eq!(storage.statistics().disk_refusals, 1);
        free.store(FLOOR, Ordering::SeqCst);
        ordinary(&storage, "d").unwrap();
    }
}

/// SQLite says that the disk is full at a page count, as it does at the end of a real disk. The
/// closure sees its second run, which comes after the reserve has been given up.
#[test]
fn a_full_disk_gives_its_reserve_to_containment() {
    let database = testkit::databases().remove(0);
    let directory = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(FLOOR + SIZE));
    let storage = Storage::open(options(&database, directory.path(), &free)).unwrap();
    let reserve = directory.path().join("reserve");
    assert!(reserve.exists());

    let fill = move |tx: &mut storage::Tx<'_>| {
        tx.query("PRAGMA max_page_count = 1", &[])?;
        put_large(tx)
    };
    assert!(is_full(write(&storage, fill).map(drop)));
    assert!(reserve.exists(), "ordinary writes do not get it");

    free.store(0, Ordering::SeqCst);
    let (path, mut runs) = (reserve.clone(), 0);
    let run = move |tx: &mut storage::Tx<'_>| {
        runs += 1;
        if !path.exists() {
            tx.query("PRAGMA max_page_count = 100000", &[])?;
        }
        put_large(tx)?;
        Ok::<_, StorageError>(runs)
    };
    let written = storage.write_blocking(Urgency::Containment, run).unwrap();
    assert_eq!(written.value, 2);
    assert_eq!(storage.statistics().reruns, 1);
    assert!(!reserve.exists());

    free.store(FLOOR + SIZE, Ordering::SeqCst);
    ordinary(&storage, "after").unwrap();
    // The reserve is made again before the next write is taken.
    ordinary(&storage, "later").unwrap();
    assert!(reserve.exists());
}

fn put_large(tx: &mut storage::Tx<'_>) -> Result<(), StorageError> {
    let sql = "INSERT INTO notes (name, size, body) VALUES ('large', 0, ?1)";
    tx.execute(sql, &params![vec![7u8; 256 << 10]]).map(drop)
}

/// A file system of 4 MiB, where mounting one is permitted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(directory.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} stays mounted",
            self.0.path().display()
        );
    }
}

/// The same on a real file system that is really full.
#[test]
fn a_real_disk_fills_up_and_recovers() {
    let Some(disk) = SmallDisk::mount() else {
        println!("not run: mounting a file system is not permitted here");
        return;
    };
    let mut options = testkit::databases().remove(0).options(NOTES);
    options.database = Database::Sqlite(disk.0.path().join("test.db"));
    options.disk = DiskReserve::at(disk.0.path().join("reserve"));
    options.disk.size_bytes = 1 << 20;
    // As if everything were fine until the very last byte.
    options.disk.floor_bytes = 0;
    let storage = Storage::open(options).unwrap();
    let ballast = disk.0.path().join("ballast");
    let filled = std::fs::write(&ballast, vec![1; 8 << 20]);
    assert!(filled.is_err(), "the disk is larger than it should be");

    let large = |tx: &mut storage::Tx<'_>| put_large(tx);
    assert!(is_full(write(&storage, large).map(drop)));
    storage.write_blocking(Urgency::Containment, large).unwrap();
    assert_eq!(read(&storage, all).unwrap().len(), 1);
    assert!(!disk.0.path().join("reserve").exists());
    assert!(
        is_full(ordinary(&storage, "b")),
        "the reserve is owed first"
    );

    std::fs::remove_file(&ballast).unwrap();
    ordinary(&storage, "c").unwrap();
    ordinary(&storage, "d").unwrap();
    assert!(disk.0.path().join("reserve").exists());
    drop(storage);
}
