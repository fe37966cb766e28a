//! The fuzz target's corpus, replayed.

use std::path::Path;

use policy::{Dialect, Document, significant_len};

#[test]
fn every_document_is_parsed_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parse");
    let mut replayed = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for dialect in [Dialect::Iot, Dialect::Identity, Dialect::Trust] {
            let _parsed = Document::parse(&text, dialect);
        }
        assert!(significant_len(&text) <= text.len());
        replayed += 1;
    }
    assert!(20 <= replayed, "the corpus is there");
}
