//! Routes of a function, with documentation that is built on demand.
//!
//! `utoipa_axum`'s router builds the documentation, with the schemas of all bodies, together with the routes: at each start of
//! a process, for a document that only `hearth openapi` writes. Here it is a list of functions until it is needed.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::IntoResponse,
    routing::{MethodRouter, Route},
};
use hearth_domain::{Action, MemberRole};
use serde_json::{Map, Value, json};
use tower::{Layer, Service};
use utoipa::openapi::{HttpMethod, OpenApi, PathItem, extensions::Extensions, path::Operation};
use utoipa_axum::{
    PathItemExt as _,
    router::{OpenApiRouter, UtoipaMethodRouter},
};

use crate::{
    audit::{OperationSlot, OperationTable},
    state::AppState,
    wildcard::WildcardMethods,
};

/// Name of the action that an operation takes, in the OpenAPI document.
const ACTION: &str = "x-hearth-action";
/// Table of permissions in the OpenAPI document.
const PERMISSIONS: &str = "x-hearth-permissions";
/// Action of an operation that takes no permission.
const NO_ACTION: &str = "none";
/// Action of an operation for nodes.
const NODE_ACTION: &str = "node";

/// Routes of a function, with their documentation.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<AppState>,
    documentation: Documentation,
    /// Tables of operations that the guards of the routes wait for.
    operations: Vec<OperationSlot>,
    wildcards: Vec<WildcardMethods>,
}

