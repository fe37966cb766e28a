//! Lists in order of creation, a page at a time, either way round.
//!
//! A page continues behind the last item of the one before, named by its creation time and id, so
//! what is registered during a scan neither hides nor repeats anything.
//!
//! Source: contract core `[HT-30]`, the `marker` family.

use model::{ApiError, CertificateId, Timestamp};
use serde::Deserialize;
use storage::Tx;

/// Most items on a page, and how many there are when the caller does not say.
pub(crate) const PAGE_ITEMS_MAX: u16 = 250;

/// Behind every id: ids begin with a hexadecimal digit.
const BEHIND_ALL_IDS: &str = "g";

/// The members that every list takes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageInput {
    page_size: Option<u16>,
    marker: Option<String>,
    #[serde(default)]
    ascending_order: bool,
}

/// Which end of the list comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    OldestFirst,
    NewestFirst,
}

/// Where a page starts, and how far a query may go.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) order: Order,
    /// Only what comes behind this moment …
    pub(crate) created_at: Timestamp,
    /// … or, at the same moment, behind this id.
    pub(crate) certificate_id: String,
    /// One more than the page holds, to see whether there is another.
    pub(crate) limit: i64,
}

/// An item that knows its place in the order.
pub(crate) trait Listed {
    fn created_at(&self) -> Timestamp;
    fn certificate_id(&self) -> &CertificateId;
}

/// One page of the list called `list` (the operation and its filters), as `fetch` finds it, with
/// the marker of the next one.
pub(crate) fn page<T: Listed>(
    tx: &mut Tx<'_>,
    list: &str,
    input: &PageInput,
    fetch: impl FnOnce(&mut Tx<'_>, &Window) -> Result<Vec<T>, ApiError>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let order = if input.ascending_order {
        Order::OldestFirst
    } else {
        Order::NewestFirst
    };
    let list = format!("{list} {order:?}");
    let size = input
        .page_size
        .unwrap_or(PAGE_ITEMS_MAX)
        .clamp(1, PAGE_ITEMS_MAX);
    let (created_at, certificate_id) = match &input.marker {
        Some(marker) => behind(tx, &list, marker)?,
        None => start(order),
    };
    let window = Window {
        order,
        created_at,
        certificate_id,
        limit: i64::from(size) + 1,
    };
    let mut items = fetch(tx, &window)?;
    let more = usize::from(size) < items.len();
    items.truncate(usize::from(size));
    let last = items.last().filter(|_| more);
    let marker = last.map(|last| {
        let moment = last.created_at().millis().to_string();
        tx.page_token(&list, &[&moment, last.certificate_id().as_str()])
    });
    Ok((items, marker))
}

/// Refuses the marker of a list that has no second page.
pub(crate) fn only_page(input: &PageInput) -> Result<(), ApiError> {
    match input.marker {
        Some(_) => Err(bad_marker()),
        None => Ok(()),
    }
}

fn start(order: Order) -> (Timestamp, String) {
    match order {
        Order::OldestFirst => (Timestamp::from_millis(i64::MIN), String::new()),
        Order::NewestFirst => (Timestamp::from_millis(i64::MAX), BEHIND_ALL_IDS.to_owned()),
    }
}

fn behind(tx: &Tx<'_>, list: &str, marker: &str) -> Result<(Timestamp, String), ApiError> {
    let last = tx.page_after(list, marker).map_err(|_| bad_marker())?;
    match last.as_slice() {
        [moment, id] => {
            let moment = moment.parse().map_err(ApiError::internal)?;
            Ok((Timestamp::from_millis(moment), id.clone()))
        }
        _ => Err(bad_marker()),
    }
}

fn bad_marker() -> ApiError {
    ApiError::invalid("marker is not one that this list gave out; start again without it")
}
