use crate::Database;

#[test]
fn addresses_are_read_and_shown_without_their_passwords() {
    let check = |text: &str, shown: Option<&str>| {
        let read: Option<Database> = text.parse().ok();
        assert_eq!(
            read.map(|database| format!("{database:?}")).as_deref(),
            shown,
            "{text}"
        );
    };
    check("sqlite:/a/b.db", Some("sqlite:/a/b.db"));
    check("sqlite:b.db", Some("sqlite:b.db"));
    check("postgres://h/db", Some("postgres://h/db"));
    check("postgres://u@h/db", Some("postgres://u@h/db"));
    check(
        "postgres://u:secret@h:5432/db",
        Some("postgres://u@h:5432/db"),
    );
    check("postgresql://u:se@cret@h/db", Some("postgresql://u@h/db"));
    check(
        "postgres://u@h/db?password=secret",
        Some("postgres://u@h/db"),
    );
    check("sqlite:", None);
    check("/a/b.db", None);
    check("mysql://u:secret@h/db", None);
    check("", None);
}

#[test]
fn a_refused_address_does_not_show_its_password() {
    let refused = "mysql://u:secret@h/db".parse::<Database>().unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("mysql://u@h/db"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}
