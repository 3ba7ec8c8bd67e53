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
    InfoBuilder, LicenseBuilder,
    security::{Http, HttpAuthScheme, SecurityScheme},
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
        .description(Some("Local models behind one API: native and OpenAI dialects."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("hth_...");
    let components = document.components.get_or_insert_with(Default::default);
    components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    Ok(document.to_pretty_json()?)
}
