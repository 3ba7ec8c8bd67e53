//! Pages of the lists of sessions and messages, with signed cursors.

use hearth_domain::Owner;
use hearth_wire::ApiError;

use crate::keys::GatewayKeys;

const DEFAULT_PAGE_COUNT: u32 = 50;
const PAGE_MAX_COUNT: u32 = 200;

/// The pages of a list of a caller, for whom alone its cursors are valid.
pub(super) struct SessionPages<'a> {
    keys: &'a GatewayKeys,
    context: String,
    /// The maximum number of entries of a page.
    pub(super) limit: u32,
}

impl<'a> SessionPages<'a> {
    /// The pages of `list`, which names the list and its filter.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit.
    pub(super) fn new(
        keys: &'a GatewayKeys,
        owner: Owner,
        list: &str,
        limit: Option<u32>,
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(DEFAULT_PAGE_COUNT);
        if !(1..=PAGE_MAX_COUNT).contains(&limit) {
            return Err(ApiError::invalid("limit", format!("limit must be 1 to {PAGE_MAX_COUNT}")));
        }
        Ok(Self { keys, context: format!("{}|{}|{list}", owner.user, owner.organisation), limit })
    }

    /// The position in a cursor.
    ///
    /// # Errors
    /// `invalid_request` if it isn't a cursor of this list.
    pub(super) async fn open(&self, cursor: Option<&str>) -> Result<Option<String>, ApiError> {
        let Some(cursor) = cursor else { return Ok(None) };
        let position = self.keys.get().await?.open_cursor(&self.context, cursor);
        position.map(Some).ok_or_else(bad_cursor)
    }

    /// The cursor for a position.
    ///
    /// # Errors
    /// `internal` if the gateway's secret can't be read.
    pub(super) async fn seal(&self, position: Option<String>) -> Result<Option<String>, ApiError> {
        let Some(position) = position else { return Ok(None) };
        Ok(Some(self.keys.get().await?.seal_cursor(&self.context, &position)))
    }
}

pub(super) fn bad_cursor() -> ApiError {
    ApiError::invalid("cursor", "the cursor isn't one of this list; begin without a cursor")
}
