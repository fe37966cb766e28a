use aws_lc_rs::hmac;
use proptest::prelude::*;

use super::{PAGE_TOKEN_LEN_MAX, after, token};
use crate::BadPageToken;

fn key(seed: u8) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &[seed; 32])
}

proptest! {
    // tests aws-iot [HT-30]
    #[test]
    fn a_token_gives_back_what_it_was_made_of(
        list in "[a-z?&=]{0,20}",
        last in proptest::collection::vec("[\\PC]{0,12}", 0..4),
    ) {
        let fields: Vec<&str> = last.iter().map(String::as_str).collect();
        let made = token(&key(1), &list, &fields);
        let standard = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        prop_assert!(made.bytes().all(standard));
        prop_assert_eq!(after(&key(1), &list, &made), Ok(last));
    }

    // tests aws-iot [HT-30]
    #[test]
    fn any_altered_byte_is_noticed(at in 0usize..1000, to in any::<u8>()) {
        let made = token(&key(1), "ListThings", &["pump-7", "x"]);
        let mut altered = made.clone().into_bytes();
        let at = at % altered.len();
        altered[at] = to;
        prop_assume!(altered != made.as_bytes());
        let altered = String::from_utf8_lossy(&altered);
        prop_assert_eq!(after(&key(1), "ListThings", &altered), Err(BadPageToken));
    }
}

// tests aws-iot [HT-30]
#[test]
fn a_token_belongs_to_one_list_and_one_database() {
    let made = token(&key(1), "ListThings?type=a", &["pump-7"]);
    let check = |key: hmac::Key, list, token: &str, good| {
        assert_eq!(after(&key, list, token).is_ok(), good, "{list} {token}");
    };
    check(key(1), "ListThings?type=a", &made, true);
    check(key(1), "ListThings?type=b", &made, false);
    check(key(1), "ListThings?type=", &made, false);
    check(key(2), "ListThings?type=a", &made, false);
    check(key(1), "ListThings?type=a", "", false);
    check(key(1), "ListThings?type=a", "AAAA", false);
    check(key(1), "ListThings?type=a", &made[..made.len() - 4], false);
    check(key(1), "ListThings?type=a", &format!("{made}AAAA"), false);
    check(
        key(1),
        "ListThings?type=a",
        &"A".repeat(PAGE_TOKEN_LEN_MAX + 4),
        false,
    );
}
