//! Parts of an answer that only clients of the provider's dialect get: citations, and the results of tools that the provider
//! ran.
//!
//! They are the provider's JSON, unchanged. A renderer of another dialect leaves them out.

use std::borrow::Cow;

use hearth_domain::ClientDialect;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AdditionalProperties, AnyOfBuilder, ObjectBuilder, Schema, Type},
    },
};

/// Largest extension in a record, by [`Extension::bytes`]: an item of DynamoDB has at most 400 KB.
const STORED_MAX_BYTES: usize = 192 << 10;

/// Extension of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension {
    /// A further block of text begins: Anthropic's `text`, or an `output_text` of the responses API. The first block, and one
    /// after another part of the answer, begins without it.
    TextBlock,
    /// Phase of the open text, or of the one that begins: `commentary` or `final_answer` of a message of the responses API.
    Phase(String),
    /// Citation of the open text block: an entry of Anthropic's `citations`, or of OpenAI's `annotations`.
    Annotation(Value),
    /// Whole block of Anthropic's `content`, item of a response's `output`, or part of Gemini's `content`, that is neither
    /// text, reasoning nor a call of the client's tool.
    Item(Value),
    /// Fields of the answer itself: of Anthropic's message, of a chat's message, or of Gemini's candidate. Later fields replace
    /// earlier ones.
    Fields(Map<String, Value>),
}

/// Extension of an answer, and the dialect that has it.
#[derive(Debug, Clone, PartialEq)]
pub struct DialectExtension {
    /// Dialect of the provider.
    pub dialect: ClientDialect,
    /// Extension.
    pub extension: Extension,
}

impl DialectExtension {
    /// Returns whether it is a whole block, item or part.
    pub(crate) fn is_item(&self) -> bool {
        matches!(self.extension, Extension::Item(_))
    }
}

impl Extension {
    /// Returns whether records contain it whole. A larger one, such as a generated picture, only the client gets.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.bytes() <= STORED_MAX_BYTES
    }

    /// Returns the form of it that records contain: itself, or its type, id and state if it is too large.
    #[must_use]
    pub fn stored(&self) -> Cow<'_, Self> {
        if self.is_stored() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(match self {
            Self::TextBlock => Self::TextBlock,
            Self::Phase(_) => Self::Phase(String::new()),
            Self::Annotation(value) => Self::Annotation(placeholder(value)),
            Self::Item(value) => Self::Item(placeholder(value)),
            Self::Fields(_) => Self::Fields(Map::new()),
        })
    }

    /// Returns whether its JSON is nested too deep to be stored.
    #[must_use]
    pub fn is_too_deep(&self) -> bool {
        match self {
            Self::TextBlock | Self::Phase(_) => false,
            Self::Annotation(value) | Self::Item(value) => is_deeper_than(value, MAX_DEPTH),
            Self::Fields(fields) => fields.values().any(|value| is_deeper_than(value, MAX_DEPTH - 1)),
        }
    }

    /// Approximate size in memory in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::TextBlock => VALUE_BYTES,
            Self::Phase(phase) => VALUE_BYTES + phase.len(),
            Self::Annotation(value) | Self::Item(value) => value_bytes(value),
            Self::Fields(fields) => fields_bytes(fields),
        }
    }
}

/// Size in memory of a value without its content, in bytes.
const VALUE_BYTES: usize = size_of::<Value>();
/// Size in memory of an object's field without its name's text and its value: its hash, its name, and its place in the table.
const FIELD_BYTES: usize = 48;
/// Fields in the place of a part that is too large to be stored.
pub(crate) const PLACEHOLDER_FIELDS: [&str; 6] = ["type", "id", "tool_use_id", "status", "arguments", "code"];
/// Longest text in the place of a part that is too large to be stored.
const SHORT_TEXT_MAX_BYTES: usize = 4 << 10;
/// Deepest nesting of a provider's JSON. A record wraps it in further levels, and JSON of more than 127 can't be read.
const MAX_DEPTH: usize = 64;

/// Returns an object in place of one that is too large to be stored: with its type, its id and its state, and the fields that a
/// stream has in events of their own, so that the events of a replay have the same numbers.
fn placeholder(value: &Value) -> Value {
    let short = |name: &str| {
        let text = value.get(name).and_then(Value::as_str)?;
        Some(if text.len() <= SHORT_TEXT_MAX_BYTES { text } else { "" })
    };
    let fields = PLACEHOLDER_FIELDS.into_iter();
    let fields = fields.filter_map(|name| Some((name.to_owned(), Value::from(short(name)?))));
    fields.collect::<Map<_, _>>().into()
}

