//! Patterns: text with `*`, `?` and variables, as written and as filled in.
//!
//! A [`Template`] is what a policy says: literals, wildcards and holes. A
//! [`Pattern`] is the same with the holes filled for one session. Both are flat
//! token lists, so that questions over *all* topics (does this pattern cover
//! that one?) stay answerable; nothing is turned into a regular expression.
//!
//! Matching keeps one place to return to, the last `*`, because a leftmost
//! match of each stretch between two `*` is never worse than a later one. It
//! never backtracks further.

use std::borrow::Cow;

use crate::name::Name;

/// Bytes of one pattern as written. The longest topic a client may name under
/// AWS's limits is 256 bytes, so this leaves ample room for an ARN around it.
pub(crate) const PATTERN_BYTES_MAX: usize = 8_192;

/// Wildcards and variables in one pattern. A certificate id spelled as `?` takes 64.
pub(crate) const HOLES_MAX: usize = 256;

/// One piece of a pattern as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands for itself.
    Literal(Box<str>),
    /// `?`: exactly one character, `/` included.
    AnyOne,
    /// `*`: any run of characters, `/` and nothing included.
    AnyRun,
    /// `${name}`.
    Variable(Variable),
}

/// A hole in a pattern: `${name}` or, in identity policies, `${name, 'default'}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Whose value fills the hole.
    pub name: Name,
    /// What fills it when the name has no value.
    pub default: Option<Box<str>>,
}

/// A pattern as a policy writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    pieces: Box<[Piece]>,
}

/// Which marks of a text are special, by where the text stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax {
    /// `*` and `?` are wildcards.
    pub wildcards: bool,
    /// `${..}` is a variable or an escape; not so in version 2008-10-17.
    pub variables: bool,
    /// `${name, 'default'}` is understood.
    pub defaults: bool,
}

/// Why a text is not a pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("is longer than {PATTERN_BYTES_MAX} bytes; shorten it")]
    TooLong,
    #[error("holds more than {HOLES_MAX} wildcards and variables; use fewer")]
    TooManyHoles,
    #[error("opens a variable with `${{` and never closes it; add `}}`")]
    Unclosed,
    #[error("names an empty variable; write its name between `${{` and `}}`")]
    EmptyVariable,
    #[error("gives a variable a default that is not in single quotes; write `${{name, 'value'}}`")]
    BadDefault,
}

/// What a hole becomes whose variable has no value.
// spec aws-iot [PL-30]: AWS leaves the text in place, so nothing matches it;
// hardened, a Deny counts as matching whatever the value might have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undefined {
    MatchesNothing,
    MatchesAnything,
}

impl Template {
    pub(crate) fn parse(text: &str, syntax: Syntax) -> Result<Self, TemplateError> {
        if PATTERN_BYTES_MAX < text.len() {
            return Err(TemplateError::TooLong);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let opened = rest.strip_prefix("${").filter(|_| syntax.variables);
            let (piece, after) = if let Some(inside) = opened {
                let (inner, after) = inside.split_once('}').ok_or(TemplateError::Unclosed)?;
                (variable(inner, syntax.defaults)?, after)
            } else {
                let piece = match next {
                    '*' if syntax.wildcards => Piece::AnyRun,
                    '?' if syntax.wildcards => Piece::AnyOne,
                    other => Piece::Literal(other.to_string().into()),
                };
                (piece, after_char(rest).unwrap_or_default())
            };
            rest = after;
            if let Piece::Literal(text) = piece {
                literal.push_str(&text);
                continue;
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            if piece != Piece::AnyRun || pieces.last() != Some(&Piece::AnyRun) {
                pieces.push(piece);
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        let holes = pieces
            .iter()
            .filter(|piece| !matches!(piece, Piece::Literal(_)))
            .count();
        if HOLES_MAX < holes {
            return Err(TemplateError::TooManyHoles);
        }
        Ok(Self {
            text: text.into(),
            pieces: pieces.into(),
        })
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pieces in order; no two literals and no two `*` are neighbours.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The names of the variables, in order of appearance.
    pub fn variables(&self) -> impl Iterator<Item = &Name> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(&variable.name),
            _ => None,
        })
    }

    /// The pattern with its holes filled by `value`; `None` when a variable is
    /// undefined and `undefined` says that nothing matches then.
    pub(crate) fn fill<'v>(
        &self,
        undefined: Undefined,
        value: impl Fn(&Name) -> Option<Cow<'v, str>>,
    ) -> Option<Pattern> {
        let mut tokens = Tokens::default();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => tokens.literal(text),
                Piece::AnyOne => tokens.wildcard(Token::AnyOne),
                Piece::AnyRun => tokens.wildcard(Token::AnyRun),
                // spec aws-iot [PL-31]: a value is literal text, whatever it holds.
                Piece::Variable(variable) => match (value(&variable.name), &variable.default) {
                    (Some(value), _) => tokens.literal(&value),
                    (None, Some(default)) => tokens.literal(default),
                    (None, None) if undefined == Undefined::MatchesAnything => {
                        tokens.wildcard(Token::AnyRun)
                    }
                    (None, None) => return None,
                },
            }
        }
        Some(tokens.into_pattern())
    }
}

