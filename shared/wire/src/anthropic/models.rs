//! `GET /v1/models` in Anthropic's format (<https://platform.claude.com/docs/en/api/models-list>).

use hearth_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    ApiError,
    native::models::{ModelBody, ModelList, place},
};

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 1000;

/// A list of models, in the format of the client.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ModelListOrPage {
    /// The list of native clients and OpenAI's.
    List(ModelList),
    /// The page of Anthropic's clients, which send `anthropic-version`.
    Page(ModelPage),
}

/// A model, in the format of the client.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ModelBodyOrInfo {
    /// The model of native clients and OpenAI's.
    Body(Box<ModelBody>),
    /// The model of Anthropic's clients, which send `anthropic-version`.
    Info(ModelInfo),
}

/// A model in Anthropic's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelInfo {
    /// Always `model`.
    #[serde(rename = "type")]
    #[schema(example = "model")]
    pub kind: String,
    /// The id, for the field `model`.
    pub id: String,
    /// Display name, unique in the list.
    pub display_name: String,
    /// Creation time, ISO 8601; 1970 if unknown.
    pub created_at: String,
}

/// A page of models in Anthropic's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelPage {
    /// The models: those of nodes before those of providers, sorted by id.
    pub data: Vec<ModelInfo>,
    /// True if more models follow; with `before_id`, if more models precede.
    pub has_more: bool,
    /// Id of the first model.
    pub first_id: Option<String>,
    /// Id of the last model.
    pub last_id: Option<String>,
}

/// Pagination in Anthropic's dialect.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ModelPageQuery {
    /// Only models after the one with this id; with `anthropic-version`.
    pub after_id: Option<String>,
    /// Only models before the one with this id; with `anthropic-version`.
    pub before_id: Option<String>,
}

impl From<ModelBody> for ModelInfo {
    fn from(model: ModelBody) -> Self {
        Self {
            kind: "model".to_owned(),
            id: model.id,
            display_name: model.name,
            created_at: Timestamp::from_unix(model.created).to_string(),
        }
    }
}

impl ModelPage {
    /// Selects a page of `models`, which are sorted. `limit` is 1 to 1000, and 20 if absent.
    ///
    /// # Errors
    /// `invalid_request` for another limit, and for both `after_id` and `before_id`.
    pub fn of(
        mut models: Vec<ModelBody>,
        query: &ModelPageQuery,
        limit: Option<u32>,
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::invalid("limit", format!("limit must be 1 to {MAX_LIMIT}")));
        }
        if query.after_id.is_some() && query.before_id.is_some() {
            return Err(ApiError::invalid("before_id", "send after_id or before_id, not both"));
        }
        models.retain(|model| {
            query.after_id.as_deref().is_none_or(|after| place(&model.id) > place(after))
                && query.before_id.as_deref().is_none_or(|before| place(&model.id) < place(before))
        });
        let over = models.len().saturating_sub(limit as usize);
        if query.before_id.is_some() {
            models.drain(..over);
        } else {
            models.truncate(limit as usize);
        }
        let id = |model: Option<&ModelBody>| model.map(|model| model.id.clone());
        let (first_id, last_id) = (id(models.first()), id(models.last()));
        Ok(Self { data: models.into_iter().map(Into::into).collect(), has_more: over > 0, first_id, last_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::models::Availability;

    fn model(name: &str) -> ModelBody {
        ModelBody::offered(
            "p",
            name,
            hearth_domain::ModelInfo::default(),
            Availability::Available,
            Some(1_747_872_000),
        )
    }

    fn page(after: Option<&str>, before: Option<&str>, limit: u32) -> Result<(String, bool), ApiError> {
        let id = |name: Option<&str>| name.map(|name| format!("p:{name}"));
        let query = ModelPageQuery { after_id: id(after), before_id: id(before) };
        let models = ["a", "b", "c", "d", "e"].map(model).to_vec();
        let page = ModelPage::of(models, &query, Some(limit))?;
        assert_eq!(page.first_id, page.data.first().map(|model| model.id.clone()));
        assert_eq!(page.last_id, page.data.last().map(|model| model.id.clone()));
        Ok((page.data.iter().map(|model| model.id.trim_start_matches("p:")).collect(), page.has_more))
    }

    #[test]
    fn pages_go_both_ways() {
        assert_eq!(page(None, None, 2).unwrap(), ("ab".into(), true));
        assert_eq!(page(Some("b"), None, 2).unwrap(), ("cd".into(), true));
        assert_eq!(page(Some("d"), None, 2).unwrap(), ("e".into(), false));
        assert_eq!(page(None, Some("d"), 2).unwrap(), ("bc".into(), true));
        assert_eq!(page(None, Some("b"), 2).unwrap(), ("a".into(), false));
        assert_eq!(page(Some("e"), None, 2).unwrap(), (String::new(), false));
        assert_eq!(page(None, None, 0).unwrap_err().param.as_deref(), Some("limit"));
        assert_eq!(page(Some("a"), Some("c"), 9).unwrap_err().param.as_deref(), Some("before_id"));
    }

    #[test]
    fn model_has_the_fields_of_the_sdk() {
        let expected = serde_json::json!({
            "type": "model", "id": "p:m", "display_name": "m (p)", "created_at": "2025-05-22T00:00:00.000Z",
        });
        assert_eq!(serde_json::to_value(ModelInfo::from(model("m"))).unwrap(), expected);
    }
}
