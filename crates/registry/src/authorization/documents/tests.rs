use model::{AccountId, Region, Timestamp};

use super::*;

fn scope() -> Scope {
    Scope::new(
        AccountId::parse("111122223333").unwrap(),
        Region::parse("us-east-1").unwrap(),
    )
}

fn version(generation: &str, document: String) -> Version {
    Version {
        policy: "pumps".to_owned(),
        version: 1,
        document,
        generation: generation.to_owned(),
        created_at: Timestamp::from_seconds(0),
    }
}

fn allow(padding: usize) -> String {
    let statement = r#"{"Effect":"Allow","Action":"iot:Publish","Resource":"*"}"#;
    let space = " ".repeat(padding);
    format!(r#"{{"Version":"2012-10-17",{space}"Statement":{statement}}}"#)
}

#[test]
fn a_version_is_compiled_once() {
    let documents = Documents::new();
    let first = documents.named(&scope(), version("g1", allow(0))).unwrap();
    let again = documents.named(&scope(), version("g1", allow(0))).unwrap();
    let other = documents.named(&scope(), version("g2", allow(0))).unwrap();
    assert!(Arc::ptr_eq(&first.document, &again.document));
    assert!(!Arc::ptr_eq(&first.document, &other.document));
    assert_eq!(
        &*first.arn,
        "arn:aws:iot:us-east-1:111122223333:policy/pumps"
    );
}

#[test]
fn what_is_held_stays_bounded() {
    let documents = Documents::new();
    for generation in 0..100 {
        let padded = version(&generation.to_string(), allow(400_000));
        documents.named(&scope(), padded).unwrap();
        assert!(documents.held().text_bytes <= TEXT_BYTES_MAX);
    }
    let held = documents.held();
    let bytes: usize = held
        .by_generation
        .values()
        .map(|policy| policy.text.len())
        .sum();
    assert_eq!(bytes, held.text_bytes);
}

#[test]
fn an_unreadable_document_is_an_error_and_not_an_absent_policy() {
    let broken = version("g1", "{".to_owned());
    assert!(Documents::new().named(&scope(), broken).is_err());
}
