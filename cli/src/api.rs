//! All functions' routes, merged: at home one process serves them.

use anyhow::Result;
use axum::Router;
use hearth_gateway::{Gateway, HttpClients, Options, Routing};
use hearth_http::{AppState, Routes};
use hearth_store::{Clients, Names, Store};
use tower_http::compression::{
    CompressionLayer,
    predicate::{NotForContentType, Predicate as _, SizeAbove},
};
use utoipa::openapi::{
    Content, InfoBuilder, LicenseBuilder, PathItem, Ref, ResponseBuilder, Server,
    path::Operation,
    security::{Http, HttpAuthScheme, SecurityScheme},
    tag::{Tag, TagBuilder},
};

/// Bodies below this many bytes aren't worth compressing.
const MIN_COMPRESSED: u64 = 1024;

fn routes(state: &AppState) -> Routes {
    hearth_fn_generate::routes(state)
        .merge(hearth_fn_models::routes(state))
        .merge(hearth_fn_accounts::routes(state))
        .merge(hearth_fn_ops::routes(state))
}

/// The router that `hearth up` serves. Streams are never compressed: that would hold tokens back. Images are already.
pub(crate) fn router(state: AppState) -> Router {
    let predicate = SizeAbove::new(MIN_COMPRESSED).and(NotForContentType::SSE).and(NotForContentType::IMAGES);
    let compression = CompressionLayer::new().gzip(true).compress_when(predicate);
    hearth_http::finish(routes(&state), state).layer(compression)
}

/// The OpenAPI document of all functions, as JSON.
pub(crate) fn document() -> Result<String> {
    // The document needs no store; these clients are never called.
    let clients = Clients::unconnected();
    let store = Store::new(clients, Names::default());
    let gateway = Gateway::new(store, HttpClients::new()?, Options::default(), Routing::default());
    let state = AppState { gateway };
    let (_, mut document) = routes(&state).split_for_parts();
    document.info = InfoBuilder::new()
        .title("Hearth")
        .version("1")
        .description(Some(
            "Local models and those of commercial providers behind one API: a native dialect, OpenAI's and Anthropic's.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    // Relative to this document: it may be served below a stage or a proxy's prefix.
    document.servers = Some(vec![Server::new(".")]);
    document.tags = Some(tags());
    document.paths.paths.values_mut().for_each(document_failures);
    let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("hth_...");
    let components = document.components.get_or_insert_with(Default::default);
    components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    Ok(document.to_pretty_json()?)
}

/// The groups of routes, in the order in which a page shows them.
fn tags() -> Vec<Tag> {
    [
        ("generate", "The native dialect: text, images and meshes under one schema"),
        ("compatible", "OpenAI's and Anthropic's dialects, as their SDKs send them"),
        ("requests", "Requests that run or have run: their state, their events, cancelling"),
        ("models", "Models and providers"),
        ("cache", "The answers that are kept"),
        ("accounts", "API tokens"),
        ("ops", "Health, metrics and this documentation"),
    ]
    .map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build())
    .into()
}

/// Adds the failures that every route behind a token can answer with, where the route does not document its own.
fn document_failures(path: &mut PathItem) {
    let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
    for operation in operations.into_iter().flatten().filter(|operation| needs_token(operation)) {
        for (status, description) in [
            ("4XX", "Refused: `code` says why, and `param` names the field"),
            ("5XX", "Failed: `code` says where, and `retryable` whether to try again"),
        ] {
            let error = Content::builder().schema(Some(Ref::from_schema_name("ErrorEnvelope"))).build();
            let response = ResponseBuilder::new().description(description).content("application/json", error);
            let responses = &mut operation.responses.responses;
            responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
        }
    }
}

fn needs_token(operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|schemes| !schemes.is_empty())
}
