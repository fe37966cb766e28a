use super::with_name;

#[test]
fn the_name_in_a_url_is_replaced() {
    let check = |url, expected| assert_eq!(with_name(url, "x"), expected);
    check("postgres://u@h:1/a", "postgres://u@h:1/x");
    check("postgres://u@h:1", "postgres://u@h:1/x");
    check(
        "postgres://u:p@h/a?sslmode=disable",
        "postgres://u:p@h/x?sslmode=disable",
    );
    check("postgres://h?host=/run/pg", "postgres://h/x?host=/run/pg");
}
