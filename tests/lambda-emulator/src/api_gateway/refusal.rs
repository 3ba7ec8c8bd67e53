//! Responses of API Gateway itself, by the template's `GatewayResponses`.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use serde_json::Value;

/// Reason for a response without the function's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No resource or method matches.
    NoRoute,
    /// The body or the event is too large.
    RequestTooLarge,
    /// The function didn't respond in time.
    Timeout,
    /// The function failed, or its response is invalid; with the cause, for the test's output.
    Integration(String),
}

/// Property `GatewayResponses` of the API.
#[derive(Debug)]
pub(crate) struct Refusals(Value);

impl Refusal {
    /// Name of the response type, and API Gateway's status for it.
    fn kind(&self) -> (&'static str, StatusCode) {
        match self {
            Self::NoRoute => ("MISSING_AUTHENTICATION_TOKEN", StatusCode::FORBIDDEN),
            Self::RequestTooLarge => ("REQUEST_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Timeout => ("INTEGRATION_TIMEOUT", StatusCode::GATEWAY_TIMEOUT),
            Self::Integration(_) => ("INTEGRATION_FAILURE", StatusCode::BAD_GATEWAY),
        }
    }
}

impl Refusals {
    pub(crate) fn of_template(value: &Value) -> Self {
        Self(value.clone())
    }

    pub(crate) fn response(&self, refusal: &Refusal, request_id: &str) -> Response {
        let (kind, mut status) = refusal.kind();
        let default = if status.is_server_error() { "DEFAULT_5XX" } else { "DEFAULT_4XX" };
        let own = &self.0[kind];
        let settings = if own.is_null() { &self.0[default] } else { own };
        if let Some(code) = code(&settings["StatusCode"]) {
            status = code;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        for (name, value) in settings["ResponseParameters"]["Headers"].as_object().into_iter().flatten() {
            let text = match value.as_str().unwrap_or_default() {
                "context.requestId" => request_id.to_owned(),
                literal => literal.trim_matches('\'').to_owned(),
            };
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), text.parse::<HeaderValue>()) {
                response.headers_mut().insert(name, value);
            }
        }
        let template = settings["ResponseTemplates"]["application/json"].as_str();
        let body = template.unwrap_or(r#"{"message":"refused"}"#).replace("$context.requestId", request_id);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = body.into();
        if let Refusal::Integration(cause) = refusal {
            // In AWS it is in the execution log alone; a failed test shows the extension.
            response.extensions_mut().insert(cause.clone());
        }
        response
    }
}

fn code(value: &Value) -> Option<StatusCode> {
    let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
    let code = code.or_else(|| value.as_str()?.parse().ok())?;
    StatusCode::from_u16(code).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusal_has_the_status_and_headers_of_the_template() {
        let refusals = Refusals::of_template(&json!({
            "DEFAULT_5XX": {"ResponseTemplates": {"application/json": "{\"id\":\"$context.requestId\"}"}},
            "MISSING_AUTHENTICATION_TOKEN": {"StatusCode": "404", "ResponseParameters": {"Headers": {
                "X-Request-Id": "context.requestId", "Access-Control-Allow-Origin": "'*'"}}},
        }));
        let response = refusals.response(&Refusal::NoRoute, "r1");
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["x-request-id"], "r1");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(refusals.response(&Refusal::Integration(String::new()), "r1").status(), 502);
        assert_eq!(refusals.response(&Refusal::Timeout, "r1").status(), 504);
    }
}
