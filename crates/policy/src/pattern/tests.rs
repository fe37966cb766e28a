//! Patterns against a slow matcher, and against each other.

use proptest::prelude::*;

use super::*;

const SYNTAX: Syntax = Syntax {
    wildcards: true,
    variables: true,
    defaults: true,
};

/// The pattern of `text`, its variables filled with `<name>`.
fn pattern(text: &str) -> Pattern {
    let template = Template::parse(text, SYNTAX).unwrap();
    let filled = template.fill(Undefined::MatchesNothing, |name| {
        Some(Cow::Owned(format!("<{}>", name.text())))
    });
    filled.unwrap()
}

/// The same question, answered the slow and obvious way.
fn oracle(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            oracle(rest, text) || (!text.is_empty() && oracle(pattern, &text[1..]))
        }
        (['?', rest @ ..], [_, text @ ..]) => oracle(rest, text),
        ([one, rest @ ..], [other, text @ ..]) => one == other && oracle(rest, text),
        _ => false,
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

// tests aws-iot [PL-20]
// tests aws-iot [PL-24]
// tests aws-iot [PL-31]
#[test]
fn matches_whole_texts() {
    #[track_caller]
    fn check(written: &str, text: &str, expected: bool) {
        assert_eq!(
            pattern(written).matches(text),
            expected,
            "{written} on {text:?}"
        );
    }
    check("", "", true);
    check("", "a", false);
    check("a", "a", true);
    check("a", "ab", false);
    check("*", "", true);
    check("*", "a/b", true);
    check("**", "", true);
    check("?", "", false);
    check("?", "/", true);
    check("?", "é", true);
    check("??", "é", false);
    check("a?c", "a/c", true);
    check("*a", "ba", true);
    check("*a", "ab", false);
    check("a*a", "a", false);
    check("a*a", "aa", true);
    check("*ab*ab*", "ab", false);
    check("*ab*ab*", "xabyabz", true);
    check("*aab", "aaab", true);
    check("*a?b", "aaab", true);
    check("a/+/#", "a/+/#", true);
    check("a/+/#", "a/b/c", false);
    check("${*}", "*", true);
    check("${*}", "a", false);
    check("${?}${$}", "?$", true);
    check("$aws/$", "$aws/$", true);
    check("${x}", "<x>", true);
    check("a/${x}/*", "a/<x>/b", true);
    check("${ x , 'd'}", "<x>", true);
}

#[test]
fn refuses_what_cannot_be_read() {
    #[track_caller]
    fn check(written: &str, expected: TemplateError) {
        assert_eq!(
            Template::parse(written, SYNTAX),
            Err(expected),
            "{written:.80}"
        );
    }
    check("a/${iot:ClientId", TemplateError::Unclosed);
    check("${}", TemplateError::EmptyVariable);
    check("${, 'a'}", TemplateError::EmptyVariable);
    check("${a, b}", TemplateError::BadDefault);
    check(&"a".repeat(PATTERN_BYTES_MAX + 1), TemplateError::TooLong);
    check(&"?".repeat(HOLES_MAX + 1), TemplateError::TooManyHoles);
    assert!(Template::parse(&"a".repeat(PATTERN_BYTES_MAX), SYNTAX).is_ok());
    assert!(Template::parse(&"?".repeat(HOLES_MAX), SYNTAX).is_ok());
    assert!(
        Template::parse(&"*".repeat(HOLES_MAX + 1), SYNTAX).is_ok(),
        "a run is one `*`"
    );
}

#[test]
fn marks_are_special_only_where_the_syntax_says() {
    let plain = Syntax {
        wildcards: false,
        variables: false,
        defaults: false,
    };
    let template = Template::parse("${x}*?", plain).unwrap();
    assert_eq!(template.pieces(), [Piece::Literal("${x}*?".into())]);
    let names = Template::parse("${a}/${b, 'c'}", SYNTAX).unwrap();
    assert_eq!(
        names.variables().map(Name::text).collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn undefined_variables_close_or_match_nothing() {
    let template = Template::parse("a/${x}/b", SYNTAX).unwrap();
    assert_eq!(template.fill(Undefined::MatchesNothing, |_| None), None);
    let open = template.fill(Undefined::MatchesAnything, |_| None).unwrap();
    assert!(open.matches("a/any/thing/b"));
    assert!(!open.matches("b/any/b"));
    let default = Template::parse("a/${x, 'd*'}", SYNTAX).unwrap();
    let filled = default.fill(Undefined::MatchesNothing, |_| None).unwrap();
    assert_eq!(filled.as_literal(), Some("a/d*"));
}

#[test]
fn consumes_a_prefix() {
    #[track_caller]
    fn check(written: &str, prefix: &str, expected: &[&str]) {
        let left = pattern(written).after(prefix);
        assert_eq!(
            left.iter().map(Pattern::display).collect::<Vec<_>>(),
            expected,
            "{written}"
        );
    }
    check("a:topic/x/*", "a:topic/", &["x/*"]);
    check("a:topic/x", "a:client/", &[]);
    check("*", "a:topic/", &["*"]);
    check("a:*", "a:topic/", &["*"]);
    check("a:*/x", "a:topic/", &["*/x", "x"]);
    check("a:*:t/x", "a:b:t/", &["*:t/x", "x"]);
    check("?:t/x", "a:t/", &["x"]);
    check("a:t/", "a:t/", &[""]);
    check("a", "a:t/", &[]);
}

#[test]
fn cuts_into_components() {
    let parts = pattern("a:*:c?:d:e").components::<3>().unwrap();
    assert_eq!(parts.each_ref().map(Pattern::display), ["a", "*", "c?:d:e"]);
    assert_eq!(pattern("a:b").components::<3>(), None);
    assert_eq!(pattern("*").components::<2>(), None);
}

#[test]
fn hostile_patterns_come_to_an_end() {
    let text = format!("{}b", "a".repeat(65_000));
    let check = |hostile: String, expected| assert_eq!(pattern(&hostile).matches(&text), expected);
    check(format!("{}*b", "*a".repeat(120)), true);
    check(format!("{}c*b", "*a".repeat(120)), false);
    check(format!("*{}b", "a?".repeat(60)), true);
    check(format!("*{}c*b", "a?".repeat(60)), false);
}

proptest! {
    #[test]
    fn matches_as_the_oracle_does(written in "[ab/é*?]{0,8}", text in "[ab/é*?]{0,10}") {
        let expected = oracle(&chars(&written), &chars(&text));
        prop_assert_eq!(pattern(&written).matches(&text), expected);
    }

    #[test]
    fn consuming_a_prefix_changes_nothing(
        written in "[ab:*?]{0,8}", prefix in "[ab:]{0,5}", rest in "[ab:]{0,6}",
    ) {
        let whole = pattern(&written);
        let expected = whole.matches(&format!("{prefix}{rest}"));
        let left = whole.after(&prefix);
        prop_assert_eq!(left.iter().any(|pattern| pattern.matches(&rest)), expected);
    }

    #[test]
    fn parses_or_refuses_anything(written in "\\PC{0,40}|[${}*?a,' ]{0,20}") {
        if let Ok(template) = Template::parse(&written, SYNTAX) {
            prop_assert_eq!(template.text(), written);
        }
    }
}
