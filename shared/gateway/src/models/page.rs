//! Pages of the list of models.

use std::cmp::Ordering;

use hearth_domain::{Modality, Owner};
use hearth_wire::{
    ApiError,
    native::models::{ModelBody, ModelQuery, ModelSort, place},
};

use crate::{keys::GatewayKeys, pager::Pager};

const SEARCH_MAX_CHARS: usize = 200;

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
    owner: Owner,
    query: &ModelQuery,
    keys: &GatewayKeys,
    select: impl Future<Output = Result<Vec<ModelBody>, ApiError>>,
) -> Result<ModelPage, ApiError> {
    if query.search.as_ref().is_some_and(|search| search.chars().count() > SEARCH_MAX_CHARS) {
        let message = format!("search must have at most {SEARCH_MAX_CHARS} characters");
        return Err(ApiError::invalid("search", message));
    }
    let sort = query.sort.unwrap_or_default();
    let further = (query.search.as_deref(), query.capability, query.source, sort);
    let filter = (query.modality.map(Modality::as_str), query.provider.as_deref(), query.status, further);
    let pager = Pager::new(keys, owner, &format!("models|{filter:?}"), query.limit)?;
    let after: Option<String> = pager.open(query.cursor.as_deref()).await?;
    let after = after.as_deref().map(|after| after.split_once('\n').unwrap_or(("", after)));
    let mut models = select.await?;
    models.sort_by(|a, b| compare(sort, (&key_of(sort, a), &a.id), (&key_of(sort, b), &b.id)));
    models.retain(|model| {
        let position = key_of(sort, model);
        after.is_none_or(|after| compare(sort, (&position, &model.id), after).is_gt())
    });
    let has_more = models.len() > pager.limit as usize;
    models.truncate(pager.limit as usize);
    let last = models.last().filter(|_| has_more);
    let next_cursor = pager.seal(last.map(|last| format!("{}\n{}", key_of(sort, last), last.id))).await?;
    Ok(ModelPage { models, next_cursor })
}

/// The part of a model that an order compares before the id, as text that sorts.
fn key_of(sort: ModelSort, model: &ModelBody) -> String {
    match sort {
        ModelSort::Id => String::new(),
        ModelSort::Name => model.name.to_lowercase().replace('\n', " "),
        ModelSort::Created | ModelSort::Newest => format!("{:020}", model.created.max(0)),
        ModelSort::Size | ModelSort::Largest => format!("{:020}", model.size_bytes.unwrap_or(0)),
        ModelSort::Context | ModelSort::LongestContext => {
            format!("{:020}", model.context_length.unwrap_or(0))
        }
    }
}

fn compare(sort: ModelSort, (key, id): (&str, &str), (other_key, other_id): (&str, &str)) -> Ordering {
    let by_key = match sort {
        ModelSort::Newest | ModelSort::Largest | ModelSort::LongestContext => other_key.cmp(key),
        _ => key.cmp(other_key),
    };
    by_key.then_with(|| place(id).cmp(&place(other_id)))
}