/// What stands between `${` and `}`.
fn variable(inner: &str, defaults: bool) -> Result<Piece, TemplateError> {
    // spec aws-iot [PL-24]: `${*}`, `${?}` and `${$}` are the characters themselves.
    if matches!(inner, "*" | "?" | "$") {
        return Ok(Piece::Literal(inner.into()));
    }
    let (name, default) = match inner.split_once(',').filter(|_| defaults) {
        None => (inner, None),
        Some((name, quoted)) => {
            let quoted = quoted.trim();
            let unquoted = quoted
                .strip_prefix('\'')
                .and_then(|text| text.strip_suffix('\''));
            (
                name.trim(),
                Some(unquoted.ok_or(TemplateError::BadDefault)?.into()),
            )
        }
    };
    if name.is_empty() {
        return Err(TemplateError::EmptyVariable);
    }
    Ok(Piece::Variable(Variable {
        name: Name::parse(name),
        default,
    }))
}

/// A pattern ready to be compared with text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Box<[Token]>,
}

/// One token of a filled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// Text that stands for itself.
    Literal(Box<str>),
    /// Exactly one character.
    AnyOne,
    /// Any run of characters, the empty one included.
    AnyRun,
}

impl Pattern {
    /// Whether the whole of `text` fits.
    // spec aws-iot [PL-20]: `*` crosses `/`; `+` and `#` are plain characters.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if let Some(Token::Literal(last)) = self.tokens.last()
            && !text.ends_with(&**last)
        {
            return false;
        }
        let mut tokens = &*self.tokens;
        let mut rest = text;
        // Where to go on when a later token fails: behind the last `*`, which
        // then takes one character more.
        let mut retry: Option<(&[Token], &str)> = None;
        loop {
            let advanced = match tokens.split_first() {
                None if rest.is_empty() => return true,
                None => None,
                Some((Token::AnyRun, [])) => return true,
                Some((Token::AnyRun, after)) => {
                    retry = Some((after, rest));
                    Some((after, rest))
                }
                Some((Token::AnyOne, after)) => after_char(rest).map(|left| (after, left)),
                Some((Token::Literal(literal), after)) => {
                    rest.strip_prefix(&**literal).map(|left| (after, left))
                }
            };
            (tokens, rest) = match (advanced, retry) {
                (Some(next), _) => next,
                (None, None) => return false,
                (None, Some((after, from))) => {
                    let Some(from) = after_char(from) else {
                        return false;
                    };
                    retry = Some((after, from));
                    (after, from)
                }
            };
        }
    }

    /// What must match the text behind `prefix`, for the whole to match: any of
    /// the returned patterns. Empty when nothing that begins so can match.
    pub(crate) fn after(&self, prefix: &str) -> Vec<Self> {
        let start = State::new("", &self.tokens);
        // Nearly every policy spells the prefix out, so text is compared first.
        if let Some(head) = start.head.strip_prefix(prefix) {
            return vec![State::new(head, start.rest).into_pattern()];
        }
        let Some(wild) = prefix.strip_prefix(start.head) else {
            return Vec::new();
        };
        let mut states = vec![State::new("", start.rest)];
        for next in wild.chars() {
            let mut reached: Vec<State<'_>> = Vec::new();
            for state in states {
                // A `*` may stay, or end here and let what follows it begin.
                for from in std::iter::successors(Some(state), State::without_run) {
                    if let Some(to) = from.take(next)
                        && !reached.contains(&to)
                    {
                        reached.push(to);
                    }
                }
            }
            states = reached;
        }
        if states.iter().any(State::is_any) {
            return vec![Self {
                tokens: [Token::AnyRun].into(),
            }];
        }
        states.into_iter().map(State::into_pattern).collect()
    }

    /// The pattern cut at its first `N - 1` literal colons, as ARNs are compared.
    pub(crate) fn components<const N: usize>(&self) -> Option<[Self; N]> {
        let mut parts: Vec<Self> = Vec::new();
        let mut current = Tokens::default();
        for token in &self.tokens {
            let Token::Literal(text) = token else {
                current.wildcard(token.clone());
                continue;
            };
            let mut rest = &**text;
            while parts.len() < N.saturating_sub(1)
                && let Some((head, tail)) = rest.split_once(':')
            {
                current.literal(head);
                parts.push(std::mem::take(&mut current).into_pattern());
                rest = tail;
            }
            current.literal(rest);
        }
        parts.push(current.into_pattern());
        parts.try_into().ok()
    }

    /// The same pattern for text already in lower case.
    pub(crate) fn into_lowercase(self) -> Self {
        let lower = |token: Token| match token {
            Token::Literal(text) => Token::Literal(text.to_lowercase().into()),
            other => other,
        };
        Self {
            tokens: self.tokens.into_iter().map(lower).collect(),
        }
    }

    /// The text, when the pattern holds no wildcard.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match &*self.tokens {
            [] => Some(""),
            [Token::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The pattern that is exactly `*`.
    pub(crate) fn is_any(&self) -> bool {
        *self.tokens == [Token::AnyRun]
    }

    /// As a person reads it; wildcard characters in literals are not marked.
    pub(crate) fn display(&self) -> String {
        let part = |token: &Token| match token {
            Token::Literal(text) => text.to_string(),
            Token::AnyOne => "?".to_owned(),
            Token::AnyRun => "*".to_owned(),
        };
        self.tokens.iter().map(part).collect()
    }
}

