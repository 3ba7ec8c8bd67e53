//! Limits for a request's unknown fields, which a provider of the same dialect gets.

use std::io;

use hearth_domain::{ClientDialect, Extra};
use serde_json::{Map, Value};

use crate::ApiError;

/// Maximum bytes of all unknown fields together, as JSON. Options are small; the largest is a text, OpenAI's
/// `prediction`, which contains the file to change.
const UNKNOWN_FIELDS_MAX_BYTES: usize = 1 << 20;
/// Maximum values in them. A value takes hundreds of bytes of memory for two or three bytes of JSON.
const UNKNOWN_FIELDS_MAX_VALUES: usize = 4096;

/// Checks the unknown fields of a request in this dialect.
///
/// # Errors
/// `invalid_request`, naming the largest field, if they are too large.
pub(crate) fn unknown_fields(dialect: ClientDialect, fields: Map<String, Value>) -> Result<Extra, ApiError> {
    let sizes = fields.iter().map(|(name, value)| (name, bytes(value), values(value)));
    let (mut all_bytes, mut all_values, mut largest) = (0, 0, None);
    for (name, bytes, values) in sizes {
        all_bytes += name.len() + bytes;
        all_values += values;
        largest = largest.max(Some((values, bytes, name)));
    }
    if let Some((_, _, name)) = largest
        && (all_bytes > UNKNOWN_FIELDS_MAX_BYTES || all_values > UNKNOWN_FIELDS_MAX_VALUES)
    {
        // The name is the client's, and may be as large as the body.
        let name: String = name.chars().take(100).collect();
        let message = format!(
            "{name} is an unknown field, and too large to send to a provider: such fields \
             may have {UNKNOWN_FIELDS_MAX_BYTES} bytes and {UNKNOWN_FIELDS_MAX_VALUES} values together"
        );
        return Err(ApiError::invalid(name, message));
    }
    Ok(Extra::new(dialect, fields))
}

/// Returns the size of a value as JSON in bytes.
fn bytes(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX / 2, |()| count.0)
}

/// Returns the number of values in a value, including itself.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(fields) => fields.values().map(values).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        anthropic::MessagesRequest,
        openai::{chat::ChatRequest, embeddings::EmbeddingRequest, images::ImageRequest},
    };

    #[test]
    fn every_dialect_refuses_unknown_fields_that_are_too_large() {
        let large = [json!(vec![json!({}); 5000]), json!("x".repeat(2 << 20))];
        for large in large {
            let request = |mut body: Value| {
                body["small"] = json!(1);
                body["x_large"] = large.clone();
                body
            };
            let messages = json!([{"role": "user", "content": "hi"}]);
            let chat = request(json!({"model": "m", "messages": messages}));
            let chat = serde_json::from_value::<ChatRequest>(chat).unwrap().into_generation();
            let claude = request(json!({"model": "m", "messages": messages, "max_tokens": 1}));
            let claude = serde_json::from_value::<MessagesRequest>(claude).unwrap().into_generation();
            let embeddings = request(json!({"model": "m", "input": "hi"}));
            let embeddings =
                serde_json::from_value::<EmbeddingRequest>(embeddings).unwrap().into_generation();
            let images = request(json!({"prompt": "a fox"}));
            let images = serde_json::from_value::<ImageRequest>(images).unwrap().into_generation();
            let responses = request(json!({"model": "m", "input": "hi"}));
            let responses =
                serde_json::from_value::<crate::openai::responses::ResponsesRequest>(responses).unwrap();
            let responses = responses.into_turn(Vec::new()).map(|turn| turn.generation);
            let google = request(json!({"contents": [{"parts": [{"text": "hi"}]}]}));
            let google = serde_json::from_value::<crate::gemini::GenerateContentRequest>(google).unwrap();
            let google = google.into_generation("m".to_owned());
            for answer in [chat, claude, embeddings, images, responses, google] {
                assert_eq!(answer.unwrap_err().param.as_deref(), Some("x_large"));
            }
        }
    }

    #[test]
    fn unknown_fields_of_usual_size_pass() {
        let fields =
            json!({"prediction": {"type": "content", "content": "x".repeat(500_000)}, "store": true});
        let Value::Object(fields) = fields else { panic!("an object") };
        let extra = unknown_fields(ClientDialect::OpenAiChat, fields.clone()).unwrap();
        assert_eq!(extra.fields, fields);
    }
}
