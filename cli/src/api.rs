//! The routes of all functions, merged: at home one process serves them.

mod any_types;
mod failures;
mod integers;
mod parameters;
mod path_examples;
mod schemas;

use anyhow::Result;
use axum::Router;
use hearth_gateway::{Gateway, HttpClients, Options, Routing};
use hearth_http::{AppState, RequestLayer, Routes, body_budget::BodyBudget, serve::finish_with};
use hearth_store::Store;
use utoipa::openapi::{
    InfoBuilder, LicenseBuilder, Server,
    security::{Http, HttpAuthScheme, SecurityScheme},
    tag::{Tag, TagBuilder},
};

fn routes(state: &AppState) -> Routes {
    hearth_fn_generate::routes(state)
        .merge(hearth_fn_models::routes(state))
        .merge(hearth_fn_accounts::routes(state))
        .merge(hearth_fn_nodes::routes(state))
        .merge(hearth_fn_socket::routes(state))
        .merge(hearth_fn_ops::routes(state))
}

/// The router that `hearth up` serves.
pub(crate) fn router(state: AppState, budget: BodyBudget) -> Router {
    let layer = RequestLayer::default().compressing().with_budget(budget);
    finish_with(routes(&state), state, layer)
}

/// The OpenAPI document of all functions, as JSON.
pub(crate) fn document() -> Result<String> {
    // The document needs no store.
    let gateway =
        Gateway::new(Store::unconnected(), HttpClients::new()?, Options::default(), Routing::default());
    let state = AppState { gateway };
    let (_, documentation) = routes(&state).into_parts();
    let mut document = documentation.build();
    document.info = InfoBuilder::new()
        .title("Hearth")
        .version("1")
        .description(Some(
            "Local models and those of commercial providers behind one API: a native dialect, OpenAI's, Anthropic's, Ollama's and Google's.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    // Relative to this document: it may be served below a stage or a proxy's prefix.
    document.servers = Some(vec![Server::new(".")]);
    document.tags = Some(tags());
    for (path, item) in &mut document.paths.paths {
        failures::document(item);
        schemas::refine_bodies(item);
        parameters::refine(item);
        path_examples::document(path, item);
    }
    let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("hth_...");
    let scheme = scheme.description(Some(
        "An API token. `hearth up` prints one at its first start, and `hearth token create` makes others.",
    ));
    let components = document.components.get_or_insert_with(Default::default);
    components.schemas.values_mut().for_each(schemas::refine);
    components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let scheme = scheme.description(Some("EdDSA JWT that a node signs by its own key for each request."));
    // The page shows them in the order of their names: the one that people have is to be the first.
    components.add_security_scheme("token_of_node", SecurityScheme::Http(scheme.build()));
    Ok(any_types::relax(&document.to_pretty_json()?))
}

/// The groups of routes, in the order in which a page shows them.
fn tags() -> Vec<Tag> {
    [
        ("generate", "The native dialect: text, images and meshes under one schema"),
        ("compatible", "OpenAI's, Anthropic's, Ollama's and Google's dialects, as their SDKs send them"),
        ("requests", "Requests that run or have run: their state, their events, cancelling"),
        ("sessions", "Conversations of several turns, with their messages and branches"),
        ("jobs", "Jobs that the gateway carries out later: submitted, paused, repeated"),
        ("batches", "Files of requests, by OpenAI's and Anthropic's batch APIs"),
        ("files", "Files that users upload, and generated images and meshes"),
        ("definitions", "Schemas of answers and templates of prompts, in versions"),
        ("models", "Models, providers, and the configuration of routing"),
        ("nodes", "Nodes: enrolled, listed and changed; and the requests of nodes themselves"),
        ("cache", "Cached answers"),
        ("accounts", "Users, logins, tokens and keys, limits, usage and the audit log"),
        ("organisations", "Organisations, with their members and teams"),
        ("webhooks", "Webhooks, and the deliveries of events to them"),
        ("administration", "The gateway's users, organisations and tokens, for its operators"),
        ("ops", "Health, metrics and this documentation"),
    ]
    .map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build())
    .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    /// The page of the documentation begins with them.
    #[test]
    fn document_has_a_title_and_describes_its_groups() {
        let document: Value = serde_json::from_str(&super::document().unwrap()).unwrap();
        assert_eq!(document["info"]["title"], "Hearth");
        let description = document["info"]["description"].as_str().unwrap();
        for dialect in ["native", "OpenAI's", "Anthropic's", "Ollama's", "Google's"] {
            assert!(description.contains(dialect), "{dialect}: {description}");
        }
        let groups: Vec<&Value> = document["tags"].as_array().unwrap().iter().collect();
        assert_eq!(groups[0]["name"], "generate");
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        assert_eq!(schemes.keys().next().map(String::as_str), Some("token"));
        assert!(schemes.values().all(|scheme| scheme["description"].is_string()), "{schemes:?}");
        let paths = document["paths"].as_object().unwrap().values();
        for operation in paths.flat_map(|item| item.as_object().unwrap().values()) {
            for tag in operation["tags"].as_array().into_iter().flatten() {
                assert!(groups.iter().any(|group| group["name"] == *tag), "{tag} of {operation}");
            }
        }
    }

    /// Generators of clients name functions by the ids.
    #[test]
    fn operation_ids_are_unique() {
        let document: Value = serde_json::from_str(&super::document().unwrap()).unwrap();
        let mut paths = BTreeMap::<String, Vec<String>>::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if let Some(id) = operation["operationId"].as_str() {
                    paths.entry(id.to_owned()).or_default().push(format!("{method} {path}"));
                }
            }
        }
        paths.retain(|_, paths| paths.len() > 1);
        assert!(paths.is_empty(), "{paths:#?}");
    }
}
