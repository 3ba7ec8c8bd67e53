//! Lines of a batch's files.

use std::collections::BTreeMap;

use hearth_domain::BatchEndpoint;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value};

use crate::{ApiError, ErrorCode, json_body::parse_json};

/// Longest `custom_id`, in bytes.
pub const CUSTOM_ID_MAX_BYTES: usize = 512;
/// Characters of a line's `url` that an error quotes.
const QUOTED_MAX_CHARS: usize = 60;

/// Request of a batch: a line of its input.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchLine<T> {
    /// Id of the client's choice, unique in the batch.
    pub custom_id: String,
    /// Always `POST`.
    pub method: String,
    /// Route, that of the batch.
    pub url: String,
    /// Body of the request.
    pub body: T,
}

/// Result of a batch's request: a line of an output or an error file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchResultLine<'a> {
    /// Id of the result.
    pub id: String,
    /// Id of the client's choice.
    pub custom_id: &'a str,
    /// The response, if the request was carried out.
    pub response: Option<BatchLineResponse<'a>>,
    /// The reason why it wasn't.
    pub error: Option<BatchLineError<'a>>,
}

/// Response to a batch's request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchLineResponse<'a> {
    /// HTTP status.
    pub status_code: u16,
    /// Id of the request.
    pub request_id: String,
    /// Body: an answer, or an error.
    pub body: &'a Value,
}

/// Reason why a batch's request wasn't carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchLineError<'a> {
    /// Code: `batch_expired` or `batch_cancelled`.
    pub code: &'a str,
    /// Message.
    pub message: &'a str,
}

impl BatchLine<BTreeMap<String, IgnoredAny>> {
    /// Reads a line of an input without the values of its request, and checks the other fields.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn check(line: &[u8], endpoint: BatchEndpoint) -> Result<String, ApiError> {
        let line: Self = parse_json(line)?;
        if line.method != "POST" {
            return Err(ApiError::invalid("method", "method must be POST"));
        }
        if line.url != endpoint.as_str() {
            let quoted: String = line.url.chars().take(QUOTED_MAX_CHARS).collect();
            let message = format!("url is {quoted:?}, and must be the endpoint of the batch, {endpoint}");
            return Err(ApiError::invalid("url", message));
        }
        check_custom_id(&line.custom_id, "custom_id")?;
        Ok(line.custom_id)
    }
}

impl BatchLine<Map<String, Value>> {
    /// Reads a line of an input that was checked.
    ///
    /// # Errors
    /// `invalid_request` if it was changed since.
    pub fn read(line: &[u8]) -> Result<Self, ApiError> {
        parse_json(line)
    }

    /// The request, to be parsed as the body of its route.
    #[must_use]
    pub fn into_body(self) -> (String, Vec<u8>) {
        let body = serde_json::to_vec(&self.body).unwrap_or_default();
        (self.custom_id, body)
    }
}

/// Checks an id of the client's choice.
///
/// # Errors
/// `invalid_request` if it is empty, too long, or has control characters.
pub fn check_custom_id(id: &str, param: &str) -> Result<(), ApiError> {
    if id.is_empty() || id.len() > CUSTOM_ID_MAX_BYTES || id.contains(char::is_control) {
        let message =
            format!("{param} must have 1 to {CUSTOM_ID_MAX_BYTES} bytes, and no control characters");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message).at(param));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn line_is_checked_field_by_field() {
        let check = |line: &str| BatchLine::check(line.as_bytes(), BatchEndpoint::Embeddings);
        let line = |change: Value| {
            let mut line = json!({
                "custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"},
            });
            line.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            line.to_string()
        };
        assert_eq!(check(&line(json!({}))).unwrap(), "a");
        for (change, param) in [
            (json!({"custom_id": ""}), "custom_id"),
            (json!({"custom_id": "a\nb"}), "custom_id"),
            (json!({"custom_id": 7}), "custom_id"),
            (json!({"method": "GET"}), "method"),
            (json!({"url": "/v1/responses"}), "url"),
            (json!({"body": "text"}), "body"),
            (json!({"extra": 1}), "extra"),
        ] {
            assert_eq!(check(&line(change)).unwrap_err().param.as_deref(), Some(param));
        }
        assert_eq!(check("{\"method\": \"POST\"}").unwrap_err().param.as_deref(), Some("custom_id"));
        assert!(check("not json").unwrap_err().message.contains("JSON"));
        assert!(check("[]").unwrap_err().message.contains("object"));
    }

    #[test]
    fn body_of_a_line_is_that_of_its_route() {
        let line =
            br#"{"custom_id":"a","method":"POST","url":"/v1/x","body":{"b":[1.50,"\u00e9"],"a":null}}"#;
        let (id, body) = BatchLine::read(line).unwrap().into_body();
        assert_eq!(
            (id.as_str(), String::from_utf8(body).unwrap().as_str()),
            ("a", "{\"b\":[1.5,\"é\"],\"a\":null}")
        );
    }
}
