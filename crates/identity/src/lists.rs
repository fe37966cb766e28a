//! Pages of IAM lists: `Marker`, `MaxItems`, `IsTruncated`.

use model::ApiError;
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::error::invalid;

/// Items of a page when the caller does not say; the model allows 1 to 1000.
const ITEMS_DEFAULT: u32 = 100;

/// The two members every list takes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Page {
    marker: Option<String>,
    max_items: Option<u32>,
}

/// The two members every list answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Next {
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Page {
    /// The last key of the page before; everything sorts after the empty text.
    pub(crate) fn after(&self, tx: &Tx<'_>, list: &str) -> Result<String, ApiError> {
        let Some(marker) = &self.marker else {
            return Ok(String::new());
        };
        let bad = |_| invalid("Marker is not one that this list returned");
        let last = tx.page_after(list, marker).map_err(bad)?;
        Ok(last.into_iter().next().unwrap_or_default())
    }

    /// How many rows to read: one more than a page, to know whether another follows.
    pub(crate) fn rows(&self) -> u32 {
        self.items() + 1
    }

    fn items(&self) -> u32 {
        self.max_items.unwrap_or(ITEMS_DEFAULT)
    }

    /// Cuts `rows` to the page and says where the next one begins. The model allows a marker of
    /// 320 characters, which is 204 bytes of `key`.
    pub(crate) fn cut<T>(
        &self,
        tx: &Tx<'_>,
        list: &str,
        rows: &mut Vec<T>,
        key: impl Fn(&T) -> &str,
    ) -> Next {
        let items = usize::try_from(self.items()).unwrap_or(usize::MAX);
        let more = items < rows.len();
        rows.truncate(items);
        let last = rows.last().filter(|_| more);
        Next {
            is_truncated: more,
            marker: last.map(|row| tx.page_token(list, &[key(row)])),
        }
    }
}
