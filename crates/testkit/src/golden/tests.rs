use super::first_difference;

#[test]
fn finds_the_first_line_that_differs() {
    let check = |expected, found, line| assert_eq!(first_difference(expected, found), line);
    check("a\nb\nc", "a\nb\nc", 3);
    check("a\nb\nc", "a\nx\nc", 1);
    check("a\nb", "a\nb\nc", 2);
    check("", "a", 0);
}
