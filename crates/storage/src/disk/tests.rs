use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::{DiskReserve, Reserve};

const SIZE: u64 = 100;
const FLOOR: u64 = 1000;

/// A disk whose free space is what a test says.
struct Disk {
    directory: TempDir,
    free: Arc<AtomicU64>,
}

impl Disk {
    fn new(free: u64) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            free: Arc::new(AtomicU64::new(free)),
        }
    }

    fn reserve(&self) -> Reserve {
        let free = Arc::clone(&self.free);
        Reserve::new(DiskReserve {
            path: Some(self.path()),
            size_bytes: SIZE,
            floor_bytes: FLOOR,
            free: Arc::new(move |_: &Path| Ok(free.load(Ordering::SeqCst))),
        })
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("reserve")
    }

    fn set(&self, free: u64) {
        self.free.store(free, Ordering::SeqCst);
    }
}

#[test]
fn ordinary_writes_are_refused_below_the_floor() {
    let disk = Disk::new(FLOOR + SIZE);
    let reserve = disk.reserve();
    assert!(!reserve.missing());
    let check = |free, refused| {
        disk.set(free);
        assert_eq!(reserve.refusal().is_some(), refused, "{free}");
    };
    check(FLOOR, false);
    check(FLOOR - 1, true);
    check(0, true);
    check(u64::MAX, false);
}

#[test]
fn what_the_reserve_sets_free_is_not_for_ordinary_writes() {
    let disk = Disk::new(FLOOR + SIZE);
    let mut reserve = disk.reserve();
    assert_eq!(std::fs::metadata(disk.path()).unwrap().len(), SIZE);
    assert!(reserve.release());
    assert!(!disk.path().exists());
    assert!(!reserve.release(), "there is only one");
    disk.set(FLOOR + SIZE - 1);
    assert!(reserve.refusal().is_some());
    reserve.restore();
    assert!(reserve.missing());
    disk.set(FLOOR + SIZE);
    assert!(reserve.refusal().is_none());
    reserve.restore();
    assert!(!reserve.missing() && disk.path().exists());
}

#[test]
fn a_reserve_outlives_restarts() {
    let disk = Disk::new(FLOOR + SIZE);
    drop(disk.reserve());
    disk.set(0);
    assert!(!disk.reserve().missing());
    std::fs::write(disk.path(), "half").unwrap();
    assert!(disk.reserve().missing(), "one of another size is none");
}

#[test]
fn without_a_path_nothing_is_watched() {
    let mut reserve = Reserve::new(DiskReserve::none());
    assert!(reserve.refusal().is_none());
    assert!(!reserve.missing());
    assert!(!reserve.release());
}

#[test]
fn the_file_takes_its_space_for_real() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("reserve");
    let mut settings = DiskReserve::at(path.clone());
    settings.size_bytes = 1 << 20;
    settings.floor_bytes = 0;
    assert!(!Reserve::new(settings).missing());
    let found = std::fs::metadata(&path).unwrap();
    assert_eq!(found.len(), 1 << 20);
    assert!(
        (1 << 20) <= found.blocks() * 512,
        "{} blocks",
        found.blocks()
    );
}
