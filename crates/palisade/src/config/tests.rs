use super::overlay::FILE_NAME;
use super::*;

fn sources(flags: &[(&str, &str)], environment: &[(&str, &str)], file: Option<&Path>) -> Sources {
    let own = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    Sources {
        flags: own(flags),
        environment: own(environment).into_iter().collect(),
        file: file.map(Path::to_owned),
    }
}

fn origin_of(sources: &Sources, key: &str) -> (String, Origin) {
    let resolved = Resolved::resolve(sources).expect("resolves");
    let (value, origin) = resolved.values[key].clone();
    (value.to_string().trim_matches('"').to_owned(), origin)
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("p.toml");
    std::fs::write(
        &file,
        "region = \"eu-west-1\"\n[listen]\nmqtt = \"127.0.0.1:1\"\n",
    )
    .expect("written");
    let env = ("PALISADE_REGION", "eu-west-2");
    let flag = ("region", "eu-west-3");

    let only_file = sources(&[], &[], Some(&file));
    assert_eq!(
        origin_of(&only_file, "region"),
        ("eu-west-1".into(), Origin::File(file.clone()))
    );
    assert_eq!(origin_of(&only_file, "listen.mqtt").0, "127.0.0.1:1");
    let with_env = sources(&[], &[env], Some(&file));
    let expected = Origin::Environment("PALISADE_REGION".to_owned());
    assert_eq!(
        origin_of(&with_env, "region"),
        ("eu-west-2".into(), expected)
    );
    let with_flag = sources(&[flag], &[env], Some(&file));
    assert_eq!(
        origin_of(&with_flag, "region"),
        ("eu-west-3".into(), Origin::Flag)
    );
    assert_eq!(
        origin_of(&sources(&[], &[], None), "region"),
        ("us-east-1".into(), Origin::Default)
    );
}

#[test]
fn the_file_in_the_data_directory_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(FILE_NAME), "region = \"eu-west-1\"\n").expect("written");
    let data_dir = dir.path().display().to_string();
    let sources = sources(&[("data_dir", &data_dir)], &[], None);
    assert_eq!(origin_of(&sources, "region").0, "eu-west-1");
    assert_eq!(origin_of(&sources, "data_dir").0, data_dir);
}

#[track_caller]
fn refused(flags: &[(&str, &str)], file: &str, message: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("p.toml");
    std::fs::write(&path, file).expect("written");
    let resolved = Resolved::resolve(&sources(flags, &[], Some(&path)));
    let error = match resolved.and_then(|resolved| Config::from_resolved(&resolved)) {
        Ok(_) => panic!("{flags:?} {file:?} was accepted"),
        Err(error) => format!("{error:#}"),
    };
    assert!(error.contains(message), "{error}");
}

#[test]
fn what_is_wrong_is_named() {
    refused(&[("regoin", "x")], "", "did you mean `region`");
    refused(&[], "regoin = \"x\"", "`regoin` (file");
    refused(&[], "region = 7", "region (file");
    refused(&[], "region = ", "not valid TOML");
    refused(&[("region", "US EAST")], "", "region = `US EAST` (flag)");
    refused(
        &[("account_id", "12")],
        "",
        "account id must be 12 characters",
    );
    refused(&[("listen.mqtt", "8883")], "", "listen.mqtt = `8883`");
    refused(&[("disk.floor_mib", "lots")], "", "must be a whole number");
    refused(&[("profile", "lax")], "", "use `standard` or `aws`");
}

#[test]
fn a_variable_that_is_no_setting_is_refused() {
    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        let found = Resolved::resolve(&sources(&[], &[(name, "1")], None)).err();
        let found = found.map(|error| error.to_string());
        match (&found, expected) {
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => assert_eq!(found.as_deref(), expected, "{name}"),
        }
    }
    check(
        "PALISADE_REGOIN",
        Some("PALISADE_REGOIN is not a setting; did you mean `PALISADE_REGION`?"),
    );
    check("PALISADE_BROKER_SESSIONS", Some("PALISADE_BROKER_SESSIONS"));
    check("PALISADE_REGION", None);
    check("PALISADE_REGISTRY_TAGS", None);
    // Set by others: for our tests, and for whoever runs beside a service of this name.
    check("PALISADE_TEST_POSTGRES", None);
    check("PALISADE_SERVICE_HOST", None);
    check("PALISADE_PORT_8883_TCP", None);
    check("palisade_regoin", None);
}

// A word over a number and a number over a word.
#[test]
fn a_flag_beats_the_file_whatever_kind_each_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("p.toml");
    std::fs::write(&file, "[registry]\ntags = 7\nattributes = \"off\"\n").expect("written");
    let said = [("registry.tags", "aws"), ("registry.attributes", "9")];
    let sources = sources(&said, &[("PALISADE_REGISTRY_TAGS", "8")], Some(&file));
    assert_eq!(
        origin_of(&sources, "registry.tags"),
        ("aws".into(), Origin::Flag)
    );
    assert_eq!(
        origin_of(&sources, "registry.attributes"),
        ("9".into(), Origin::Flag)
    );
}

#[test]
fn what_differs_is_named_by_its_key() {
    let of =
        |flags: &[(&str, &str)]| Resolved::resolve(&sources(flags, &[], None)).expect("resolves");
    let before = of(&[("region", "eu-west-1")]);
    let after = of(&[("region", "eu-west-2"), ("registry.tags", "7")]);
    let found: Vec<_> = before.differing(&after).collect();
    assert_eq!(found, ["region", "registry.tags"]);
    assert_eq!(before.differing(&before).count(), 0);
}

#[test]
fn defaults_are_valid() {
    let resolved = Resolved::resolve(&Sources::default()).expect("resolves");
    Config::from_resolved(&resolved).expect("the defaults are a configuration");
}

// tests aws-iot [G-2]
#[test]
fn a_quota_takes_a_word_or_a_number() {
    for key in ["broker.publishes_per_s", "registry.policies_per_group"] {
        for (text, fits) in [("off", true), ("aws", true), ("12", true), ("many", false)] {
            let flags = sources(&[(key, text)], &[], None);
            let resolved = Resolved::resolve(&flags).expect("resolves");
            assert_eq!(
                Config::from_resolved(&resolved).is_ok(),
                fits,
                "{key} {text}"
            );
        }
    }
}
