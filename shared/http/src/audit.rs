//! Entries of the audit log: of each change, and of each refusal.
//!
//! The guard of a route has the caller and the action, so a new route is audited without code of its own. A handler may
//! add facts by an [`AuditNote`]. A route without a guard that changes something, such as a login, is audited by
//! [`crate::serve::audited`].
//!
//! A change runs in a task of its own: it goes on to its entry even if its client disconnects. It is acknowledged when
//! its entry is durable.

mod layer;
mod note;
mod operations;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    extract::{MatchedPath, Request},
    response::{IntoResponse as _, Response},
};
use futures::{FutureExt as _, future::BoxFuture};
use hearth_domain::{Action, AuditEvent, AuditResult};
use hearth_gateway::background;
use hearth_wire::ErrorCode;
use http::{Method, StatusCode, Uri};
use pin_project_lite::pin_project;

use crate::{
    access_log::{CallerSlot, method_label},
    client_address::ClientAddress,
    error::HttpError,
    panic,
    request_id::RequestId,
    state::AppState,
};

pub(crate) use layer::AuditLayer;
pub use note::AuditNote;
pub(crate) use operations::{OperationSlot, OperationTable};

type RouteResult = Result<Response, Infallible>;

/// Routes whose requests are audited.
#[derive(Debug, Clone)]
pub(crate) struct AuditedRoutes {
    state: AppState,
    /// Name of the action in the log.
    action: &'static str,
    /// Requests that aren't `GET` are changes.
    has_changes: bool,
    operations: OperationSlot,
}

impl AuditedRoutes {
    /// Routes behind a guard.
    pub(crate) fn guarded(state: &AppState, action: Action, operations: OperationSlot) -> Self {
        Self { state: state.clone(), action: action.as_str(), has_changes: action.is_change(), operations }
    }

    /// Routes without a guard.
    pub(crate) fn open(state: &AppState, action: &'static str, operations: OperationSlot) -> Self {
        Self { state: state.clone(), action, has_changes: true, operations }
    }

    /// Notes the facts of a request. Most requests have no entry, so nothing is allocated yet.
    pub(crate) fn begin(&self, request: &mut Request) -> AuditedRequest {
        let method = request.method().clone();
        let is_change = self.has_changes && !method.is_safe();
        let extensions = request.extensions();
        let address = extensions.get::<ClientAddress>().copied().unwrap_or_default();
        let route = extensions.get::<MatchedPath>().cloned();
        let request_id = extensions.get::<RequestId>().copied();
        let caller = extensions.get::<CallerSlot>().cloned().unwrap_or_default();
        let note = is_change.then(AuditNote::default);
        if let Some(note) = &note {
            request.extensions_mut().insert(note.clone());
        }
        let uri = request.uri().clone();
        AuditedRequest { routes: self.clone(), method, uri, route, request_id, address, caller, note }
    }
}

/// Request that may have an entry.
#[derive(Debug)]
pub(crate) struct AuditedRequest {
    routes: AuditedRoutes,
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    request_id: Option<RequestId>,
    address: ClientAddress,
    caller: CallerSlot,
    /// Facts that the handler adds; only of a change.
    note: Option<AuditNote>,
}

impl AuditedRequest {
    /// True if a request that succeeds is a change.
    pub(crate) fn is_change(&self) -> bool {
        self.note.is_some()
    }

