//! The master key: where it may come from, and how it wraps data keys.

use std::fmt;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use model::random_bytes;
use zeroize::Zeroizing;

/// A key file holds 64 hexadecimal characters and perhaps a newline; no more is read.
const FILE_LEN_MAX: u64 = 66;

/// 32 bytes that wrap the data keys of a database. Never stored in it.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MasterKey(<redacted>)")
    }
}

/// Why a master key could not be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file system said no.
    #[error("could not {what} the master key file `{path}`")]
    File {
        /// The attempted action.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may read or write it.
    #[error("the master key file `{path}` is open to others (mode {mode:03o}); chmod 600 it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 64 hexadecimal characters.
    #[error("the master key file `{path}` does not hold 64 hexadecimal characters")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl MasterKey {
    /// A new key, kept nowhere.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random_bytes()))
    }

    /// A key that came from elsewhere: a credential, a token, a key service.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key in the file at `path`; when there is no such file, a new key in a new file that
    /// only its owner may read (mode 0600), on the disk before this returns.
    ///
    /// # Errors
    /// When the file cannot be read or created, is open to others, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        match File::open(path) {
            Ok(file) => Self::read(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate();
                key.create(path)?;
                Ok(key)
            }
            Err(source) => Err(failed("open", path, source)),
        }
    }

    /// The key in the file at `path`.
    ///
    /// # Errors
    /// When there is no such file, or it is not as [`MasterKey::load_or_create`] wants it.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let file = File::open(path).map_err(|source| failed("open", path, source))?;
        Self::read(file, path)
    }

    /// Writes the key to a new file at `path`, mode 0600, never over an existing one.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(&self, path: &Path) -> Result<(), MasterKeyError> {
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.0.iter() {
            write!(text, "{byte:02x}").expect("writing to a String does not fail");
        }
        text.push('\n');
        let options = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = options.map_err(|source| failed("create", path, source))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_directory(path))
            .map_err(|source| failed("write", path, source))
    }

    fn read(file: File, path: &Path) -> Result<Self, MasterKeyError> {
        let unreadable = |source| failed("read", path, source);
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(MasterKeyError::Exposed { path, mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(66));
        file.take(FILE_LEN_MAX)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        let key = parse(text.trim_ascii_end());
        key.map(Self).ok_or_else(|| MasterKeyError::Malformed {
            path: path.to_owned(),
        })
    }

    /// A data key, wrapped: nonce and ciphertext, bound to its id.
    pub(super) fn wrap(&self, id: u32, data_key: &[u8; 32]) -> Vec<u8> {
        let nonce = random_bytes::<NONCE_LEN>();
        let mut body = data_key.to_vec();
        super::cipher(&self.0)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to(id), &mut body)
            .expect("32 bytes can be sealed");
        [nonce.as_slice(), &body].concat()
    }

    /// The data key, if it was wrapped by this master key under this id.
    pub(super) fn unwrap(&self, id: u32, wrapped: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let (nonce, body) = wrapped.split_first_chunk::<NONCE_LEN>()?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = super::cipher(&self.0)
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                bound_to(id),
                &mut body,
            )
            .ok()?;
        plain.as_ref().try_into().ok().map(Zeroizing::new)
    }
}

fn bound_to(id: u32) -> Aad<String> {
    Aad::from(format!("palisade data key {id}"))
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |letter: u8| char::from(letter).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if directory != Path::new("") => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> MasterKeyError {
    MasterKeyError::File {
        what,
        path: path.to_owned(),
        source,
    }
}
