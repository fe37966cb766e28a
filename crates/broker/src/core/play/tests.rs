use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]
    #[test]
    fn whatever_clients_do(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        check(&bytes);
    }
}

/// Everything in `fuzz/corpus/session`: what fuzzing found, and what reaches far.
#[test]
fn the_corpus_is_played() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/session");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        check(&std::fs::read(&path).expect("readable"));
        played += 1;
    }
    assert!(played >= 10, "{played} plays");
}