/// Permission that routes take.
#[derive(Debug, Clone, Copy)]
pub enum RoutePermission {
    /// Each request takes the permission for the action.
    Guarded(Action),
    /// The handler checks the permission, since some requests take none, for this reason.
    InHandler(Action, &'static str),
    /// No request takes a permission, for this reason.
    Open(&'static str),
    /// Nodes send the requests, each signed by the node's key.
    Node,
}

/// Documentation of routes, in parts.
#[derive(Debug, Clone, Default)]
pub struct Documentation(Vec<Part>);

/// Documentation of some routes, as a function that builds it.
#[derive(Debug, Clone, Copy)]
struct Part {
    document: fn() -> OpenApi,
    permission: Option<RoutePermission>,
}

impl Documentation {
    /// Builds the document. Each operation has its action, and the document the table of permissions.
    #[must_use]
    pub fn build(&self) -> OpenApi {
        let (mut whole, mut exceptions) = (OpenApi::default(), Map::new());
        for Part { document, permission } in &self.0 {
            let mut document = document();
            if let Some(permission) = permission {
                for (path, item) in &mut document.paths.paths {
                    add_permission(path, item, *permission, &mut exceptions);
                }
            }
            whole.merge(document);
        }
        whole.extensions = Some(Extensions::from_iter([(PERMISSIONS, permission_table(&exceptions))]));
        whole
    }
}

/// Operation of the API.
#[derive(Debug)]
pub(crate) struct DocumentedOperation {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// Id in the OpenAPI document.
    pub(crate) id: String,
}

impl Documentation {
    /// Method, path and id of each operation.
    pub(crate) fn operations(&self) -> Vec<DocumentedOperation> {
        let mut list = Vec::new();
        for (path, mut item) in self.build().paths.paths {
            for (method, operation) in operations(&mut item) {
                let id = operation.operation_id.clone().unwrap_or_else(|| format!("{method} {path}"));
                list.push(DocumentedOperation { method, path: path.clone(), id });
            }
        }
        list
    }
}

/// Adds the action to each operation of a path; adds operations that some requests may call without it to `exceptions`.
fn add_permission(
    path: &str,
    item: &mut PathItem,
    permission: RoutePermission,
    exceptions: &mut Map<String, Value>,
) {
    let (action, reason) = match permission {
        RoutePermission::Guarded(action) => (action.as_str(), None),
        RoutePermission::InHandler(action, reason) => (action.as_str(), Some(reason)),
        RoutePermission::Open(reason) => (NO_ACTION, Some(reason)),
        RoutePermission::Node => (NODE_ACTION, None),
    };
    for (method, operation) in operations(item) {
        operation.extensions.get_or_insert_default().insert(ACTION.to_owned(), action.into());
        if let Some(reason) = reason {
            exceptions.insert(format!("{method} {path}"), reason.into());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let operations = [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("OPTIONS", &mut item.options),
        ("HEAD", &mut item.head),
        ("PATCH", &mut item.patch),
        ("TRACE", &mut item.trace),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The table of permissions, and the operations that some requests may call without one.
fn permission_table(exceptions: &Map<String, Value>) -> Value {
    let actions = Action::ALL.iter().map(|action| {
        let permission = action.permission();
        json!({
            "name": permission.name,
            "purpose": permission.purpose.trim(),
            "scope": permission.scope,
            "roles": permission.roles,
            "operators_only": permission.is_for_operators,
            "access_keys": permission.is_for_access_keys,
        })
    });
    json!({ "roles": MemberRole::ALL, "actions": actions.collect::<Value>(), "exceptions": exceptions })
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
        Self { documentation: Documentation(vec![Part { document, permission: None }]), ..Self::default() }
    }

    /// Adds the handlers of one path, which [`crate::routes!`] lists.
    #[must_use]
    pub fn routes(mut self, operations: Operations) -> Self {
        self.documentation.0.push(Part { document: operations.document, permission: None });
        Self { router: self.router.route(&operations.path, operations.method_router), ..self }
    }

    /// Adds a route without documentation.
    #[must_use]
    pub fn route(self, path: &str, method_router: MethodRouter<AppState>) -> Self {
        Self { router: self.router.route(path, method_router), ..self }
    }

    /// Sets the methods of the paths that the wildcard `route` matches: `methods` returns them for the part that the wildcard stands
    /// for, separated by commas.
    #[must_use]
    pub fn wildcard(mut self, route: &'static str, methods: fn(&str) -> &'static str) -> Self {
        self.wildcards.push(WildcardMethods { route, methods });
        self
    }

    /// Methods of the paths that wildcard routes match.
    pub(crate) fn wildcards(&self) -> &[WildcardMethods] {
        &self.wildcards
    }

    /// Adds other routes.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.documentation.0.extend(other.documentation.0);
        self.operations.extend(other.operations);
        self.wildcards.extend(other.wildcards);
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

    /// Documents the permission of the routes that were added before and have none yet.
    pub(crate) fn with_permission(mut self, permission: RoutePermission) -> Self {
        for part in &mut self.documentation.0 {
            part.permission.get_or_insert(permission);
        }
        self
    }

    /// Has the guard of the routes that were added before get the table of all operations.
    pub(crate) fn awaiting(mut self, operations: OperationSlot) -> Self {
        self.operations.push(operations);
        self
    }

    /// Returns the router and the documentation.
    pub fn into_parts(self) -> (Router<AppState>, Documentation) {
        let table = Arc::new(OperationTable::new(self.documentation.clone()));
        self.operations.iter().for_each(|slot| slot.fill(&table));
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

        #[utoipa::path(post, path = "/reports", responses((status = 200)))]
        pub(super) async fn report() {}
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

    #[test]
    fn operation_has_the_action_of_its_own_group() {
        let reads = Routes::new().routes(routes!(handlers::read));
        let reads = reads.with_permission(RoutePermission::Open("it is a test"));
        let writes = Routes::new().routes(routes!(handlers::write));
        let routes = reads.merge(writes.with_permission(RoutePermission::Guarded(Action::Generate)));
        let reports = Routes::new().routes(routes!(handlers::report));
        let routes = routes.merge(reports.with_permission(RoutePermission::Node));
        let routes = routes.with_permission(RoutePermission::Guarded(Action::Operate));
        let document = serde_json::to_value(routes.into_parts().1.build()).unwrap();
        let operations = &document["paths"]["/things"];
        assert_eq!(operations["get"][ACTION], "none");
        assert_eq!(operations["post"][ACTION], "generate");
        assert_eq!(document["paths"]["/reports"]["post"][ACTION], "node");
        let exceptions = &document[PERMISSIONS]["exceptions"];
        assert_eq!(*exceptions, serde_json::json!({"GET /things": "it is a test"}));
    }
}
