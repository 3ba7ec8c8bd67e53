//! Layer of routes without a guard that are audited, such as a login.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{extract::Request, response::Response};
use futures::future::{BoxFuture, Either};
use tower::{Layer, Service};

use super::{AuditedFuture, AuditedRoutes, RouteResult};

/// Layer that records refusals and changes.
#[derive(Debug, Clone)]
pub(crate) struct AuditLayer(pub(crate) AuditedRoutes);

impl<S> Layer<S> for AuditLayer {
    type Service = AuditedService<S>;

    fn layer(&self, inner: S) -> AuditedService<S> {
        AuditedService { routes: self.0.clone(), inner }
    }
}

/// Route behind an [`AuditLayer`].
#[derive(Debug, Clone)]
pub(crate) struct AuditedService<S> {
    routes: AuditedRoutes,
    inner: S,
}

impl<S> Service<Request> for AuditedService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<AuditedFuture<S::Future>, BoxFuture<'static, RouteResult>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let audited = self.routes.begin(&mut request);
        let route = self.inner.call(request);
        if audited.is_change() {
            Either::Right(audited.carry_out(route))
        } else {
            Either::Left(AuditedFuture::new(route, audited))
        }
    }
}
