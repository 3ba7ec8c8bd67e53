//! Authentication of callers.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Either, Ready, ready},
};
use hearth_domain::Action;
use hearth_gateway::Caller;
use hearth_wire::{ApiError, ErrorCode};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use tower::{Layer, Service};

use crate::{
    access_log::CallerSlot,
    audit::{AuditedFuture, AuditedRoutes},
    error::HttpError,
    state::AppState,
};

/// Layer of routes that requires a permission. Handlers get the caller as an extension,
/// [`hearth_gateway::Caller`].
#[derive(Debug, Clone)]
pub struct Guard {
    state: AppState,
    action: Action,
    audited: AuditedRoutes,
}

impl Guard {
    /// Creates a layer that requires the permission for `action`.
    #[must_use]
    pub(crate) fn new(state: &AppState, action: Action, audited: AuditedRoutes) -> Self {
        Self { state: state.clone(), action, audited }
    }
}

impl<S> Layer<S> for Guard {
    type Service = GuardedService<S>;

    fn layer(&self, inner: S) -> GuardedService<S> {
        GuardedService { guard: self.clone(), inner }
    }
}

type RouteResult = Result<Response, Infallible>;
/// Future of the route; or a refusal; or a boxed future that reads the token from the store first.
type RouteFuture<F> = Either<F, Either<Ready<RouteResult>, BoxFuture<'static, RouteResult>>>;
/// The same with the entry of a refusal; or a boxed future that makes a change, with its entry.
type GuardedFuture<F> = Either<AuditedFuture<RouteFuture<F>>, BoxFuture<'static, RouteResult>>;

/// Route behind a [`Guard`].
#[derive(Debug, Clone)]
pub struct GuardedService<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request> for GuardedService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = GuardedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let audited = self.guard.audited.begin(&mut request);
        let route = self.answer(request);
        match audited.is_change() {
            true => Either::Right(audited.carry_out(route)),
            false => Either::Left(AuditedFuture::new(route, audited)),
        }
    }
}

impl<S> GuardedService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    fn answer(&mut self, mut request: Request) -> RouteFuture<S::Future> {
        // Most tokens are in the cache, which needs no await.
        let caller = match credential(request.headers()) {
            Ok(credential) => self.guard.state.gateway.authenticate_cached(credential),
            Err(error) => Some(Err(error)),
        };
        match caller.map(|caller| caller.and_then(|caller| self.guard.admit(&mut request, caller))) {
            Some(Ok(())) => Either::Left(self.inner.call(request)),
            Some(Err(error)) => Either::Right(Either::Left(ready(Ok(HttpError(error).into_response())))),
            None => {
                let inner = self.inner.clone();
                let (guard, inner) = (self.guard.clone(), std::mem::replace(&mut self.inner, inner));
                Either::Right(Either::Right(guard.look_up(request, inner).boxed()))
            }
        }
    }
}

impl Guard {
    /// Requires the permission of a request's caller, and passes the caller to the handler and the log line.
    fn admit(&self, request: &mut Request, caller: Caller) -> Result<(), ApiError> {
        CallerSlot::fill(request.extensions(), &caller);
        caller.require(self.action)?;
        request.extensions_mut().insert(caller);
        Ok(())
    }

    /// Answers a request whose token must be read from the store.
    async fn look_up<S>(self, mut request: Request, mut inner: S) -> Result<Response, Infallible>
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let caller = match credential(request.headers()) {
            Ok(credential) => self.state.gateway.authenticate(credential).await,
            Err(error) => Err(error),
        };
        match caller.and_then(|caller| self.admit(&mut request, caller)) {
            Ok(()) => inner.call(request).await,
            Err(error) => Ok(HttpError(error).into_response()),
        }
    }
}

/// Authenticates the caller of a route that has no [`Guard`]. `extensions`: the request's.
///
/// # Errors
/// `unauthorized` without a valid credential; `forbidden` if it may not take `action`.
pub async fn caller(
    state: &AppState,
    action: Action,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, ApiError> {
    let caller = state.gateway.authenticate(credential(headers)?).await?;
    CallerSlot::fill(extensions, &caller);
    caller.require(action)?;
    Ok(caller)
}

/// Returns whether a request has a credential, valid or not.
#[must_use]
pub fn has_credential(headers: &HeaderMap) -> bool {
    credential(headers).is_ok()
}

/// Returns the credential: `Authorization: Bearer`, or `X-API-Key`, or `X-Goog-Api-Key`, which Google's clients send.
///
/// # Errors
/// `unauthorized` if there is none.
pub(crate) fn credential(headers: &HeaderMap) -> Result<&str, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = text(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, credential) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(credential.trim())
    });
    let key = || text("x-api-key").or_else(|| text("x-goog-api-key"));
    bearer.or_else(key).filter(|credential| !credential.is_empty()).ok_or_else(|| {
        let message = "no API token was sent; send one as `Authorization: Bearer hth_...`";
        ApiError::new(ErrorCode::Unauthorized, message)
    })
}
