//! One SQL text, two engines.
//!
//! Capabilities write placeholders as `?1` and schema types as TEXT, BIGINT, BLOB and DOUBLE
//! PRECISION in capitals; this module rewrites what differs and nothing else. It knows words,
//! quotes and comments, not grammar. SQLite takes statements as they are.

use crate::Value;

/// Which SQL an engine speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement as PostgreSQL takes it, and how many parameters it has.
///
/// A parameter that is NULL is written into the statement, because PostgreSQL cannot always tell
/// which type it would have had; those that are not are numbered anew.
pub(crate) fn for_postgresql(sql: &str, parameters: &[Value]) -> (String, usize) {
    let mut out = String::with_capacity(sql.len() + 16);
    let mut count = 0;
    let mut after_mark = false;
    for piece in Pieces(sql) {
        match piece {
            Piece::Symbol("?") => after_mark = true,
            Piece::Word(digits) if after_mark => {
                after_mark = false;
                let number = digits.parse().unwrap_or(usize::MAX);
                count = count.max(number);
                let before = parameters.get(..number).unwrap_or(parameters);
                match before.last() {
                    Some(Value::Null) => out.push_str("NULL"),
                    _ => {
                        let present = before.iter().filter(|value| **value != Value::Null);
                        out.push_str(&format!("${}", present.count()));
                    }
                }
            }
            other => out.push_str(other.text()),
        }
    }
    (out, count)
}

/// A migration with its types as the engine writes them.
///
/// On SQLite, tables become STRICT, so that a text in an integer column is refused on both.
/// On PostgreSQL, texts compare by their bytes, as SQLite does.
pub(crate) fn schema(sql: &str, dialect: Dialect) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    let mut table = TableEnd::default();
    for piece in Pieces(sql) {
        if dialect == Dialect::Sqlite && piece == Piece::Symbol(";") {
            table.close(&mut out);
        }
        table.see(piece, out.len());
        out.push_str(match (dialect, piece) {
            (Dialect::Sqlite, Piece::Word("BIGINT")) => "INTEGER",
            (Dialect::Sqlite, Piece::Word("DOUBLE")) => "REAL",
            (Dialect::Sqlite, Piece::Word("PRECISION")) => "",
            (Dialect::Postgres, Piece::Word("BLOB")) => "BYTEA",
            (Dialect::Postgres, Piece::Word("TEXT")) => "TEXT COLLATE \"C\"",
            (_, piece) => piece.text(),
        });
    }
    if dialect == Dialect::Sqlite {
        table.close(&mut out);
    }
    out
}

/// Finds the closing parenthesis of each CREATE TABLE, to write STRICT after it.
#[derive(Default)]
struct TableEnd {
    words: usize,
    creates_table: bool,
    parenthesis_end: Option<usize>,
}

impl TableEnd {
    fn see(&mut self, piece: Piece<'_>, at: usize) {
        match piece {
            Piece::Word(word) => {
                self.words += 1;
                self.creates_table = match self.words {
                    1 => word == "CREATE",
                    2 => self.creates_table && word == "TABLE",
                    _ => self.creates_table,
                };
            }
            Piece::Symbol(")") => self.parenthesis_end = Some(at + 1),
            Piece::Symbol(_) | Piece::Verbatim(_) => (),
        }
    }

    fn close(&mut self, out: &mut String) {
        if let (true, Some(at)) = (self.creates_table, self.parenthesis_end) {
            out.insert_str(at, " STRICT");
        }
        *self = Self::default();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Letters, digits and underscores.
    Word(&'a str),
    /// One other character.
    Symbol(&'a str),
    /// A quoted text or name, a comment, or white space.
    Verbatim(&'a str),
}

impl<'a> Piece<'a> {
    const fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Symbol(text) | Self::Verbatim(text) => text,
        }
    }
}

/// Splits SQL without losing a byte.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.0;
        let first = rest.chars().next()?;
        let until = |end: Option<usize>| end.unwrap_or(rest.len());
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let (end, make): (usize, fn(&'a str) -> Piece<'a>) = match first {
            // A doubled quote inside a quoted text ends one piece and begins the next: no harm.
            '\'' | '"' => (
                until(rest[1..].find(first).map(|at| at + 2)),
                Piece::Verbatim,
            ),
            '-' if rest.starts_with("--") => (until(rest.find('\n')), Piece::Verbatim),
            letter if word(letter) => (until(rest.find(|letter| !word(letter))), Piece::Word),
            letter if letter.is_whitespace() => (
                until(rest.find(|letter: char| !letter.is_whitespace())),
                Piece::Verbatim,
            ),
            symbol => (symbol.len_utf8(), Piece::Symbol),
        };
        let (piece, rest) = rest.split_at(end);
        self.0 = rest;
        Some(make(piece))
    }
}

#[cfg(test)]
mod tests;