/// A place within a pattern while a prefix is consumed: what is left of the
/// current literal, and the tokens behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State<'p> {
    head: &'p str,
    rest: &'p [Token],
}

impl<'p> State<'p> {
    /// Steps into a literal as soon as it stands first.
    fn new(head: &'p str, rest: &'p [Token]) -> Self {
        match (head, rest.split_first()) {
            ("", Some((Token::Literal(text), rest))) => Self { head: text, rest },
            _ => Self { head, rest },
        }
    }

    /// The state behind a `*` that stands first.
    fn without_run(&self) -> Option<Self> {
        match (self.head, self.rest.split_first()) {
            ("", Some((Token::AnyRun, after))) => Some(Self::new("", after)),
            _ => None,
        }
    }

    fn take(&self, next: char) -> Option<Self> {
        if let Some(head) = self.head.strip_prefix(next) {
            return Some(Self::new(head, self.rest));
        }
        match (self.head, self.rest.split_first()) {
            ("", Some((Token::AnyRun, _))) => Some(*self),
            ("", Some((Token::AnyOne, after))) => Some(Self::new("", after)),
            _ => None,
        }
    }

    fn is_any(&self) -> bool {
        self.head.is_empty() && *self.rest == [Token::AnyRun]
    }

    fn into_pattern(self) -> Pattern {
        let head = (!self.head.is_empty()).then(|| Token::Literal(self.head.into()));
        Pattern {
            tokens: head.into_iter().chain(self.rest.iter().cloned()).collect(),
        }
    }
}

/// A token list under construction: neighbouring literals and `*` are merged.
#[derive(Default)]
struct Tokens {
    done: Vec<Token>,
    /// The literal that further text is added to.
    literal: String,
}

impl Tokens {
    fn literal(&mut self, text: &str) {
        self.literal.push_str(text);
    }

    fn wildcard(&mut self, token: Token) {
        self.end_literal();
        if token != Token::AnyRun || self.done.last() != Some(&Token::AnyRun) {
            self.done.push(token);
        }
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.done.push(Token::Literal(self.literal.as_str().into()));
            self.literal.clear();
        }
    }

    fn into_pattern(mut self) -> Pattern {
        self.end_literal();
        Pattern {
            tokens: self.done.into(),
        }
    }
}

/// `text` behind its first character; `None` when it is empty.
fn after_char(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().map(|_| chars.as_str())
}

#[cfg(test)]
mod tests;
