//! The fuzz target's corpus, replayed as it is and with a little damage.

use std::path::Path;

use policy::{Dialect, Document, significant_len};
use proptest::prelude::*;

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parse");
    let entries = std::fs::read_dir(folder).expect("the corpus");
    let texts = entries.map(|entry| {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a readable file");
        String::from_utf8_lossy(&bytes).into_owned()
    });
    texts.collect()
}

/// Parsed or refused, but never a panic.
fn replay(text: &str) {
    for dialect in [Dialect::Iot, Dialect::Identity, Dialect::Trust] {
        if let Err(error) = Document::parse(text, dialect) {
            assert!(!error.to_string().is_empty());
        }
    }
    assert!(significant_len(text) <= text.len());
}

#[test]
fn every_document_is_parsed_or_refused() {
    let corpus = corpus();
    assert!(20 <= corpus.len(), "the corpus is there");
    corpus.iter().for_each(|text| replay(text));
}

proptest! {
    #[test]
    fn damaged_documents_are_parsed_or_refused(
        text in prop::sample::select(corpus()),
        at in any::<prop::sample::Index>(),
        removed in 0_usize..4,
        inserted in "[${}*?\\[\\]\":,\\\\é0-9a-z]{0,4}",
    ) {
        let chars: Vec<char> = text.chars().collect();
        let start = at.index(chars.len() + 1);
        let end = (start + removed).min(chars.len());
        let damaged = chars[..start].iter().copied().chain(inserted.chars());
        replay(&damaged.chain(chars[end..].iter().copied()).collect::<String>());
    }
}