    /// Runs the route of a change in a task of its own, up to the change's entry.
    pub(crate) fn carry_out(
        self,
        route: impl Future<Output = RouteResult> + Send + 'static,
    ) -> BoxFuture<'static, RouteResult> {
        let task = background::spawn(async move {
            match AssertUnwindSafe(route).catch_unwind().await {
                Ok(Ok(response)) => self.record(response).await,
                // The change may have been made.
                Err(panic) => self.record(panic::response(&*panic)).await,
            }
        });
        let ended = async move { Ok(task.await.unwrap_or_else(|_| panic::stopping())) };
        ended.boxed()
    }

    /// Writes the entry of a request with this response, if it has one. Returns the response, or an error in its place
    /// if the entry of a change can't be written.
    pub(crate) async fn record(self, response: Response) -> Response {
        let Some((result, code)) = self.outcome(&response) else { return response };
        let audit = self.routes.state.gateway.audit().clone();
        let event = self.event(result, code, response.status());
        if result == AuditResult::Done {
            return match audit.record(event).await {
                Ok(_) => response,
                Err(error) => HttpError(error).into_response(),
            };
        }
        audit.record_refusal(event).await;
        response
    }

    /// The outcome that the entry has; `None` for a request without an entry.
    fn outcome(&self, response: &Response) -> Option<(AuditResult, Option<&'static str>)> {
        let status = response.status();
        let code = response.extensions().get::<HttpError>().map(|error| error.0.code);
        let is_refusal = match code {
            Some(code) => matches!(
                code,
                ErrorCode::Unauthorized
                    | ErrorCode::Forbidden
                    | ErrorCode::RateLimited
                    | ErrorCode::QuotaExceeded
            ),
            None => matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
        };
        let name = code.map(ErrorCode::as_str);
        if is_refusal {
            return Some((AuditResult::Refused, name));
        }
        if !self.is_change() {
            return None;
        }
        let has_failed = status.is_client_error() || status.is_server_error();
        Some((if has_failed { AuditResult::Failed } else { AuditResult::Done }, name))
    }

    fn event(self, result: AuditResult, code: Option<&'static str>, status: StatusCode) -> AuditEvent {
        let route = self.route.as_ref().map_or("", MatchedPath::as_str);
        let names_exist = match result {
            AuditResult::Done => true,
            AuditResult::Failed => status == StatusCode::CONFLICT,
            AuditResult::Refused => false,
        };
        let table = self.routes.operations.table();
        let documented = table.find(&self.method, route, self.uri.path(), names_exist);
        let (operation, mut resources) = match documented {
            Some((operation, ids)) => (operation.to_owned(), ids),
            None => (format!("{} {route}", method_label(&self.method)), Vec::new()),
        };
        let noted = self.note.map(AuditNote::take).unwrap_or_default();
        resources.extend(noted.resources);
        let mut event = AuditEvent::new(self.routes.action, operation);
        if let Some((user, organisation, credential)) = self.caller.ids() {
            event.user = Some(user);
            event.organisation = Some(organisation);
            event.credential = Some(credential.to_string());
        } else if let Some(subject) = noted.subject {
            event.user = Some(subject.user);
            event.organisation = subject.organisation;
            event.credential = subject.credential;
        }
        AuditEvent {
            resources,
            result,
            status: Some(status.as_u16()),
            code: code.map(str::to_owned),
            address: self.address.0,
            request: self.request_id.map(|id| id.0),
            details: noted.details,
            ..event
        }
    }
}

pin_project! {
    /// Future of a route whose refusals are recorded.
    pub struct AuditedFuture<F> {
        #[pin]
        route: F,
        request: Option<AuditedRequest>,
        recording: Option<BoxFuture<'static, Response>>,
    }
}

impl<F> AuditedFuture<F> {
    pub(crate) fn new(route: F, request: AuditedRequest) -> Self {
        Self { route, request: Some(request), recording: None }
    }
}

impl<F: Future<Output = RouteResult>> Future for AuditedFuture<F> {
    type Output = RouteResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<RouteResult> {
        let this = self.project();
        if let Some(recording) = this.recording {
            return recording.as_mut().poll(context).map(Ok);
        }
        let Ok(response) = ready!(this.route.poll(context));
        match this.request.take() {
            Some(request) if request.outcome(&response).is_some() => {
                let recording = this.recording.insert(request.record(response).boxed());
                recording.as_mut().poll(context).map(Ok)
            }
            _ => Poll::Ready(Ok(response)),
        }
    }
}
