//! `/v1/conversations` (<https://platform.openai.com/docs/api-reference/conversations>): a conversation is a session.

use std::collections::BTreeMap;

use hearth_domain::Session;
use serde::{Deserialize, Deserializer, Serialize, de::MapAccess};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::InputItem;
use crate::{
    ApiError, ErrorCode,
    forms::{self, Forms},
};

/// The conversation of a request: its id, or an object with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ConversationParam {
    /// The id.
    Id(String),
    /// An object with the id.
    Object(ConversationReference),
}

impl<'de> Forms<'de> for ConversationParam {
    const EXPECTED: &'static str = "a conversation's id, or an object with it";

    fn from_text(id: String) -> Result<Self, String> {
        Ok(Self::Id(id))
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        forms::object(fields).map(Self::Object)
    }
}

impl<'de> Deserialize<'de> for ConversationParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// A conversation's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationReference {
    /// Id of the conversation.
    pub id: String,
}

impl ConversationParam {
    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(reference) => &reference.id,
        }
    }
}

/// The error for a conversation that isn't stored, or is another user's.
#[must_use]
pub fn conversation_not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no conversation with this id")
}

/// Request to create a conversation.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConversation {
    /// First items, at most 20.
    pub items: Option<Vec<InputItem>>,
    /// Texts of the client's own by their names; at most 16.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Request to replace a conversation's metadata.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateConversation {
    /// Texts of the client's own by their names; at most 16.
    #[schema(value_type = Object)]
    pub metadata: BTreeMap<String, String>,
}

/// Request to add items to a conversation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConversationItems {
    /// The items, at most 20.
    pub items: Vec<InputItem>,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationObject {
    /// Id, which is a session's.
    pub id: String,
    /// Always `conversation`.
    pub object: String,
    /// Creation time, in seconds since 1970.
    pub created_at: i64,
    /// Texts of the client's own by their names.
    #[schema(value_type = Object)]
    pub metadata: BTreeMap<String, String>,
}

impl From<&Session> for ConversationObject {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.to_string(),
            object: "conversation".to_owned(),
            created_at: session.created_at.unix(),
            metadata: session.metadata.clone(),
        }
    }
}

/// Response to the deletion of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedConversation {
    /// Id of the conversation.
    pub id: String,
    /// Always `conversation.deleted`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

impl DeletedConversation {
    /// The response for the conversation `id`.
    #[must_use]
    pub fn new(id: String) -> Self {
        Self { id, object: "conversation.deleted".to_owned(), deleted: true }
    }
}

/// Order of a list of items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ItemOrder {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

/// Options of a list of items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConversationItemsQuery {
    /// Number of items, 1 to 100.
    #[param(example = 20)]
    pub limit: Option<u32>,
    /// `asc` for the oldest first, or `desc`.
    #[serde(default)]
    #[param(value_type = Option<ItemOrder>, inline, example = "desc")]
    pub order: ItemOrder,
    /// Id of the item after which the page begins.
    pub after: Option<String>,
}

/// A page of items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConversationItemList {
    /// Always `list`.
    pub object: String,
    /// The items.
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<Value>,
    /// Id of the first item of the page.
    pub first_id: Option<String>,
    /// Id of the last item of the page.
    pub last_id: Option<String>,
    /// True if more items follow.
    pub has_more: bool,
}

impl ConversationItemList {
    /// A page with these items.
    #[must_use]
    pub fn new(data: Vec<Value>, has_more: bool) -> Self {
        let id = |item: Option<&Value>| item?["id"].as_str().map(str::to_owned);
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        Self { object: "list".to_owned(), data, first_id, last_id, has_more }
    }
}
