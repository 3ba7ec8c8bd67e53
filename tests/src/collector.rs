//! An OpenTelemetry collector: receives spans by OTLP over HTTP, in protobuf.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{Span, span::SpanKind, status::StatusCode as SpanStatus},
};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::within;

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    /// The setting `traces.endpoint`.
    pub url: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

/// A span that was received.
#[derive(Debug, Clone)]
pub struct ReceivedSpan {
    /// Name of the service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its kind, such as `Server`.
    pub kind: String,
    /// Id of its trace, as hexadecimal digits.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// Id of its parent; empty without one.
    pub parent: String,
    /// The entries that vendors have added to its trace, as in `tracestate`.
    pub state: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, Value>,
    /// Names of its events.
    pub events: Vec<String>,
    /// True if its status is an error.
    pub failed: bool,
    /// Its start and end, in nanoseconds since 1970.
    pub times: (u64, u64),
}

#[derive(Debug, Default)]
struct Shared {
    spans: Mutex<Vec<ReceivedSpan>>,
    /// All requests' bodies, in which tests search for texts.
    bytes: Mutex<Vec<u8>>,
    headers: Mutex<Vec<HeaderMap>>,
    count: watch::Sender<usize>,
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start() -> Self {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("a port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("a port: {error}"));
        let shared = Arc::<Shared>::default();
        let router = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Self { url: format!("http://{address}"), shared, server }
    }

    /// The spans that were received, in order of their starts.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        let mut spans = lock(&self.shared.spans).clone();
        spans.sort_by_key(|span| span.times);
        spans
    }

    /// Waits until the spans fulfil a condition; returns them.
    ///
    /// # Panics
    /// If they don't in time.
    pub async fn wait_for(&self, what: &str, is_met: impl Fn(&[ReceivedSpan]) -> bool) -> Vec<ReceivedSpan> {
        let mut count = self.shared.count.subscribe();
        let met = async {
            loop {
                let spans = self.spans();
                if is_met(&spans) {
                    return spans;
                }
                // The sender lives as long as this.
                let _ = count.changed().await;
            }
        };
        within(what, met).await
    }

    /// Waits until each of these names was received; returns all spans.
    ///
    /// # Panics
    /// If one isn't received in time.
    pub async fn wait_for_names(&self, names: &[&str]) -> Vec<ReceivedSpan> {
        let is_met =
            |spans: &[ReceivedSpan]| names.iter().all(|name| spans.iter().any(|span| span.name == *name));
        self.wait_for(&format!("spans {names:?}"), is_met).await
    }

    /// True if any byte sequence that was received contains the text.
    #[must_use]
    pub fn has_text(&self, text: &str) -> bool {
        lock(&self.shared.bytes).windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// The headers of the requests.
    #[must_use]
    pub fn headers(&self) -> Vec<HeaderMap> {
        lock(&self.shared.headers).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/x-protobuf") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    lock(&shared.bytes).extend_from_slice(&body);
    lock(&shared.headers).push(headers);
    let mut spans = lock(&shared.spans);
    for group in request.resource_spans {
        let resource = group.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default();
        let service = resource.get("service.name").and_then(Value::as_str).unwrap_or_default();
        let received = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(received.map(|span| received_span(service, span)));
    }
    drop(spans);
    shared.count.send_modify(|count| *count += 1);
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    ([(CONTENT_TYPE, "application/x-protobuf")], answer).into_response()
}

fn received_span(service: &str, span: Span) -> ReceivedSpan {
    let failed = span.status.as_ref().is_some_and(|status| status.code() == SpanStatus::Error);
    ReceivedSpan {
        service: service.to_owned(),
        kind: SpanKind::try_from(span.kind).map(|kind| format!("{kind:?}")).unwrap_or_default(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state,
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(|event| event.name).collect(),
        failed,
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        name: span.name,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

fn value(any: Option<AnyValue>) -> Value {
    match any.and_then(|any| any.value) {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::BoolValue(bool)) => json!(bool),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::DoubleValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(array)) => {
            array.values.into_iter().map(|one| value(Some(one))).collect()
        }
        _ => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
