//! Conditions: an operator, a key and the values the key is compared with.
//!
//! A condition is bound once per session: the variables in its values are
//! filled in and the values become numbers, dates or networks. Comparing is
//! then without allocation for what changes per request (the time).
//!
//! Source: docs/contract/core.md 7.5; IAM User Guide, "Condition operators".

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::moment;
use crate::name::Name;
use crate::pattern::{Pattern, Template, Undefined};

/// One key of a statement's `Condition` with its operator and values.
#[derive(Debug, Clone)]
pub struct Condition {
    written: Box<str>,
    pub(crate) operator: Operator,
    pub(crate) key: Name,
    pub(crate) values: Vec<Template>,
}

impl Condition {
    pub(crate) fn new(written: &str, operator: Operator, key: Name, values: Vec<Template>) -> Self {
        Self {
            written: written.into(),
            operator,
            key,
            values,
        }
    }

    /// The operator as written, for example `ForAnyValue:StringLikeIfExists`.
    pub fn operator(&self) -> &str {
        &self.written
    }

    /// The condition key.
    pub fn key(&self) -> &Name {
        &self.key
    }

    /// The values as written.
    pub fn values(&self) -> &[Template] {
        &self.values
    }

    /// Fills in the variables. `closed` says what an undefined one must do: see
    /// [`Operator::undefined`].
    pub(crate) fn bind<'v>(
        &self,
        deny: bool,
        closed: bool,
        value: impl Fn(&Name) -> Option<Cow<'v, str>>,
    ) -> Bound {
        let undefined = self.operator.undefined(deny, closed);
        let tests = self.values.iter().filter_map(|template| {
            // A value that turns out not to be a number or date is as unknown
            // as one that is undefined.
            let test = template
                .fill(undefined, &value)
                .and_then(|pattern| self.operator.comparison.test(&pattern));
            match (test, undefined) {
                (Some(test), _) => Some(test),
                (None, Undefined::MatchesAnything) => Some(Test::Anything),
                (None, Undefined::MatchesNothing) => None,
            }
        });
        Bound {
            operator: self.operator,
            tests: tests.collect(),
        }
    }
}

/// An operator's name taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) quantifier: Quantifier,
    pub(crate) comparison: Comparison,
    pub(crate) negated: bool,
    pub(crate) if_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// No prefix: some value of the request, or for a negated operator every one.
    Plain,
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Text,
    TextIgnoringCase,
    Like,
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Ip,
    Arn,
    /// Whether the key is missing.
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    /// Whether `left` stands in this order to `right`; never, when they cannot be compared.
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Operator {
    /// The operator named so, or `None`. Names are exact, as in AWS.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (quantifier, rest) = match text.split_once(':') {
            None => (Quantifier::Plain, text),
            Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::ForAnyValue, rest),
            Some(_) => return None,
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        let (comparison, negated) = Comparison::parse(name)?;
        if comparison == Comparison::Null && (if_exists || quantifier != Quantifier::Plain) {
            return None;
        }
        Some(Self {
            quantifier,
            comparison,
            negated,
            if_exists,
        })
    }

    /// What an undefined value must count as, so that the statement errs on the
    /// side of refusing: a Deny should hold, an Allow should not.
    pub(crate) fn undefined(self, deny: bool, closed: bool) -> Undefined {
        undefined(deny, self.negated, closed)
    }
}

/// For a test that is part of a statement, `negated` or not: what its undefined
/// values count as.
// spec aws-iot [PL-30]: hardened, what cannot be known denies. A Deny takes the
// unknown value for a match; an Allow that excludes values (NotResource, a
// negated operator) excludes the unknown one too.
pub(crate) fn undefined(deny: bool, negated: bool, closed: bool) -> Undefined {
    if closed && deny != negated {
        Undefined::MatchesAnything
    } else {
        Undefined::MatchesNothing
    }
}

impl Comparison {
    fn parse(name: &str) -> Option<(Self, bool)> {
        use Order::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        Some(match name {
            "StringEquals" => (Self::Text, false),
            "StringNotEquals" => (Self::Text, true),
            "StringEqualsIgnoreCase" => (Self::TextIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Self::TextIgnoringCase, true),
            "StringLike" => (Self::Like, false),
            "StringNotLike" => (Self::Like, true),
            "NumericEquals" => (Self::Number(Equal), false),
            "NumericNotEquals" => (Self::Number(Equal), true),
            "NumericLessThan" => (Self::Number(Less), false),
            "NumericLessThanEquals" => (Self::Number(LessOrEqual), false),
            "NumericGreaterThan" => (Self::Number(Greater), false),
            "NumericGreaterThanEquals" => (Self::Number(GreaterOrEqual), false),
            "DateEquals" => (Self::Date(Equal), false),
            "DateNotEquals" => (Self::Date(Equal), true),
            "DateLessThan" => (Self::Date(Less), false),
            "DateLessThanEquals" => (Self::Date(LessOrEqual), false),
            "DateGreaterThan" => (Self::Date(Greater), false),
            "DateGreaterThanEquals" => (Self::Date(GreaterOrEqual), false),
            "Bool" => (Self::Bool, false),
            "BinaryEquals" => (Self::Binary, false),
            "IpAddress" => (Self::Ip, false),
            "NotIpAddress" => (Self::Ip, true),
            "ArnEquals" | "ArnLike" => (Self::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Self::Arn, true),
            "Null" => (Self::Null, false),
            _ => return None,
        })
    }

    /// Whether `*` and `?` are wildcards in the values.
    pub(crate) fn has_wildcards(self) -> bool {
        matches!(self, Self::Like | Self::Arn)
    }

