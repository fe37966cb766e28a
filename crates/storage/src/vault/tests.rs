use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{DataKey, Keys, MasterKey, MasterKeyError};
use crate::StorageError;

fn keys(ids: &[u32]) -> Keys {
    let key = |id: u32| DataKey {
        id,
        bytes: Zeroizing::new([u8::try_from(id).unwrap(); 32]),
    };
    let keys: Vec<_> = ids.iter().copied().map(key).collect();
    Keys::new(&keys)
}

proptest! {
    #[test]
    fn what_is_sealed_opens(purpose in ".{0,10}", plain in any::<Vec<u8>>()) {
        let sealed = keys(&[1]).seal(&purpose, &plain).unwrap();
        prop_assert_eq!(keys(&[1]).open(&purpose, &sealed), Ok(plain));
    }

    #[test]
    fn any_altered_byte_is_noticed(at in 0usize..60, flip in 1u8..=255) {
        let mut sealed = keys(&[1]).seal("token", b"a secret").unwrap();
        let at = at % sealed.len();
        sealed[at] ^= flip;
        let purpose = "token".to_owned();
        prop_assert_eq!(keys(&[1]).open("token", &sealed), Err(StorageError::Sealed { purpose }));
    }
}

#[test]
fn sealed_bytes_open_only_for_their_purpose_with_their_key() {
    let sealed = keys(&[1, 2]).seal("token", b"a secret").unwrap();
    let check = |ids: &[u32], purpose, sealed: &[u8], good| {
        assert_eq!(
            keys(ids).open(purpose, sealed).is_ok(),
            good,
            "{ids:?} {purpose}"
        );
    };
    check(&[1, 2], "token", &sealed, true);
    check(&[1, 2, 3], "token", &sealed, true);
    check(&[1, 2], "tokens", &sealed, false);
    check(&[1], "token", &sealed, false);
    check(&[1, 2], "token", &sealed[..sealed.len() - 1], false);
    check(&[1, 2], "token", &sealed[..16], false);
    check(&[1, 2], "token", &[], false);
}

#[test]
fn the_same_plain_text_is_never_sealed_alike() {
    let keys = keys(&[1]);
    assert_ne!(keys.seal("a", b"x").unwrap(), keys.seal("a", b"x").unwrap());
}

#[test]
fn a_wrapped_key_opens_with_its_master_key_under_its_id() {
    let (master, other) = (MasterKey::generate(), MasterKey::generate());
    let wrapped = master.wrap(1, &[7; 32]);
    assert_eq!(master.unwrap(1, &wrapped).as_deref(), Some(&[7; 32]));
    assert_eq!(master.unwrap(2, &wrapped), None);
    assert_eq!(other.unwrap(1, &wrapped), None);
    assert_eq!(master.unwrap(1, &wrapped[..20]), None);
    assert_eq!(master.unwrap(1, &[]), None);
}

#[test]
fn a_key_file_is_made_once_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let made = MasterKey::load_or_create(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(fs::read(&path).unwrap().len(), 65);
    let read = MasterKey::load_or_create(&path).unwrap();
    let wrapped = made.wrap(1, &[7; 32]);
    assert!(read.unwrap(1, &wrapped).is_some());
    assert!(matches!(
        made.create(&path),
        Err(MasterKeyError::File { what: "create", .. })
    ));
}

#[test]
fn a_key_file_that_is_exposed_or_malformed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let check = |text: &str, mode, expected: &str| {
        let _absent = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let found = MasterKey::load_or_create(&path).map_err(|error| error.to_string());
        let found = found.map_or_else(|message| message, |_| "good".to_owned());
        assert!(found.contains(expected), "{found}");
    };
    let good = "0123456789abcdef".repeat(4);
    check(&good, 0o600, "good");
    check(&good.to_uppercase(), 0o400, "good");
    check(&format!("{good}\n"), 0o600, "good");
    check(&good, 0o640, "chmod 600");
    check(&good, 0o604, "chmod 600");
    check(&good[1..], 0o600, "64 hexadecimal");
    check(&format!("{good}0"), 0o600, "64 hexadecimal");
    check(&good.replace('f', "g"), 0o600, "64 hexadecimal");
    check(&good.replace("01", "+1"), 0o600, "64 hexadecimal");
    check("", 0o600, "64 hexadecimal");
}

#[test]
fn keys_do_not_show() {
    assert_eq!(
        format!("{:?}", MasterKey::from_bytes([7; 32])),
        "MasterKey(<redacted>)"
    );
    assert_eq!(
        format!("{:?}", keys(&[1, 3])),
        "Keys(<redacted>, sealing 3)"
    );
}
