//! Pages of lists.
//!
//! A list is cut by the key of its last item, never by an offset, so what is inserted or deleted
//! during a scan makes no other item disappear. The token carries that key, is authenticated by
//! the storage and bound to the operation and its filters.
//!
//! Source: contract core `[HT-30]`, `[RG-11]`.

use model::ApiError;
use serde::Deserialize;
use storage::Tx;

use crate::store::NameRange;

/// The largest page, which is also the page of who asks for no size.
const PAGE_SIZE_MAX: usize = 250;

/// Which page a request asks for, in either of the two spellings of AWS.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Window {
    #[serde(alias = "marker")]
    next_token: Option<String>,
    #[serde(alias = "pageSize")]
    max_results: Option<usize>,
}

/// A text behind all names and attribute values that begin with a prefix: they hold no DEL.
#[derive(Debug)]
pub(crate) struct NameEnd(String);

impl NameEnd {
    pub(crate) fn of(prefix: &str) -> Self {
        Self(format!("{prefix}\u{7f}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One page of one list.
#[derive(Debug)]
pub(crate) struct Page {
    list: String,
    after: Option<Vec<String>>,
    size: usize,
}

impl Page {
    /// The page of `operation`, filtered by `filters`, that `window` asks for.
    ///
    /// # Errors
    /// `InvalidRequestException` for a token that this list did not give out with these filters.
    pub(crate) fn open(
        tx: &Tx<'_>,
        operation: &str,
        filters: &[&str],
        window: &Window,
    ) -> Result<Self, ApiError> {
        // No filter holds a line feed, so the name of the list is unambiguous.
        let list = [&[operation], filters].concat().join("\n");
        let after = match &window.next_token {
            None => None,
            Some(token) => Some(tx.page_after(&list, token).map_err(|_| {
                ApiError::invalid(
                    "the page token was not given out by this list with these filters; \
                     start again without one",
                )
            })?),
        };
        let size = window.max_results.unwrap_or(PAGE_SIZE_MAX);
        Ok(Self {
            list,
            after,
            size: size.clamp(1, PAGE_SIZE_MAX),
        })
    }

    /// The name behind which a list in ascending order goes on; empty at its start.
    pub(crate) fn after_name(&self) -> &str {
        self.after_part(0).unwrap_or_default()
    }

    /// The part `index` of the key behind which the list goes on; none at its start.
    pub(crate) fn after_part(&self, index: usize) -> Option<&str> {
        self.after.as_ref()?.get(index).map(String::as_str)
    }

    /// Behind which item a list in the order of time goes on; none at its start.
    pub(crate) fn after_dated(&self) -> Option<(i64, &str)> {
        let at = self.after_part(0)?.parse().ok()?;
        Some((at, self.after_part(1)?))
    }

    /// How many rows to read: one more than the page holds, to know whether another follows.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.size).map_or(i64::MAX, |size| size.saturating_add(1))
    }

    /// The part of a list of names that lies between a prefix and its end.
    pub(crate) fn names<'a>(&'a self, prefix: &'a str, end: &'a NameEnd) -> NameRange<'a> {
        NameRange {
            from: prefix,
            after: self.after_name(),
            to: end.as_str(),
            rows: self.rows(),
        }
    }

    /// The items of this page and the token of the next, if there is one.
    pub(crate) fn close<T>(
        &self,
        tx: &Tx<'_>,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> Vec<String>,
    ) -> (Vec<T>, Option<String>) {
        let more = self.size < rows.len();
        rows.truncate(self.size);
        let token = rows.last().filter(|_| more).map(|last| {
            let key = key(last);
            let key: Vec<&str> = key.iter().map(String::as_str).collect();
            tx.page_token(&self.list, &key)
        });
        (rows, token)
    }
}
