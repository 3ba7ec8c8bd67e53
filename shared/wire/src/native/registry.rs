//! `POST /v1/models` and `PATCH /v1/models/{id}`: explicit entries of the registry.

use hearth_domain::{
    Capability, Modality, ModelLifecycle, Sampling, WhileLoading, objects_only::ObjectsOnly,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{ApiError, plain_reason};

/// Limit of the bytes of a text other than an id.
const TEXT_MAX_BYTES: usize = 4096;
/// Limit of the characters of a model's id.
const ID_MAX_CHARS: usize = 200;
/// Limit of the number of fallbacks.
const FALLBACKS_MAX_COUNT: usize = 16;
/// Ends of paths below `/v1/models/{id}`, and names beside it, which no id may have.
const RESERVED_ENDS: [&str; 7] = ["load", "unload", "status", "default", "schema", "versions", "pause"];
const RESERVED_IDS: [&str; 4] = ["auto", "loaded", "search", "download"];

/// Explicit entry of the registry: a name of the organisation for a model of a node or a provider. An unknown field is an
/// error that names it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelRegistration {
    /// Id of the entry, as written in `model`. It may have slashes, and no colon.
    #[schema(example = "team/writer")]
    pub id: String,
    /// Model that serves requests: a model of a node, or `provider:model`. Absent: the model with the same id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "tiny-chat")]
    pub target: Option<String>,
    /// Path of a GGUF file on the gateway's machine, in place of `target`. Only for the operator's organisation, where the
    /// gateway has a node in its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Display name. Absent: that of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Modality. Absent: that of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// Capabilities. Absent: those of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["chat", "tools"]))]
    pub capabilities: Option<Vec<Capability>>,
    /// Place from which the model was obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "huggingface:Qwen/Qwen3-0.6B-GGUF")]
    pub source_url: Option<String>,
    /// Version; for a local file its quantization.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Q8_0")]
    pub version: Option<String>,
    /// Maximum tokens of prompt and completion together, for the list and the schema of parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// Parameters of requests that leave them out.
    #[serde(skip_serializing_if = "DefaultParameters::is_empty")]
    pub parameters: DefaultParameters,
    /// Models to try if this one can't serve a request, in this order; at most 16. They come before those of the settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    /// `fallback` lets the fallbacks serve while the model is being loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "fallback")]
    pub while_loading: Option<WhileLoading>,
    /// True for the organisation's default model of its modality: it serves requests that name none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Life of a local model on the organisation's nodes.
    #[serde(skip_serializing_if = "ModelLifecycle::is_default")]
    pub lifecycle: ModelLifecycle,
}

/// Parameters of requests that leave them out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DefaultParameters {
    /// Temperature, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Maximum number of tokens to generate, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Instructions for a conversation without a system message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Smallest set of likely tokens with this total probability, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Number of the likeliest tokens to choose from; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Smallest probability of a token, relative to the likeliest; 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Factor by which recent tokens become less likely; above 0, at most 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f32>,
}

impl DefaultParameters {
    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The sampling parameters.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            ..Sampling::default()
        }
    }
}

impl ModelRegistration {
    /// Checks the fields by themselves.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn check(&self) -> Result<(), ApiError> {
        check_id(&self.id)?;
        if self.target.is_some() && self.path.is_some() {
            return Err(ApiError::invalid("path", "an entry has a target or a path, not both"));
        }
        if self.path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            return Err(ApiError::invalid("path", "path must be absolute"));
        }
        for (field, text) in [
            ("target", &self.target),
            ("path", &self.path),
            ("name", &self.name),
            ("description", &self.description),
            ("source_url", &self.source_url),
            ("version", &self.version),
            ("parameters.system_prompt", &self.parameters.system_prompt),
        ] {
            check_text(field, text.as_deref())?;
        }
        // A client may show it as a link.
        let is_source = |url: &str| {
            url.starts_with("huggingface:")
                || url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).is_some_and(|rest| {
                    !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
                })
        };
        if self.source_url.as_deref().is_some_and(|url| !is_source(url)) {
            let message = "source_url must begin with https://, http:// or huggingface:";
            return Err(ApiError::invalid("source_url", message));
        }
        if self.fallbacks.len() > FALLBACKS_MAX_COUNT {
            let message = format!("fallbacks must have at most {FALLBACKS_MAX_COUNT} models");
            return Err(ApiError::invalid("fallbacks", message));
        }
        for (index, name) in self.fallbacks.iter().enumerate() {
            let field = format!("fallbacks[{index}]");
            check_text(&field, Some(name))?;
            if *name == self.id {
                return Err(ApiError::invalid(field, "a model can't be its own fallback"));
            }
        }
        if self.context_length == Some(0) {
            return Err(ApiError::invalid("context_length", "context_length must be at least 1"));
        }
        if let Err(problem) = self.parameters.sampling().check() {
            let field = format!("parameters.{}", problem.param);
            return Err(ApiError::invalid(field, problem.to_string()));
        }
        match self.lifecycle.problem() {
            Some((field, range)) => {
                let message = format!("lifecycle.{field} must be {range}");
                Err(ApiError::invalid(format!("lifecycle.{field}"), message))
            }
            None => Ok(()),
        }
    }

    /// This entry with the changes of `patch`, a JSON merge patch (RFC 7396): a field of null is removed.
    ///
    /// # Errors
    /// `invalid_request` for a field that no entry has, or another id.
    pub fn patched(&self, patch: &Value) -> Result<Self, ApiError> {
        let Some(fields) = patch.as_object() else {
            return Err(ApiError::invalid("body", "the body must be an object with the fields to change"));
        };
        if fields.get("id").is_some_and(|id| id.as_str() != Some(&self.id)) {
            return Err(ApiError::invalid(
                "id",
                "the id of an entry can't be changed; register another entry",
            ));
        }
        let mut merged = serde_json::to_value(self).unwrap_or_default();
        merge(&mut merged, patch);
        serde_path_to_error::deserialize(ObjectsOnly(merged)).map_err(|error| {
            let path = error.path().to_string();
            let param = if path == "." { "body".to_owned() } else { path };
            let message = format!("{param}: {}", plain_reason(&error.inner().to_string()));
            ApiError::invalid(param, message)
        })
    }
}

