//! Room on the disk for what must work when it is full.
//!
//! Containment (revoke, detach, quarantine, and their records) has to work on a full disk. So
//! ordinary writes are refused while some space is left, and a file of some size lies in reserve,
//! to be removed when even that has gone. Both come back by themselves once there is space.
//!
//! With PostgreSQL the disk that fills up is the server's; there is nothing here to reserve.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::StorageError;

/// How much space is free for us on the file system of a directory, in bytes.
pub type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// What is kept free for containment.
#[derive(Clone)]
pub struct DiskReserve {
    /// The reserve file, on the file system of the database; `None`: nothing is watched or kept.
    pub path: Option<PathBuf>,
    /// Size of the reserve file, in bytes.
    pub size_bytes: u64,
    /// Ordinary writes are refused while less than this is free beside the reserve, in bytes.
    pub floor_bytes: u64,
    /// Tells how much is free.
    pub free: FreeSpace,
}

impl DiskReserve {
    /// Default size of the reserve file.
    pub const SIZE_BYTES: u64 = 16 << 20;
    /// Default of the space below which ordinary writes are refused.
    pub const FLOOR_BYTES: u64 = 32 << 20;

    /// Nothing in reserve: for PostgreSQL, and for tests.
    pub fn none() -> Self {
        Self {
            path: None,
            size_bytes: 0,
            floor_bytes: 0,
            free: Arc::new(free_space),
        }
    }

    /// The defaults, with the reserve file at `path`.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path: Some(path),
            size_bytes: Self::SIZE_BYTES,
            floor_bytes: Self::FLOOR_BYTES,
            free: Arc::new(free_space),
        }
    }
}

impl fmt::Debug for DiskReserve {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DiskReserve")
            .field("path", &self.path)
            .field("size_bytes", &self.size_bytes)
            .field("floor_bytes", &self.floor_bytes)
            .finish_non_exhaustive()
    }
}

/// What the file system says is free for unprivileged users.
fn free_space(directory: &Path) -> io::Result<u64> {
    let found = statvfs(directory)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The reserve as it is: held or given up.
#[derive(Debug)]
pub(crate) struct Reserve {
    settings: DiskReserve,
    held: bool,
}

impl Reserve {
    /// Finds the reserve file of an earlier run, or makes it if there is room.
    pub(crate) fn new(settings: DiskReserve) -> Self {
        let size = settings
            .path
            .as_ref()
            .and_then(|path| fs::metadata(path).ok());
        let held = size.is_some_and(|found| found.len() == settings.size_bytes);
        let mut reserve = Self { settings, held };
        reserve.restore();
        reserve
    }

    /// Why ordinary writes are refused now, if they are.
    pub(crate) fn refusal(&self) -> Option<StorageError> {
        let free = self.free()?;
        let floor = self.floor();
        (free < floor).then(|| StorageError::DiskFull {
            detail: format!("{free} bytes are free, ordinary writes need {floor}"),
        })
    }

    /// Gives the reserve up; whether there was one to give.
    pub(crate) fn release(&mut self) -> bool {
        let Some(path) = self.settings.path.as_ref().filter(|_| self.held) else {
            return false;
        };
        self.held = false;
        match fs::remove_file(path) {
            Ok(()) => {
                tracing::warn!(path = %path.display(), "the disk is full; its reserve is in use");
                true
            }
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the disk reserve is stuck");
                false
            }
        }
    }

    /// Makes the reserve again, if it is missing and there is room for it and the floor.
    pub(crate) fn restore(&mut self) {
        let room = self.free().is_some_and(|free| self.floor() <= free);
        let Some(path) = self.settings.path.as_ref().filter(|_| !self.held && room) else {
            return;
        };
        match allocate(path, self.settings.size_bytes) {
            Ok(()) => self.held = true,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "no disk reserve could be made");
                // A part of it would only take space away.
                let _absent = fs::remove_file(path);
            }
        }
    }

    /// Whether a reserve is wanted and not there.
    pub(crate) const fn missing(&self) -> bool {
        self.settings.path.is_some() && !self.held
    }

    /// While the reserve is given up, what it has set free is not for ordinary writes.
    const fn floor(&self) -> u64 {
        let owed = if self.held {
            0
        } else {
            self.settings.size_bytes
        };
        self.settings.floor_bytes.saturating_add(owed)
    }

    /// `None` when nothing is watched, or the file system does not say.
    fn free(&self) -> Option<u64> {
        let path = self.settings.path.as_ref()?;
        let directory = path.parent().filter(|parent| *parent != Path::new(""));
        match (self.settings.free)(directory.unwrap_or(Path::new("."))) {
            Ok(free) => Some(free),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "free space is not known");
                None
            }
        }
    }
}

/// A file of this size whose blocks are really taken.
fn allocate(path: &Path, size: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, size) {
        Ok(()) => (),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(&mut file, size)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}

fn write_zeros(file: &mut File, size: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), size), file)?;
    file.flush()
}

#[cfg(test)]
mod tests;
