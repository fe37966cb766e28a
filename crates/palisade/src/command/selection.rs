//! Which clients a list is about, as the API is asked.

use std::fmt::Write as _;

use crate::arguments::Selection;
use crate::client::encode;

/// The selection as further members of a query.
pub(super) fn query(of: &Selection) -> String {
    let principal = of.principal.as_deref().map(certificate_id);
    let members = [
        ("clientId", of.client.as_deref()),
        ("clientIdPrefix", of.prefix.as_deref()),
        ("thingName", of.thing.as_deref()),
        ("principal", principal),
    ];
    let mut query = String::new();
    for (name, value) in members {
        if let Some(value) = value {
            let _ = write!(query, "&{name}={}", encode(value));
        }
    }
    query
}

/// The id of a certificate that is named by its id or its ARN.
fn certificate_id(text: &str) -> &str {
    text.rsplit_once(":cert/").map_or(text, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_asked() {
        assert_eq!(query(&Selection::default()), "");
        let of = Selection {
            client: Some("a b".to_owned()),
            principal: Some("arn:aws:iot:us-east-1:111122223333:cert/ab12".to_owned()),
            ..Selection::default()
        };
        assert_eq!(query(&of), "&clientId=a%20b&principal=ab12");
    }
}
