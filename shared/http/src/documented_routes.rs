//! Routes of a function, with documentation that is built on demand.
//!
//! `utoipa_axum`'s router builds the documentation, with the schemas of all bodies, together with the routes: at each start of
//! a process, for a document that only `hearth openapi` writes. Here it is a list of functions until it is needed.

use std::convert::Infallible;

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::IntoResponse,
    routing::{MethodRouter, Route},
};
use tower::{Layer, Service};
use utoipa::openapi::{HttpMethod, OpenApi};
use utoipa_axum::{
    PathItemExt as _,
    router::{OpenApiRouter, UtoipaMethodRouter},
};

use crate::state::AppState;

/// Routes of a function, with their documentation.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<AppState>,
    documentation: Documentation,
}

/// Documentation of routes, as functions that build it.
#[derive(Debug, Clone, Default)]
pub struct Documentation(Vec<fn() -> OpenApi>);

impl Documentation {
    /// Builds the document.
    #[must_use]
    pub fn build(&self) -> OpenApi {
        let mut whole = OpenApi::default();
        self.0.iter().for_each(|document| whole.merge(document()));
        whole
    }
}

impl Routes {
    /// Creates an empty list of routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty list with the documentation of routes that [`Routes::route`] adds.
    #[must_use]
    pub fn with_documentation(document: fn() -> OpenApi) -> Self {
        Self { router: Router::new(), documentation: Documentation(vec![document]) }
    }

    /// Adds the handlers of one path, which [`crate::routes!`] lists.
    #[must_use]
    pub fn routes(mut self, operations: Operations) -> Self {
        self.documentation.0.push(operations.document);
        Self { router: self.router.route(&operations.path, operations.method_router), ..self }
    }

    /// Adds a route without documentation.
    #[must_use]
    pub fn route(self, path: &str, method_router: MethodRouter<AppState>) -> Self {
        Self { router: self.router.route(path, method_router), ..self }
    }

    /// Adds other routes.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.documentation.0.extend(other.documentation.0);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// Puts a layer around the routes that were added before.
    #[must_use]
    pub fn route_layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self { router: self.router.route_layer(layer), ..self }
    }

    /// Returns the router and the documentation.
    pub fn into_parts(self) -> (Router<AppState>, Documentation) {
        (self.router, self.documentation)
    }
}

/// Handlers of one path; see [`crate::routes!`].
#[derive(Debug)]
pub struct Operations {
    path: String,
    method_router: MethodRouter<AppState>,
    document: fn() -> OpenApi,
}

impl Operations {
    /// Creates an empty list with the function that documents it.
    #[must_use]
    pub fn new(document: fn() -> OpenApi) -> Self {
        Self { path: String::new(), method_router: MethodRouter::new(), document }
    }

    /// Adds a handler for `methods` of `path`, which is the same for all of them.
    #[must_use]
    pub fn on<H, T>(self, path: String, methods: &[HttpMethod], handler: &H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let method_router = methods
            .iter()
            .fold(self.method_router, |router, method| router.on(method.to_method_filter(), handler.clone()));
        Self { path, method_router, ..self }
    }
}

/// Builds the documentation of what `utoipa_axum::routes!` lists.
#[must_use]
pub fn document(routes: UtoipaMethodRouter<AppState>) -> OpenApi {
    OpenApiRouter::new().routes(routes).into_openapi()
}

/// Lists handlers with `#[utoipa::path]` of one path, for [`Routes::routes`].
#[macro_export]
macro_rules! routes {
    ($($($segment:ident)::+),+ $(,)?) => {{
        let document = || $crate::documented_routes::document($crate::utoipa_axum::routes!($($($segment)::+),+));
        let operations = $crate::documented_routes::Operations::new(document);
        $(let operations = $crate::add_operation!(operations, [] $($segment)::+);)+
        operations
    }};
}

/// Adds a handler to [`Operations`]: `module::handler` has its path and methods in the struct `module::__path_handler`.
#[doc(hidden)]
#[macro_export]
macro_rules! add_operation {
    ($operations:ident, [$($module:ident)*] $handler:ident) => {
        $crate::utoipa_axum::paste! {{
            use utoipa::Path as _;
            $operations.on(
                $($module::)*[<__path_ $handler>]::path(),
                &$($module::)*[<__path_ $handler>]::methods(),
                &$($module::)*$handler,
            )
        }}
    };
    ($operations:ident, [$($module:ident)*] $next:ident :: $($rest:ident)::+) => {
        $crate::add_operation!($operations, [$($module)* $next] $($rest)::+)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    mod handlers {
        #[utoipa::path(get, path = "/things", responses((status = 200, body = String)))]
        pub(super) async fn read() {}

        #[utoipa::path(post, path = "/things", request_body = String, responses((status = 200)))]
        pub(super) async fn write() {}
    }

    #[test]
    fn documentation_has_every_operation() {
        let routes = Routes::new().routes(routes!(handlers::read, handlers::write));
        let (router, documentation) = routes.merge(Routes::new()).into_parts();
        assert!(router.has_routes());
        let document = documentation.build();
        let item = &document.paths.paths["/things"];
        assert!(item.get.is_some() && item.post.is_some() && item.delete.is_none());
    }
}
