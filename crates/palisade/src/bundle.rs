//! A device's bundle: everything one device needs, in one zip file.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use zip::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};

/// The largest member read back from a bundle, in bytes.
const MEMBER_MAX: u64 = 1 << 20;

/// `connection.json`: where to connect and as whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    /// The host of the MQTT listener.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// The thing.
    pub(crate) thing_name: String,
    /// The client id that the default policy allows.
    pub(crate) client_id: String,
    /// A topic that the default policy allows.
    pub(crate) topic: String,
    /// The certificate's id.
    pub(crate) certificate_id: String,
}

/// A bundle in memory.
#[derive(Clone)]
pub(crate) struct Bundle {
    pub(crate) connection: Connection,
    pub(crate) certificate: String,
    pub(crate) private_key: String,
    pub(crate) ca: String,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Bundle")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

const SNIPPETS: [(&str, &str); 4] = [
    ("publish.py", include_str!("../snippets/publish.py")),
    ("publish.mjs", include_str!("../snippets/publish.mjs")),
    ("publish.c", include_str!("../snippets/publish.c")),
    ("publish.sh", include_str!("../snippets/publish.sh")),
];

/// A new file, open and empty, that goes away unless a bundle is written to it.
#[derive(Debug)]
pub(crate) struct BundleFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl BundleFile {
    /// Creates a file that only its owner can read.
    ///
    /// # Errors
    /// When it exists already, or cannot be created.
    pub(crate) fn reserve(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let created = options.write(true).create_new(true).mode(0o600).open(path);
        let file = created.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => anyhow!(
                "{} exists already; a bundle is never written over another: move it away, or \
                 name another file",
                path.display()
            ),
            _ => anyhow!(error).context(format!("could not create {}", path.display())),
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            written: false,
        })
    }

    /// Writes the bundle.
    ///
    /// # Errors
    /// Those of the file system, with the path.
    pub(crate) fn write(mut self, bundle: &Bundle) -> Result<()> {
        let bytes = bundle.zipped()?;
        let result = self
            .file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_all());
        result.with_context(|| format!("could not write {}", self.path.display()))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for BundleFile {
    fn drop(&mut self) {
        if self.written {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(error = %error, "an empty bundle stays behind");
        }
    }
}

impl Bundle {
    /// The bundle as the bytes of a zip file.
    fn zipped(&self) -> Result<Vec<u8>> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let connection = serde_json::to_string_pretty(&self.connection)?;
        let files = [
            ("certificate.pem", self.certificate.as_str()),
            ("private.key", self.private_key.as_str()),
            ("ca.pem", self.ca.as_str()),
            ("connection.json", connection.as_str()),
        ];
        let secret = SimpleFileOptions::default().unix_permissions(0o600);
        for (name, text) in files {
            archive.start_file(name, secret)?;
            archive.write_all(text.as_bytes())?;
        }
        for (name, template) in SNIPPETS {
            let is_script = Path::new(name).extension().is_some_and(|end| end == "sh");
            let mode = if is_script { 0o700 } else { 0o600 };
            archive.start_file(name, secret.unix_permissions(mode))?;
            archive.write_all(self.filled(template).as_bytes())?;
        }
        Ok(archive.finish()?.into_inner())
    }

    fn filled(&self, template: &str) -> String {
        let Connection {
            host,
            port,
            client_id,
            topic,
            ..
        } = &self.connection;
        template
            .replace("{host}", host)
            .replace("{port}", &port.to_string())
            .replace("{client_id}", client_id)
            .replace("{topic}", topic)
    }

    /// Reads a bundle back.
    ///
    /// # Errors
    /// When the file is no bundle or a member is missing.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        let mut archive = ZipArchive::new(Cursor::new(bytes))
            .with_context(|| format!("{} is not a zip file", path.display()))?;
        let mut member = |name: &str| -> Result<String> {
            let file = archive
                .by_name(name)
                .with_context(|| format!("{} has no {name}", path.display()))?;
            let mut text = String::new();
            file.take(MEMBER_MAX).read_to_string(&mut text)?;
            Ok(text)
        };
        Ok(Self {
            connection: serde_json::from_str(&member("connection.json")?)
                .with_context(|| format!("connection.json of {}", path.display()))?,
            certificate: member("certificate.pem")?,
            private_key: member("private.key")?,
            ca: member("ca.pem")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pump-7.zip");
        let bundle = Bundle {
            connection: Connection {
                host: "localhost".to_owned(),
                port: 8883,
                thing_name: "pump-7".to_owned(),
                client_id: "pump-7".to_owned(),
                topic: "things/pump-7/hello".to_owned(),
                certificate_id: "ab".to_owned(),
            },
            certificate: "certificate".to_owned(),
            private_key: "key".to_owned(),
            ca: "ca".to_owned(),
        };
        drop(BundleFile::reserve(&path).expect("reserved"));
        assert!(!path.exists(), "nothing stays when no bundle was made");
        let file = BundleFile::reserve(&path).expect("reserved");
        file.write(&bundle).expect("written");
        let read = Bundle::read(&path).expect("read");
        assert_eq!(read.private_key, "key");
        assert_eq!(read.connection.topic, "things/pump-7/hello");
        let error = BundleFile::reserve(&path).expect_err("exists");
        assert!(error.to_string().contains("never written over"), "{error}");
        assert!(
            bundle
                .filled(SNIPPETS[3].1)
                .contains("-h localhost -p 8883 -i pump-7")
        );
        std::fs::write(dir.path().join("x.zip"), "no zip").expect("written");
        assert!(Bundle::read(&dir.path().join("x.zip")).is_err());
    }
}