    /// What a value must look like, for an error message.
    pub(crate) fn expects(self) -> &'static str {
        match self {
            Self::Text | Self::TextIgnoringCase | Self::Like => "text",
            Self::Number(_) => "a number",
            Self::Date(_) => "a date such as `2026-01-31T12:00:00Z` or seconds since 1970",
            Self::Bool | Self::Null => "`true` or `false`",
            Self::Binary => "base64",
            Self::Ip => "an address or a network such as `10.0.0.0/8`",
            Self::Arn => "an ARN of six parts separated by `:`, or `*`",
        }
    }

    /// The value ready for comparison; `None` when it is not of this kind.
    pub(crate) fn test(self, value: &Pattern) -> Option<Test> {
        let literal = value.as_literal();
        Some(match self {
            Self::Text | Self::Like => Test::Text(value.clone()),
            Self::TextIgnoringCase => Test::TextIgnoringCase(value.clone().into_lowercase()),
            Self::Number(order) => Test::Number(order, number(literal?)?),
            Self::Date(order) => Test::Date(order, moment::parse(literal?)?),
            Self::Bool | Self::Null => Test::Bool(boolean(literal?)?),
            // Equal bytes have equal canonical base64, so the texts are compared.
            Self::Binary => Test::Text(
                literal
                    .filter(|text| is_base64(text))
                    .map(|_| value.clone())?,
            ),
            Self::Ip => Test::Network(network(literal?)?),
            Self::Arn if value.is_any() => Test::Text(value.clone()),
            Self::Arn => Test::Arn(Box::new(value.components()?)),
        })
    }
}

/// One value of a condition, ready for comparison.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Stands for a value that could not be known; holds for everything.
    Anything,
    Text(Pattern),
    TextIgnoringCase(Pattern),
    Number(Order, f64),
    Date(Order, i64),
    Bool(bool),
    Network(IpNet),
    Arn(Box<[Pattern; 6]>),
}

impl Test {
    fn accepts(&self, operand: &Operand<'_>) -> bool {
        match self {
            Self::Anything => true,
            Self::Text(pattern) => pattern.matches(&operand.text()),
            Self::TextIgnoringCase(pattern) => pattern.matches(&operand.text().to_lowercase()),
            Self::Number(order, right) => operand
                .number()
                .is_some_and(|left| order.holds(&left, right)),
            Self::Date(order, right) => operand
                .moment_ms()
                .is_some_and(|left| order.holds(&left, right)),
            Self::Bool(wanted) => boolean(&operand.text()) == Some(*wanted),
            Self::Network(network) => {
                let address = operand.text().parse::<IpAddr>();
                address.is_ok_and(|address| network.contains(&address.to_canonical()))
            }
            Self::Arn(parts) => {
                let text = operand.text();
                let mut components = text.splitn(6, ':');
                let all = parts.iter().all(|part| {
                    components
                        .next()
                        .is_some_and(|component| part.matches(component))
                });
                all && components.next().is_none()
            }
        }
    }
}

/// A value of a condition key in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand<'a> {
    Text(Cow<'a, str>),
    /// `aws:CurrentTime`, in milliseconds since 1970.
    CurrentTime(i64),
    /// `aws:EpochTime`, in milliseconds since 1970; shown in seconds.
    EpochTime(i64),
}

impl Operand<'_> {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::CurrentTime(now_ms) => Cow::Owned(moment::format(*now_ms)),
            Self::EpochTime(now_ms) => Cow::Owned(now_ms.div_euclid(1_000).to_string()),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => number(text),
            Self::CurrentTime(_) => None,
            Self::EpochTime(now_ms) => number(&now_ms.div_euclid(1_000).to_string()),
        }
    }

    fn moment_ms(&self) -> Option<i64> {
        match self {
            Self::Text(text) => moment::parse(text),
            Self::CurrentTime(now_ms) | Self::EpochTime(now_ms) => Some(*now_ms),
        }
    }
}

/// A condition with its variables filled in.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    operator: Operator,
    tests: Box<[Test]>,
}

impl Bound {
    /// Whether the condition holds for the key's values; `None` when the key is missing.
    // spec aws-iot [PL-40]: values OR; a negated operator wants none to match.
    // spec aws-iot [PL-41]: what a missing key means, by operator.
    pub(crate) fn holds(&self, operands: Option<&[Operand<'_>]>) -> bool {
        let Operator {
            quantifier,
            comparison,
            negated,
            if_exists,
        } = self.operator;
        if comparison == Comparison::Null {
            let missing = Operand::Text(if operands.is_none() { "true" } else { "false" }.into());
            return self.tests.iter().any(|test| test.accepts(&missing));
        }
        let Some(operands) = operands else {
            return if_exists
                || match quantifier {
                    Quantifier::Plain => negated,
                    Quantifier::ForAllValues => true,
                    Quantifier::ForAnyValue => false,
                };
        };
        let good =
            |operand: &Operand<'_>| self.tests.iter().any(|test| test.accepts(operand)) != negated;
        match quantifier {
            Quantifier::Plain if negated => operands.iter().all(good),
            Quantifier::Plain | Quantifier::ForAnyValue => operands.iter().any(good),
            Quantifier::ForAllValues => operands.iter().all(good),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    // `parse` alone would also take `inf` and `nan`.
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse::<f64>()
        .ok()
        .filter(|value| plain && value.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    text.parse().ok()
}

/// Standard alphabet, padded to a multiple of four.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(body.len());
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len().is_multiple_of(4) && padding <= 2 && body.bytes().all(alphabet)
}
