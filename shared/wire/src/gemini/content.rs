//! `Content` and `Part`, of which conversations and answers consist (<https://ai.google.dev/api/caching#Content>).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::proto_json::one_or_many;

/// A message, or a part of a streamed one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct GeminiContent {
    /// `user` (the default) or `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "user")]
    pub role: Option<String>,
    /// Parts, in order.
    #[serde(default, deserialize_with = "one_or_many")]
    pub parts: Vec<GeminiPart>,
}

/// A part of a message: one of `text`, `inlineData`, `fileData`, `functionCall`, `functionResponse`. Another kind of part
/// is passed on to a provider of this dialect, and refused elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiPart {
    /// A text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "What is the capital of France?")]
    pub text: Option<String>,
    /// True if the text is reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
    /// Signature of the reasoning that led to this part, in base64. The client sends it back unchanged in the next turn.
    #[serde(default, alias = "thought_signature", skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
    /// A file.
    #[serde(default, alias = "inline_data", skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<GeminiBlob>,
    /// A file at an address.
    #[serde(default, alias = "file_data", skip_serializing_if = "Option::is_none")]
    pub file_data: Option<GeminiFile>,
    /// A function call.
    #[serde(default, alias = "function_call", skip_serializing_if = "Option::is_none")]
    pub function_call: Option<GeminiFunctionCall>,
    /// The result of a function call.
    #[serde(default, alias = "function_response", skip_serializing_if = "Option::is_none")]
    pub function_response: Option<GeminiFunctionResponse>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A file in the request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiBlob {
    /// Media type, such as `image/png` or `application/pdf`.
    #[serde(default, alias = "mime_type")]
    #[schema(example = "image/png")]
    pub mime_type: String,
    /// The file, in base64.
    pub data: String,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A file at an address.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiFile {
    /// Media type, such as `image/png` or `application/pdf`.
    #[serde(default, alias = "mime_type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "image/png")]
    pub mime_type: Option<String>,
    /// The address.
    #[serde(alias = "file_uri")]
    #[schema(example = "https://example.org/a.png")]
    pub file_uri: String,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A function call.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct GeminiFunctionCall {
    /// Id of the call; its result has the same. Absent: results are matched by name and order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function's name.
    #[schema(example = "get_weather")]
    pub name: String,
    /// The arguments.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub args: Option<Map<String, Value>>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// The result of a function call.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct GeminiFunctionResponse {
    /// Id of the call. Absent: the first call of this function that has no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function's name.
    #[schema(example = "get_weather")]
    pub name: String,
    /// The result; `{"error": ...}` if the function failed.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub response: Option<Map<String, Value>>,
    /// Images that belong to the result.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub parts: Vec<GeminiPart>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl GeminiPart {
    /// Creates a text part.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Reads a part of a provider of this dialect; `None` if it isn't one.
    pub(super) fn of_provider(part: &Value) -> Option<Self> {
        Self::deserialize(part).ok()
    }

    /// Creates a reasoning part.
    pub(super) fn thought(text: impl Into<String>) -> Self {
        Self { thought: Some(true), ..Self::text(text) }
    }

    /// Sets the signature.
    pub(super) fn with_signature(self, thought_signature: Option<String>) -> Self {
        Self { thought_signature, ..self }
    }

    pub(super) fn is_thought(&self) -> bool {
        self.thought == Some(true)
    }
}

impl GeminiContent {
    /// Creates content of the model.
    pub(super) fn of_model(parts: Vec<GeminiPart>) -> Self {
        Self { role: Some("model".to_owned()), parts }
    }
}
