use super::*;

#[track_caller]
fn check(text: &str, profile: Profile, expected: Result<(usize, u64), &str>) {
    let limits = serde_json::from_str(text)
        .map_err(|error| error.to_string())
        .and_then(|config: RegistryConfig| {
            config.limits(profile).map_err(|error| error.to_string())
        });
    let found = limits.map(|limits| (limits.policies_per_group, limits.type_retirement.as_secs()));
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
        (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
    }
}

// tests aws-iot [G-2]
#[test]
fn a_limit_is_off_aws_or_a_number() {
    use Profile::{Aws, Standard};
    check("{}", Standard, Ok((50, 0)));
    check("{}", Aws, Ok((2, 300)));
    let off = r#"{"policies_per_group":"off","type_retirement_s":"off"}"#;
    check(off, Aws, Ok((1000, 0)));
    let aws = r#"{"policies_per_group":"aws","type_retirement_s":"aws"}"#;
    check(aws, Standard, Ok((2, 300)));
    let numbers = r#"{"policies_per_group":7,"type_retirement_s":60}"#;
    check(numbers, Aws, Ok((7, 60)));
    let none = r#"{"policies_per_group":0}"#;
    check(
        none,
        Aws,
        Err("`policies_per_group` is 0; it must be 1 to 1000"),
    );
    check(r#"{"group_dept":1}"#, Aws, Err("unknown field"));
}

// tests aws-iot [G-2]
#[test]
fn the_profiles_are_what_they_are_documented_to_be() {
    let resolved = |profile| RegistryConfig::default().limits(profile);
    assert_eq!(resolved(Profile::Standard), Ok(Limits::STANDARD));
    assert_eq!(resolved(Profile::Aws), Ok(Limits::AWS));
}
