//! What the grammar accepts, and where and how it refuses.

use policy::{DOCUMENT_CHARS_MAX, Dialect, Document, Effect, significant_len};

const OK: &str = r#""Effect":"Allow","Action":"iot:Publish","Resource":"*""#;

#[track_caller]
fn refuses(dialect: Dialect, text: &str, message: &str) {
    let error = Document::parse(text, dialect).expect_err(text);
    assert!(
        error.to_string().starts_with(message),
        "{text}\n got: {error}\nwant: {message}"
    );
}

/// The second of two statements is wrong.
#[track_caller]
fn statement(members: &str, message: &str) {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{{{OK}}},{{{members}}}]}}"#);
    refuses(Dialect::Iot, &text, &format!("Statement[1]{message}"));
}

/// A statement that is right but for what is added.
#[track_caller]
fn condition(condition: &str, message: &str) {
    statement(&format!(r#"{OK},"Condition":{condition}"#), message);
}

// tests aws-iot [PL-1]
#[test]
fn json_errors_have_line_and_column() {
    refuses(
        Dialect::Iot,
        "",
        "not valid JSON: EOF while parsing a value at line 1 column 0",
    );
    refuses(
        Dialect::Iot,
        "{\n \"Version\" 1}",
        "not valid JSON: expected `:` at line 2 column 12",
    );
    refuses(
        Dialect::Iot,
        "{} x",
        "not valid JSON: trailing characters at line 1 column 4",
    );
    let twice = r#"{"Statement":[{"Effect":"Deny","Effect":"Allow"}]}"#;
    refuses(
        Dialect::Iot,
        twice,
        "not valid JSON: member `Effect` stands twice at line 1 column 39",
    );
    let deep = "[".repeat(200);
    refuses(
        Dialect::Iot,
        &deep,
        "not valid JSON: recursion limit exceeded",
    );
}

// tests aws-iot [PL-1]
#[test]
fn the_document() {
    refuses(Dialect::Iot, "[]", "the document must be a JSON object");
    refuses(Dialect::Iot, "{}", "`Statement` is missing");
    refuses(
        Dialect::Iot,
        r#"{"Statement":"x"}"#,
        "Statement: must be an object or an array",
    );
    refuses(
        Dialect::Iot,
        r#"{"Statement":[1]}"#,
        "Statement[0]: a statement must be an object",
    );
    let version = r#"{"Version":"2012","Statement":[]}"#;
    refuses(
        Dialect::Iot,
        version,
        "Version: `2012` is not a version; write `2012-10-17`",
    );
    refuses(
        Dialect::Iot,
        r#"{"Version":2012,"Statement":[]}"#,
        "Version: must be a string",
    );
    refuses(
        Dialect::Iot,
        r#"{"statement":[]}"#,
        "statement: unknown member",
    );
    refuses(
        Dialect::Iot,
        r#"{"Id":"a","Statement":[]}"#,
        "Id: unknown member",
    );
    assert!(Document::parse(r#"{"Id":"a","Statement":[]}"#, Dialect::Identity).is_ok());
    assert!(Document::parse(r#"{"Statement":[]}"#, Dialect::Iot).is_ok());
    assert!(Document::parse(&format!(r#"{{"Statement":{{{OK}}}}}"#), Dialect::Iot).is_ok());
}

// tests aws-iot [PL-1]
#[test]
fn statements() {
    statement("", ": `Effect` (`Allow` or `Deny`) is missing; add it");
    statement(
        r#""Effect":"Allow""#,
        ": `Action` or `NotAction` is missing",
    );
    statement(
        r#""Effect":"Allow","Action":"*""#,
        ": `Resource` or `NotResource` is missing",
    );
    statement(
        r#""Effect":"allow""#,
        ".Effect: `allow` is not an effect; write `Allow` or `Deny`",
    );
    statement(r#""Effect":null"#, ".Effect: must be a string, not null");
    statement(
        &format!(r#"{OK},"Sid":1"#),
        ".Sid: must be a string, not a number",
    );
    statement(
        &format!(r#"{OK},"Resources":"*""#),
        ".Resources: unknown member; known here are",
    );
    statement(
        &format!(r#"{OK},"NotAction":"*""#),
        ": has both `Action` and `NotAction`; keep one",
    );
    statement(
        &format!(r#"{OK},"NotResource":"*""#),
        ": has both `Resource` and `NotResource`",
    );
    statement(
        &format!(r#"{OK},"Principal":"*""#),
        ".Principal: not allowed here",
    );
    statement(
        &format!(r#"{OK},"NotPrincipal":"*""#),
        ".NotPrincipal: not allowed here",
    );
}

// tests aws-iot [PL-1]
#[test]
fn actions_and_resources() {
    let action = |action: &str| format!(r#""Effect":"Allow","Action":{action},"Resource":"*""#);
    statement(&action("[]"), ".Action: the array is empty");
    statement(
        &action("1"),
        ".Action: must be a string or an array of strings, not a number",
    );
    statement(
        &action(r#"["iot:Publish",{}]"#),
        ".Action[1]: must be a string, not an object",
    );
    for wrong in [
        "s3:GetObject",
        "Publish",
        "iot",
        "iot:",
        ":Publish",
        "iot:Pub lish",
        "",
        "*:*",
    ] {
        let message = format!(".Action[0]: `{wrong}` is not an action; write one such as");
        statement(&action(&format!(r#"["{wrong}"]"#)), &message);
    }
    let variable = ".Action: `iot:${aws:username}` is not an action";
    statement(&action(r#""iot:${aws:username}""#), variable);
    let resource =
        |resource: &str| format!(r#""Effect":"Deny","Action":"*","Resource":{resource}"#);
    statement(&resource("[]"), ".Resource: the array is empty");
    statement(
        &resource(r#""topic/a""#),
        ".Resource: `topic/a` is not an ARN; write `arn:aws:iot:",
    );
    statement(&resource(r#"["*",""]"#), ".Resource[1]: `` is not an ARN");
    statement(
        &resource(r#""arn:${x""#),
        ".Resource: `arn:${x` opens a variable with `${` and never",
    );
    statement(
        &resource(r#""arn:${}""#),
        ".Resource: `arn:${}` names an empty variable",
    );
    let long = format!(r#""arn:{}""#, "a".repeat(8_189));
    statement(&resource(&long), ".Resource: `arn:aaaa");
    let wild = format!(r#""arn:{}""#, "?".repeat(257));
    statement(&resource(&wild), ".Resource: `arn:????");
}

#[test]
fn condition_operators() {
    condition("[]", ".Condition: must be an object, not an array");
    condition(
        r#"{"StringIs":{}}"#,
        ".Condition.StringIs: unknown operator",
    );
    condition(
        r#"{"stringEquals":{}}"#,
        ".Condition.stringEquals: unknown operator",
    );
    condition(
        r#"{"ForEach:StringEquals":{}}"#,
        ".Condition.ForEach:StringEquals: unknown operator",
    );
    condition(
        r#"{"NullIfExists":{}}"#,
        ".Condition.NullIfExists: unknown operator",
    );
    condition(
        r#"{"ForAllValues:Null":{}}"#,
        ".Condition.ForAllValues:Null: unknown operator",
    );
    condition(
        r#"{"StringEquals":"a"}"#,
        ".Condition.StringEquals: must be an object",
    );
}

#[test]
fn condition_values() {
    condition(
        r#"{"Bool":{"k":null}}"#,
        ".Condition.Bool.k: must be a string, number or boolean",
    );
    condition(
        r#"{"Bool":{"k":[{}]}}"#,
        ".Condition.Bool.k: must be a string, number or boolean",
    );
    condition(
        r#"{"Bool":{"k":"yes"}}"#,
        ".Condition.Bool.k: `yes` must be `true` or `false`",
    );
    condition(
        r#"{"Null":{"k":"1"}}"#,
        ".Condition.Null.k: `1` must be `true` or `false`",
    );
    condition(
        r#"{"NumericEquals":{"k":"x"}}"#,
        ".Condition.NumericEquals.k: `x` must be a number",
    );
    condition(
        r#"{"NumericEquals":{"k":"inf"}}"#,
        ".Condition.NumericEquals.k: `inf` must be",
    );
    condition(
        r#"{"DateEquals":{"k":"soon"}}"#,
        ".Condition.DateEquals.k: `soon` must be a date",
    );
    condition(
        r#"{"IpAddress":{"k":"10.0.0.0/33"}}"#,
        ".Condition.IpAddress.k: `10.0.0.0/33` must",
    );
    condition(
        r#"{"IpAddress":{"k":"10.*"}}"#,
        ".Condition.IpAddress.k: `10.*` must be an address",
    );
    condition(
        r#"{"BinaryEquals":{"k":"a"}}"#,
        ".Condition.BinaryEquals.k: `a` must be base64",
    );
    condition(
        r#"{"ArnLike":{"k":"topic/w"}}"#,
        ".Condition.ArnLike.k: `topic/w` must be an ARN",
    );
    condition(
        r#"{"StringLike":{"k":"${a"}}"#,
        ".Condition.StringLike.k: `${a` opens a variable",
    );
}

#[test]
fn identity_and_trust_policies() {
    let identity = |members: &str| format!(r#"{{"Statement":{{"Effect":"Allow",{members}}}}}"#);
    let any_service = identity(r#""Action":["s3:Get*","*:*","execute-api:Invoke"],"Resource":"*""#);
    assert!(Document::parse(&any_service, Dialect::Identity).is_ok());
    let no_colon = identity(r#""Action":"GetObject","Resource":"*""#);
    refuses(
        Dialect::Identity,
        &no_colon,
        "Statement[0].Action: `GetObject` is not an action",
    );
    let trust = |principal: &str| {
        format!(r#"{{"Statement":{{"Effect":"Allow","Action":"sts:AssumeRole",{principal}}}}}"#)
    };
    let check = |principal: &str, message: &str| {
        refuses(
            Dialect::Trust,
            &trust(&format!(r#""Principal":{principal}"#)),
            message,
        );
    };
    refuses(
        Dialect::Trust,
        &trust(r#""Sid":"a""#),
        "Statement[0]: `Principal` is missing",
    );
    check(
        r#""arn""#,
        "Statement[0].Principal: must be an object, not a string",
    );
    check("{}", "Statement[0].Principal: names nobody");
    check(
        r#"{"AWS":[]}"#,
        "Statement[0].Principal.AWS: the array is empty",
    );
    check(
        r#"{"AWS":"ann"}"#,
        "Statement[0].Principal.AWS: `ann` is not a principal",
    );
    let partial = r#"{"AWS":["*","arn:aws:iam::111122223333:user/*"]}"#;
    check(
        partial,
        "Statement[0].Principal.AWS[1]: `arn:aws:iam::111122223333:user/*` is not",
    );
    check(
        r#"{"AWS":"arn:aws:s3:::b"}"#,
        "Statement[0].Principal.AWS: `arn:aws:s3:::b` is not",
    );
    check(
        r#"{"Service":"*"}"#,
        "Statement[0].Principal.Service: `*` is not a principal",
    );
    check(
        r#"{"Human":"x"}"#,
        "Statement[0].Principal.Human: unknown kind of principal",
    );
    let resource = trust(r#""Principal":"*","Resource":"*""#);
    refuses(
        Dialect::Trust,
        &resource,
        "Statement[0].Resource: a trust policy has no resources",
    );
    let not = trust(r#""NotPrincipal":"*""#);
    refuses(
        Dialect::Trust,
        &not,
        "Statement[0].NotPrincipal: not supported",
    );
}

// tests aws-iot [PL-2]
#[test]
fn sizes() {
    let head = r#"{"Statement":[],"Version":"2012-10-17"#;
    let padded = |chars: usize| format!("{head}\"{}}}", " ".repeat(chars - head.len() - 2));
    assert!(Document::parse(&padded(DOCUMENT_CHARS_MAX), Dialect::Iot).is_ok());
    refuses(
        Dialect::Iot,
        &padded(DOCUMENT_CHARS_MAX + 1),
        "the document has more than 404600",
    );
    assert_eq!(significant_len(&padded(5_000)), head.len() + 2);
    assert_eq!(significant_len("a \t\r\n\u{a0}é"), 2);
}

#[test]
fn the_compiled_form_answers_questions() {
    let text = r#"{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Deny","NotAction":"iot:Pub*",
        "NotResource":["arn:aws:iot:*:*:topic/${iot:ClientId}"],
        "Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}"#;
    let document = Document::parse(text, Dialect::Iot).unwrap();
    let [statement] = document.statements() else {
        panic!("one statement")
    };
    assert_eq!(
        (statement.sid(), statement.effect()),
        (Some("s"), Effect::Deny)
    );
    assert!(!statement.covers_action("iot:publish") && statement.covers_action("iot:connect"));
    assert!(statement.excludes_resources());
    assert_eq!(
        statement.resources()[0].text(),
        "arn:aws:iot:*:*:topic/${iot:ClientId}"
    );
    assert_eq!(statement.resources()[0].pieces().len(), 6);
    let condition = &statement.conditions()[0];
    assert_eq!(
        (condition.operator(), condition.key().text()),
        ("Bool", "aws:SecureTransport")
    );
}
