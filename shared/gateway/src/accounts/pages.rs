//! Pages of lists, with signed cursors.

use std::str::FromStr;

use hearth_domain::Owner;
use hearth_wire::{ApiError, native::organisations::PageQuery};

use crate::keys::GatewayKeys;

const DEFAULT_PAGE_COUNT: u32 = 50;
const PAGE_MAX_COUNT: u32 = 200;

/// A page of a list, as its caller requests it.
#[derive(Debug)]
pub(super) struct PageRequest<'a, T> {
    keys: &'a GatewayKeys,
    /// The list and its caller, for whom alone a cursor is valid.
    context: String,
    /// The maximum number of entries.
    pub(super) limit: u32,
    /// The last entry of the page before.
    pub(super) after: Option<T>,
}

impl<'a, T: FromStr> PageRequest<'a, T> {
    /// The page of `list` that `query` describes.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor.
    pub(super) async fn new(
        keys: &'a GatewayKeys,
        owner: Owner,
        list: &str,
        query: &PageQuery,
    ) -> Result<Self, ApiError> {
        let limit = query.limit.unwrap_or(DEFAULT_PAGE_COUNT);
        if !(1..=PAGE_MAX_COUNT).contains(&limit) {
            return Err(ApiError::invalid("limit", format!("limit must be 1 to {PAGE_MAX_COUNT}")));
        }
        let context = format!("{}|{}|{list}", owner.user, owner.organisation);
        let after = match &query.cursor {
            None => None,
            Some(cursor) => {
                let position = keys.get().await?.open_cursor(&context, cursor);
                Some(position.and_then(|position| position.parse().ok()).ok_or_else(bad_cursor)?)
            }
        };
        Ok(Self { keys, context, limit, after })
    }

    /// The cursor of the next page, if there is one: `last` is the last entry of this one.
    ///
    /// # Errors
    /// `internal` if the gateway's secret can't be read.
    pub(super) async fn next_cursor(
        &self,
        last: Option<impl ToString>,
        has_more: bool,
    ) -> Result<Option<String>, ApiError> {
        match last {
            Some(last) if has_more => {
                Ok(Some(self.keys.get().await?.seal_cursor(&self.context, &last.to_string())))
            }
            _ => Ok(None),
        }
    }
}

fn bad_cursor() -> ApiError {
    ApiError::invalid("cursor", "the cursor isn't one of this list; begin without a cursor")
}
