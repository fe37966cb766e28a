//! The data directory: one folder, mode 0700, with everything in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Paths inside the data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Opens `root`, creating it with mode 0700 when it is not there.
    ///
    /// # Errors
    /// When it is not a directory, is not ours, or others may look into it.
    pub(crate) fn open_or_create(root: &Path) -> Result<Self> {
        if !root.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root)
                .with_context(|| format!("could not create {}", root.display()))?;
        }
        let this = Self::at(root);
        this.check_permissions()?;
        Ok(this)
    }

    /// Names the paths below `root` without looking at the disk.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// # Errors
    /// When `root` is no directory or open to others.
    pub(crate) fn check_permissions(&self) -> Result<()> {
        let path = self.root.display();
        let meta = fs::metadata(&self.root).with_context(|| format!("{path} is not there"))?;
        if !meta.is_dir() {
            bail!("{path} is not a directory");
        }
        if meta.mode() & 0o077 != 0 {
            bail!("{path} is open to other users; run: chmod 700 {path}");
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The administrator's AWS-style profile: key, region, endpoint, CA.
    pub(crate) fn aws_config(&self) -> PathBuf {
        self.root.join("aws-config")
    }

    /// The server authority's certificate, for clients to trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// What runs here: process id and endpoints.
    pub(crate) fn run_file(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// Disk space kept for revocation: on the disk that holds `database`, which may be another.
    pub(crate) fn reserve(&self, database: &Path) -> PathBuf {
        if database.parent() == Some(&self.root) {
            return self.root.join("reserve");
        }
        let mut path = database.as_os_str().to_owned();
        path.push(".reserve");
        PathBuf::from(path)
    }
}

/// Writes `text` to a new file that only we can read.
///
/// # Errors
/// When the file exists already: a secret is never written over another.
pub(crate) fn write_new_secret(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("could not create {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
        .with_context(|| format!("could not write {}", path.display()))
}

/// Replaces the file at `path` in one step, so that no reader sees half of it.
///
/// # Errors
/// Those of the file system, with the path.
pub(crate) fn replace(path: &Path, text: &str, mode: u32) -> Result<()> {
    let next = path.with_extension("next");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&next)
        .with_context(|| format!("could not create {}", next.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path).with_context(|| format!("could not replace {}", path.display()))?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn is_created_for_its_owner_only() {
        let parent = tempfile::tempdir().expect("a directory");
        let root = parent.path().join("a/b");
        DataDir::open_or_create(&root).expect("created");
        assert_eq!(fs::metadata(&root).expect("there").mode() & 0o777, 0o700);
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("changed");
        let error = DataDir::open_or_create(&root)
            .expect_err("open to others")
            .to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_secret_is_never_written_over_another() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        write_new_secret(&path, "one").expect("written");
        assert!(write_new_secret(&path, "two").is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "one");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        replace(&path, "three", 0o600).expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("there"), "three");
    }
}