/// Checks the id of an entry.
///
/// # Errors
/// `invalid_request` with the rule that it breaks.
pub fn check_id(id: &str) -> Result<(), ApiError> {
    let segments = || id.split('/');
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@' | '+');
    let problem = if id.is_empty() || id.chars().count() > ID_MAX_CHARS {
        Some("id must have 1 to 200 characters")
    } else if !id.chars().all(is_allowed) {
        Some("id may have letters, digits, and the characters . _ - / @ + only")
    } else if segments().any(|part| part.is_empty() || part == "." || part == "..") {
        Some("id must not begin or end with a slash, or have an empty part, \".\" or \"..\"")
    } else if RESERVED_IDS.contains(&id)
        || segments().next_back().is_some_and(|end| RESERVED_ENDS.contains(&end))
    {
        Some("this id is a name of the API; choose another one")
    } else {
        None
    };
    problem.map_or(Ok(()), |problem| Err(ApiError::invalid("id", problem)))
}

fn check_text(field: &str, text: Option<&str>) -> Result<(), ApiError> {
    let Some(text) = text else { return Ok(()) };
    if text.trim().is_empty() || text.len() > TEXT_MAX_BYTES {
        let message = format!("{field} must have 1 to {TEXT_MAX_BYTES} bytes; leave it out for none");
        return Err(ApiError::invalid(field, message));
    }
    if text.chars().any(|c| c == '\0') {
        return Err(ApiError::invalid(field, format!("{field} must not have null characters")));
    }
    Ok(())
}

/// Merges `patch` into `value` by RFC 7396.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = value else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(json: Value) -> ModelRegistration {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn bad_field_is_named() {
        for (json, field) in [
            (json!({}), "id"),
            (json!({"id": "a:b"}), "id"),
            (json!({"id": "a//b"}), "id"),
            (json!({"id": "../b"}), "id"),
            (json!({"id": "a/load"}), "id"),
            (json!({"id": "loaded"}), "id"),
            (json!({"id": "x".repeat(201)}), "id"),
            (json!({"id": "a", "target": "b", "path": "/c"}), "path"),
            (json!({"id": "a", "path": "c.gguf"}), "path"),
            (json!({"id": "a", "name": " "}), "name"),
            (json!({"id": "a", "description": "x".repeat(5000)}), "description"),
            (json!({"id": "a", "fallbacks": ["a"]}), "fallbacks[0]"),
            (json!({"id": "a", "fallbacks": vec!["b"; 17]}), "fallbacks"),
            (json!({"id": "a", "parameters": {"temperature": 3}}), "parameters.temperature"),
            (json!({"id": "a", "lifecycle": {"slots": 0}}), "lifecycle.slots"),
            (json!({"id": "a", "context_length": 0}), "context_length"),
        ] {
            let error = entry(json.clone()).check().unwrap_err();
            assert_eq!(error.param.as_deref(), Some(field), "{json}: {}", error.message);
        }
        entry(json!({"id": "team/Writer-2.0", "target": "openai:gpt-5.1"})).check().unwrap();
    }

    #[test]
    fn patch_replaces_and_removes_fields() {
        let before =
            entry(json!({"id": "a", "name": "A", "lifecycle": {"pin": true, "slots": 2}, "default": true}));
        let after =
            before.patched(&json!({"name": null, "lifecycle": {"slots": null}, "version": "Q8_0"})).unwrap();
        let expected = json!({"id": "a", "lifecycle": {"pin": true}, "default": true, "version": "Q8_0"});
        assert_eq!(after, entry(expected));
        for (patch, field) in [
            (json!({"id": "b"}), "id"),
            (json!({"colour": "red"}), "colour"),
            (json!({"lifecycle": {"slots": "two"}}), "lifecycle.slots"),
            (json!({"lifecycle": [true, 2]}), "lifecycle"),
            (json!([]), "body"),
        ] {
            let error = before.patched(&patch).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(field), "{patch}: {}", error.message);
        }
    }
}
