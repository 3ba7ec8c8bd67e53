//! Pages of the list of models.

use hearth_domain::{Modality, UserId};
use hearth_wire::{
    ApiError,
    native::models::{ModelBody, ModelQuery, place},
};

use crate::keys::GatewayKeys;

const DEFAULT_PAGE_COUNT: u32 = 50;
const PAGE_MAX_COUNT: u32 = 200;

/// A page of models.
#[derive(Debug, Clone)]
pub struct ModelPage {
    /// The models, local ones first.
    pub models: Vec<ModelBody>,
    /// The cursor of the next page.
    pub next_cursor: Option<String>,
}

/// The page of a user's query, from the list that `select` returns.
///
/// # Errors
/// `invalid_request` for a bad limit or cursor; those of `select`.
pub(super) async fn page_of(
    user: UserId,
    query: &ModelQuery,
    keys: &GatewayKeys,
    select: impl Future<Output = Result<Vec<ModelBody>, ApiError>>,
) -> Result<ModelPage, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_COUNT);
    if !(1..=PAGE_MAX_COUNT).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("limit must be 1 to {PAGE_MAX_COUNT}")));
    }
    let filter = (query.modality.map(Modality::as_str), query.provider.as_deref(), query.status);
    let context = format!("{user}|models|{filter:?}");
    let after = match &query.cursor {
        Some(cursor) => Some(keys.get().await?.open_cursor(&context, cursor).ok_or_else(bad_cursor)?),
        None => None,
    };
    let mut models = select.await?;
    models.retain(|model| after.as_deref().is_none_or(|after| place(&model.id) > place(after)));
    let has_more = models.len() > limit as usize;
    models.truncate(limit as usize);
    let next_cursor = match models.last() {
        Some(last) if has_more => Some(keys.get().await?.seal_cursor(&context, &last.id)),
        _ => None,
    };
    Ok(ModelPage { models, next_cursor })
}

fn bad_cursor() -> ApiError {
    ApiError::invalid("cursor", "the cursor isn't one of this list; begin without a cursor")
}
