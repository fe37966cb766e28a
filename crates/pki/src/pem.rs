//! PEM in and out: one block per text, bounded, with the line breaks that every tool reads.
//!
//! Reading accepts what people paste (text around the block, CRLF); writing is always the same:
//! 64 columns, LF, a newline at the end. Source: RFC 7468.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject, SectionKind};

const LINE_CHARS: usize = 64;

/// Why a text does not hold the one block that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The text is longer than the limit.
    #[error("the PEM text has {chars} characters; the limit is {max}")]
    TooLong {
        /// Characters found.
        chars: usize,
        /// The limit, in characters.
        max: usize,
    },
    /// No complete block of the wanted label.
    #[error("no complete `-----BEGIN {label}-----` block")]
    Missing {
        /// The wanted label.
        label: &'static str,
    },
    /// More than one block of the wanted label.
    #[error("more than one `-----BEGIN {label}-----` block; give exactly one")]
    Several {
        /// The wanted label.
        label: &'static str,
    },
    /// A private key where only something public is wanted.
    #[error(
        "the text holds a private key as well; give the `-----BEGIN {label}-----` block alone, and \
         replace that key, which has been disclosed"
    )]
    PrivateKey {
        /// The wanted label.
        label: &'static str,
    },
    /// The block's body is not base64.
    #[error("the body of the `-----BEGIN {label}-----` block is not base64")]
    NotBase64 {
        /// The wanted label.
        label: &'static str,
    },
}

/// What a block holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) label: &'static str,
    pub(crate) kind: SectionKind,
    /// Longest text accepted, in characters.
    pub(crate) chars_max: usize,
}

impl Block {
    /// The DER of the only block of this kind in `text`.
    pub(crate) fn decode(self, text: &str) -> Result<Vec<u8>, PemError> {
        let label = self.label;
        let mut blocks = self.decode_all(text)?;
        if holds_private_key(text) {
            return Err(PemError::PrivateKey { label });
        }
        match (blocks.pop(), blocks.is_empty()) {
            (Some(der), true) => Ok(der),
            (Some(_), false) => Err(PemError::Several { label }),
            (None, _) => Err(PemError::Missing { label }),
        }
    }

    /// The DER of every block of this kind in `text`, in order.
    pub(crate) fn decode_all(self, text: &str) -> Result<Vec<Vec<u8>>, PemError> {
        let chars = text.chars().count();
        if self.chars_max < chars {
            let max = self.chars_max;
            return Err(PemError::TooLong { chars, max });
        }
        let mut blocks = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
            let (kind, der) = section.map_err(|error| self.refusal(&error))?;
            if kind == self.kind {
                blocks.push(der);
            }
        }
        Ok(blocks)
    }

    fn refusal(self, error: &rustls_pki_types::pem::Error) -> PemError {
        let label = self.label;
        match error {
            rustls_pki_types::pem::Error::Base64Decode(_) => PemError::NotBase64 { label },
            _ => PemError::Missing { label },
        }
    }
}

/// Whether a block of any kind of private key begins in `text`.
fn holds_private_key(text: &str) -> bool {
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----");
    text.lines().map(str::trim).any(begins)
}

/// One PEM block, newline included.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while let Some((line, tail)) = rest.split_at_checked(LINE_CHARS) {
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}
