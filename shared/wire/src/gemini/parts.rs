//! The pieces of a conversation, as they are sent and answered: `Content` and `Part`
//! (<https://ai.google.dev/api/caching#Content>).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::proto_json::one_or_many;

/// What one side says in a turn.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct GeminiContent {
    /// `user` or `model`; absent: the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "user")]
    pub role: Option<String>,
    /// Its pieces, in order.
    #[serde(default, deserialize_with = "one_or_many")]
    pub parts: Vec<GeminiPart>,
}

/// A piece of a turn: one of `text`, `inlineData`, `fileData`, `functionCall`, `functionResponse`. One of another kind is
/// for a provider of this dialect alone.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiPart {
    /// A text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "What is the capital of France?")]
    pub text: Option<String>,
    /// Whether the text is what the model thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
    /// The seal of the thoughts that led to this part, in base64. It goes back with the next turn, as it is.
    #[serde(default, alias = "thought_signature", skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
    /// A file.
    #[serde(default, alias = "inline_data", skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<GeminiBlob>,
    /// A file's address.
    #[serde(default, alias = "file_data", skip_serializing_if = "Option::is_none")]
    pub file_data: Option<GeminiFile>,
    /// A call of a function.
    #[serde(default, alias = "function_call", skip_serializing_if = "Option::is_none")]
    pub function_call: Option<GeminiFunctionCall>,
    /// The result of a call.
    #[serde(default, alias = "function_response", skip_serializing_if = "Option::is_none")]
    pub function_response: Option<GeminiFunctionResponse>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A file in a part.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiBlob {
    /// Such as `image/png` or `application/pdf`.
    #[serde(default, alias = "mime_type")]
    #[schema(example = "image/png")]
    pub mime_type: String,
    /// The file, in base64.
    pub data: String,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A file at an address.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiFile {
    /// Such as `image/png` or `application/pdf`.
    #[serde(default, alias = "mime_type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "image/png")]
    pub mime_type: Option<String>,
    /// The address.
    #[serde(alias = "file_uri")]
    #[schema(example = "https://example.org/a.png")]
    pub file_uri: String,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A call of a function.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct GeminiFunctionCall {
    /// The id under which its result is sent back. Absent: results are matched by name and order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function's name.
    #[schema(example = "get_weather")]
    pub name: String,
    /// The arguments.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub args: Option<Map<String, Value>>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// The result of a call.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct GeminiFunctionResponse {
    /// The id of the call. Absent: the first call of this name that has no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function's name.
    #[schema(example = "get_weather")]
    pub name: String,
    /// The result, an object; `{"error": ...}` if the function failed.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub response: Option<Map<String, Value>>,
    /// Images that belong to the result.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub parts: Vec<GeminiPart>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl GeminiPart {
    /// A part that is a text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// A part that is a thought.
    pub(super) fn thought(text: impl Into<String>) -> Self {
        Self { thought: Some(true), ..Self::text(text) }
    }

    /// The same part with a seal.
    pub(super) fn sealed(self, thought_signature: Option<String>) -> Self {
        Self { thought_signature, ..self }
    }

    pub(super) fn is_thought(&self) -> bool {
        self.thought == Some(true)
    }
}

impl GeminiContent {
    /// What the model says.
    pub(super) fn of_model(parts: Vec<GeminiPart>) -> Self {
        Self { role: Some("model".to_owned()), parts }
    }
}
