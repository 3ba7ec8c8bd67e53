//! Entry points of the Lambda functions: settings from the environment, stores of AWS, and Lambda's runtime around a
//! function's router.
//!
//! A function is streaming or buffered, never both: API Gateway's integration calls it one way or the other.

#![warn(missing_docs)]

mod clean_body;
mod client_address;
mod deadline;
mod flushed_body;
mod jobs;
mod public_url;
mod socket_event;
mod sockets;
mod text_body;
mod trace_header;

use std::{sync::Arc, time::Duration};

use axum::Router;
use hearth_gateway::{AllowedAddresses, Gateway, HttpClients, JobQueue, Options, Routing};
use hearth_http::AppState;
use hearth_settings::CloudSettings;
use hearth_store::{Clients, Names, Store};
use hearth_telemetry::{logs::FunctionName, traces};
use lambda_http::aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use tower::ServiceExt as _;

use clean_body::without_errors;
use client_address::with_client_address;
use deadline::with_deadline;
use flushed_body::flushed;
use jobs::{QueueUrls, SqsEvent, SqsQueues};
use public_url::with_public_url;
pub use socket_event::{SocketEvent, SocketEventKind};
use text_body::with_text_body;
use trace_header::with_trace;

/// Time for which runs may end by themselves when the process ends.
const STOP_GRACE: Duration = Duration::from_millis(200);
/// Time for which the process waits for the last records when it ends.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Error that ends a function at its start.
pub type Error = lambda_runtime::Error;

/// Serves routes whose responses are buffered.
///
/// # Errors
/// If a setting is missing or invalid, or the runtime fails.
pub async fn run_buffered(router: impl FnOnce(AppState) -> Router) -> Result<(), Error> {
    let service = router(state().await?).map_request(with_public_url).map_request(with_client_address);
    let service = service.map_request(with_trace);
    lambda_http::run(service.map_response(with_text_body).map_response(flushed)).await
}

/// Serves routes whose responses are streamed.
///
/// # Errors
/// If a setting is missing or invalid, or the runtime fails.
pub async fn run_streaming(router: impl FnOnce(AppState) -> Router) -> Result<(), Error> {
    let state = state().await?;
    let gateway = state.gateway.clone();
    let service = router(state).map_request(with_public_url).map_request(with_deadline);
    let service =
        service.map_request(with_client_address).map_request(with_trace).map_response(without_errors);
    let result = lambda_http::run_with_streaming_response(service.map_response(flushed)).await;
    // Lambda has cut the connection, and the process ends: what is left of the time is for the records.
    gateway.stop_runs(STOP_GRACE).await;
    gateway.settle(SETTLE_TIMEOUT).await;
    traces::flush().await;
    result
}

/// Does `work` whenever an event comes that isn't a request, such as one of a schedule. The event's content is ignored.
///
/// # Errors
/// If a setting is missing or invalid, or the runtime fails.
pub async fn run_scheduled<F>(work: impl Fn(Gateway) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let gateway = state().await?.gateway;
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| work(gateway.clone()))).await
}

/// Carries out jobs, whose messages come from queues of SQS. What isn't stored when an event is handled would wait for the next one,
/// so it is stored before.
///
/// # Errors
/// If a setting is missing or invalid, or the runtime fails.
pub async fn run_jobs() -> Result<(), Error> {
    let (state, queues) = state_with_queues().await?;
    let gateway = state.gateway;
    let handle = |event: LambdaEvent<SqsEvent>| {
        let (gateway, queues) = (gateway.clone(), queues.clone());
        async move {
            let response = jobs::answer(&gateway, queues.as_deref(), event).await;
            gateway.settle(SETTLE_TIMEOUT).await;
            traces::flush().await;
            Ok::<_, Error>(response)
        }
    };
    lambda_runtime::run(service_fn(handle)).await
}

/// Handles the events of a WebSocket API: sockets that are opened and closed, and their messages. `answer` returns API Gateway's
/// response.
///
/// # Errors
/// If a setting is missing or invalid, or the runtime fails.
pub async fn run_sockets<F>(answer: impl Fn(Gateway, SocketEvent) -> F) -> Result<(), Error>
where
    F: Future<Output = serde_json::Value>,
{
    let gateway = state().await?.gateway;
    let handle = |event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        let answer = answer(gateway.clone(), event.payload.into());
        async { Ok::<_, Error>(answer.await) }
    };
    lambda_runtime::run(service_fn(handle)).await
}

async fn state() -> Result<AppState, Error> {
    state_with_queues().await.map(|(state, _)| state)
}

async fn state_with_queues() -> Result<(AppState, Option<Arc<SqsQueues>>), Error> {
    let cloud = CloudSettings::from_process()?;
    let routing = Routing::new(&cloud.settings).map_err(|error| cloud.layers.locate(&error.to_string()))?;
    let function = cloud.cloudwatch_metrics.then(|| {
        let lambda_runtime::Config { function_name, version, .. } = lambda_runtime::Config::from_env();
        FunctionName { function: function_name, version }
    });
    hearth_telemetry::logs::to_cloudwatch(&cloud.settings.log_level, function)?;
    hearth_telemetry::metrics::install();
    // reqwest takes whichever provider is installed; there is one in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    traces::install(&cloud.settings.traces)?;
    let settings = cloud.settings.gateway();
    let names = Names {
        table: cloud.table,
        bucket: cloud.bucket,
        secret: cloud.secret,
        provider_keys: cloud.provider_keys,
        kms_key: cloud.kms_key,
    };
    let (clients, credentials) = Clients::with_credentials().await;
    let objects = clients.s3.clone();
    let mut store = Store::new(clients, names);
    if !cloud.audit_bucket.is_empty() {
        store = store.with_audit_bucket(objects, cloud.audit_bucket);
    }
    let addresses = match cloud.allow_private_nodes {
        true => AllowedAddresses::All,
        false => AllowedAddresses::Public,
    };
    let http = HttpClients::for_addresses(addresses)?;
    let http = HttpClients { vendors: http.vendors.with_process_credentials(credentials), ..http };
    let [high, normal, low] = cloud.job_queues;
    let queues = SqsQueues::new(QueueUrls { high, normal, low }).map(Arc::new);
    let options = Options {
        private_nodes: cloud.allow_private_nodes,
        long_lived: false,
        new_secret: None,
        sockets: sockets::service(cloud.socket_endpoint, cloud.socket_url),
        jobs: queues.clone().map(|queues| queues as Arc<dyn JobQueue>),
        settings,
    };
    Ok((AppState { gateway: Gateway::new(store, http, options, routing) }, queues))
}
