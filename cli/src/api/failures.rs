//! Failures in the OpenAPI document: the statuses of each route, with their error codes.

use std::collections::BTreeMap;

use hearth_wire::ErrorCode;
use utoipa::openapi::{
    Content, PathItem, Ref, RefOr, ResponseBuilder,
    path::{Operation, ParameterIn},
};

use ErrorCode::{
    ContextLengthExceeded, Forbidden, GatewayStopped, Internal, InvalidRequest, IssuerUnavailable,
    ModelLoadFailed, ModelNotFound, NoModelAvailable, NodeLost, NodeOffline, NotCached, NotFound, Overloaded,
    PayloadTooLarge, ProviderAuth, ProviderError, ProviderRateLimited, ProviderTimeout, QueueFull,
    QuotaExceeded, RateLimited, RequestTimeout, RunTimeout, Unauthorized, UnsupportedMediaType,
};

/// Codes of every route that needs a token.
const GUARDED: [ErrorCode; 4] = [Unauthorized, Forbidden, Internal, IssuerUnavailable];
/// Codes of a route with a body.
const BODY: [ErrorCode; 5] =
    [InvalidRequest, RequestTimeout, PayloadTooLarge, UnsupportedMediaType, Overloaded];
/// Codes of a route that runs a model. The code of a cancelled run is left out, since its client is gone.
const RUN: [ErrorCode; 16] = [
    ContextLengthExceeded,
    ModelNotFound,
    RateLimited,
    QuotaExceeded,
    QueueFull,
    ProviderRateLimited,
    ProviderError,
    ProviderAuth,
    NoModelAvailable,
    NodeOffline,
    NodeLost,
    GatewayStopped,
    ModelLoadFailed,
    NotCached,
    ProviderTimeout,
    RunTimeout,
];

/// Operations of sessions that run a model.
const TURNS: [&str; 2] = ["generate_in_session", "regenerate_in_session"];

/// Adds the failures of a path's routes, except those that a route documents itself.
pub(super) fn document(path: &mut PathItem) {
    let operations = [&mut path.get, &mut path.put, &mut path.patch, &mut path.delete];
    operations.into_iter().flatten().for_each(|operation| add(operation, false));
    if let Some(operation) = &mut path.post {
        add(operation, true);
    }
}

fn add(operation: &mut Operation, is_post: bool) {
    let mut by_status = BTreeMap::<u16, Vec<&str>>::new();
    for code in codes(operation, is_post) {
        let names = by_status.entry(code.status()).or_default();
        if !names.contains(&code.as_str()) {
            names.push(code.as_str());
        }
    }
    let responses = &mut operation.responses.responses;
    let is_documented = |status: u16| {
        let range = format!("{}XX", status / 100);
        responses.contains_key(&status.to_string()) || responses.contains_key(&range)
    };
    let missing: Vec<_> = by_status.into_iter().filter(|(status, _)| !is_documented(*status)).collect();
    for (status, names) in missing {
        let codes = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let error = Content::builder().schema(Some(Ref::from_schema_name("ErrorEnvelope"))).build();
        let response = ResponseBuilder::new().description(codes).content("application/json", error);
        responses.insert(status.to_string(), response.build().into());
    }
}

fn codes(operation: &Operation, is_post: bool) -> Vec<ErrorCode> {
    let is_open = operation.security.as_ref().is_none_or(Vec::is_empty);
    let mut codes = if is_open { Vec::new() } else { GUARDED.to_vec() };
    let has = |place: &ParameterIn| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == *place))
    };
    let tags = operation.tags.iter().flatten().map(String::as_str);
    let tags: Vec<&str> = tags.collect();
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let is_of = |names: &[&str]| tags.iter().any(|tag| names.contains(tag));
    let runs_model = is_post && (is_of(&["generate", "compatible"]) || TURNS.contains(&id));
    if operation.request_body.is_some() {
        codes.extend(BODY);
        codes.push(Internal);
    }
    if has(&ParameterIn::Query) {
        codes.push(InvalidRequest);
    }
    if has(&ParameterIn::Path) {
        codes.push(NotFound);
    }
    if runs_model {
        codes.extend(RUN);
    }
    // What is stored has a quota.
    if operation.request_body.is_some() && is_of(&["sessions"]) {
        codes.push(QuotaExceeded);
    }
    codes
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn each_status_has_its_codes() {
        let document: Value = serde_json::from_str(&crate::api::document().unwrap()).unwrap();
        let responses = |method: &str, path: &str| document["paths"][path][method]["responses"].clone();
        let chat = responses("post", "/v1/chat/completions");
        for status in ["400", "401", "403", "404", "408", "413", "415", "429", "500", "502", "503", "504"] {
            assert!(chat[status]["description"].is_string(), "{status}: {chat}");
        }
        assert!(chat["429"]["description"].as_str().unwrap().contains("`queue_full`"), "{chat}");
        assert!(chat.get("4XX").is_none(), "{chat}");
        let tokens = responses("get", "/v1/users/tokens");
        assert!(tokens.get("401").is_some() && tokens.get("429").is_none(), "{tokens}");
        assert!(responses("get", "/health").get("401").is_none());
        let login = responses("post", "/v1/users/login");
        for status in ["408", "413", "415", "500"] {
            assert!(login[status]["description"].is_string(), "{status}: {login}");
        }
    }
}
