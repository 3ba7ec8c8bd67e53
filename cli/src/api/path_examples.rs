//! Examples of the ids in paths. Without one Swagger UI asks for an id whose form its reader has to guess.

use hearth_domain::{
    AccessKeyId, ArtifactId, BatchId, CredentialId, ErasureId, EventId, FileId, InviteId, JobId, LoginId,
    MessageBatchId, NodeCallId, NodeId, OrganisationId, RunId, SessionId, SessionMessageId, TeamId, TokenId,
    UserId, WebhookId,
};
use serde_json::{Value, json};
use utoipa::openapi::{
    PathItem, RefOr,
    path::{Parameter, ParameterBuilder, ParameterIn},
};

/// The part of an id behind its prefix.
const ULID: &str = "01J9ZX5V2QH8N4T6W0C3M7K1RB";

/// Adds an example to each parameter of a path, except those that a route documents itself.
pub(super) fn document(path: &str, item: &mut PathItem) {
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
    for operation in operations.into_iter().flatten() {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter
                && parameter.parameter_in == ParameterIn::Path
                && !has_example(parameter)
                && let Some(example) = example(path, &parameter.name)
            {
                *parameter = ParameterBuilder::from(parameter.clone()).example(Some(example)).build();
            }
        }
    }
}

/// The field itself is private.
fn has_example(parameter: &Parameter) -> bool {
    serde_json::to_value(parameter).is_ok_and(|parameter| parameter.get("example").is_some())
}

/// An example of the parameter, by the segment of the path before it.
fn example(path: &str, name: &str) -> Option<Value> {
    let (before, _) = path.split_once(&format!("/{{{name}}}"))?;
    let prefix = match before.rsplit('/').next()? {
        "access-keys" => AccessKeyId::PREFIX,
        "artifacts" => ArtifactId::PREFIX,
        "batches" if path.starts_with("/v1/messages/") => MessageBatchId::PREFIX,
        "batches" => BatchId::PREFIX,
        "calls" => NodeCallId::PREFIX,
        "conversations" | "sessions" => SessionId::PREFIX,
        "deliveries" => EventId::PREFIX,
        "erasures" => ErasureId::PREFIX,
        "files" | "uploads" => FileId::PREFIX,
        "invites" => InviteId::PREFIX,
        "items" | "messages" => SessionMessageId::PREFIX,
        "jobs" => JobId::PREFIX,
        "logins" => LoginId::PREFIX,
        // Limits, whose kind is a user in its own example.
        "members" | "users" | "{kind}" => UserId::PREFIX,
        "nodes" => NodeId::PREFIX,
        "organisations" => OrganisationId::PREFIX,
        "provider-keys" => CredentialId::PREFIX,
        "requests" | "responses" | "runs" => RunId::PREFIX,
        "teams" => TeamId::PREFIX,
        "tokens" => TokenId::PREFIX,
        "webhooks" => WebhookId::PREFIX,
        "branches" => return Some(json!("shorter")),
        "docs" => return Some(json!("swagger-ui.css")),
        "job-pauses" => return Some(json!("batch")),
        "models" => return Some(json!("tiny-chat")),
        "providers" => return Some(json!("openai")),
        "versions" => return Some(json!(1)),
        _ => return None,
    };
    Some(json!(format!("{prefix}{ULID}")))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_path_parameter_has_an_example() {
        let document: Value = serde_json::from_str(&crate::api::document().unwrap()).unwrap();
        let mut missing = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let of_path = parameters.filter(|parameter| parameter["in"] == "path");
                missing.extend(of_path.filter(|parameter| parameter.get("example").is_none()).map(
                    |parameter| {
                        format!("{method} {path}: {}", parameter["name"].as_str().unwrap_or_default())
                    },
                ));
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
        let example = |method: &str, path: &str, at: usize| {
            document["paths"][path][method]["parameters"][at]["example"].clone()
        };
        assert_eq!(example("get", "/v1/requests/{id}", 0), "req_01J9ZX5V2QH8N4T6W0C3M7K1RB");
        // That of the route itself.
        assert_eq!(example("get", "/v1/schemas/{id}", 0), "invoice");
    }
}