/// Returns whether objects and lists in one another have more than `depth` levels.
pub(crate) fn is_deeper_than(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(values) => depth == 0 || values.iter().any(|value| is_deeper_than(value, depth - 1)),
        Value::Object(fields) => depth == 0 || fields.values().any(|value| is_deeper_than(value, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Returns the approximate size of a value in memory, in bytes.
#[must_use]
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => VALUE_BYTES,
        Value::String(text) => VALUE_BYTES + text.len(),
        Value::Array(values) => VALUE_BYTES + values.iter().map(value_bytes).sum::<usize>(),
        Value::Object(fields) => fields_bytes(fields),
    }
}

fn fields_bytes(fields: &Map<String, Value>) -> usize {
    let field = |(name, value): (&String, &Value)| FIELD_BYTES + name.len() + value_bytes(value);
    VALUE_BYTES + fields.iter().map(field).sum::<usize>()
}

/// Value of a client dialect's own type, or JSON of the provider that has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Extended<T> {
    /// Value of the dialect's type.
    Standard(T),
    /// The provider's JSON.
    Provider(Map<String, Value>),
}

impl<T> From<T> for Extended<T> {
    fn from(value: T) -> Self {
        Self::Standard(value)
    }
}

impl<T> Extended<T> {
    /// Converts the provider's JSON; `None` if it isn't an object.
    pub(crate) fn of_provider(value: &Value) -> Option<Self> {
        value.as_object().cloned().map(Self::Provider)
    }

    /// The value, unless it is the provider's JSON.
    pub(crate) fn standard_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Standard(value) => Some(value),
            Self::Provider(_) => None,
        }
    }
}

impl<T: ToSchema> PartialSchema for Extended<T> {
    fn schema() -> RefOr<Schema> {
        let provider = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("Of a provider of this dialect: the call or the result of a tool that it ran."))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)));
        AnyOfBuilder::new().item(Ref::from_schema_name(T::name())).item(provider).into()
    }
}

impl<T: ToSchema> ToSchema for Extended<T> {
    fn name() -> Cow<'static, str> {
        format!("Extended{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::RunEventBody;

    #[test]
    fn extension_of_each_type_is_stored_and_read_again() {
        let fields = json!({"groundingMetadata": {"webSearchQueries": ["a"]}});
        let extensions = [
            Extension::TextBlock,
            Extension::Phase("commentary".to_owned()),
            Extension::Annotation(json!({"type": "url_citation", "url": "https://example.org"})),
            Extension::Item(json!({"type": "web_search_call", "id": "ws_1"})),
            Extension::Fields(fields.as_object().unwrap().clone()),
        ];
        for extension in extensions {
            let event = RunEventBody::extension(ClientDialect::Anthropic, extension);
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<RunEventBody>(&json).unwrap(), event, "{json}");
        }
    }

    #[test]
    fn large_item_is_stored_as_its_type_and_id() {
        let picture =
            json!({"type": "image_generation_call", "id": "ig_1", "result": "x".repeat(STORED_MAX_BYTES)});
        let stored = Extension::Item(picture).stored().into_owned();
        assert_eq!(stored, Extension::Item(json!({"type": "image_generation_call", "id": "ig_1"})));
        let small = Extension::Item(json!({"type": "mcp_call", "output": "x"}));
        assert_eq!(small.stored().into_owned(), small);
    }

    #[test]
    fn depth_is_limited() {
        let nested = |levels| (0..levels).fold(json!(1), |value, _| json!([value]));
        assert!(!Extension::Item(nested(MAX_DEPTH)).is_too_deep());
        assert!(Extension::Item(nested(MAX_DEPTH + 1)).is_too_deep());
    }

    #[test]
    fn many_small_values_count_as_what_they_take_in_memory() {
        let value = json!(vec![json!([]); 1000]);
        assert!(Extension::Item(value).bytes() >= 1000 * VALUE_BYTES);
        assert!(Extension::Annotation(json!({"a": "b".repeat(500)})).bytes() > 500);
    }
}
