//! A provider behind an HTTP API: sends a call in the vendor's dialect, and reads the streamed answer.

mod exchange;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures::StreamExt as _;
use hearth_domain::{ClientDialect, Credits, Modality, RunId, Secret, Task, TextTask, Timestamp};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use reqwest::{
    Request, RequestBuilder, Response,
    header::{AUTHORIZATION, HeaderValue},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Call, EventStream, Provider,
    credits::{Found, Ledger},
    decompress::{self, BodyStream},
    dialect::{self, Decoder, Dialect},
    error_response, media,
    reader::AnswerReader,
    redact::Redactor,
    rules::{self, Prepared, Restore},
    sigv4, transport_error,
    url_path::check_model_name,
    vendor::{Auth, Vendor},
};

/// How long a provider may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the answer's head is there. A model that thinks may take long.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub between_bytes: Duration,
    /// Until an answer that comes whole, such as an image, must begin. Nothing is told before it is made.
    pub made: Duration,
    /// For the whole answer.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(120),
            between_bytes: Duration::from_secs(120),
            made: Duration::from_secs(300),
            whole: Duration::from_secs(3600),
        }
    }
}

/// Where a provider is, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What the operator calls it.
    pub name: String,
    /// Whose API it is.
    pub vendor: &'static Vendor,
    /// What it is spoken to in, where text is asked for.
    pub dialect: Dialect,
    /// The API's address, without a path of its own; the vendor's if there is none.
    pub base_url: String,
    /// The key; a server at home may have none.
    pub key: Option<Secret>,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// A provider behind an HTTP API. Clones share their runs, and what is known of the credit.
#[derive(Debug, Clone)]
pub struct HttpProvider {
    endpoint: Arc<Endpoint>,
    http: reqwest::Client,
    runs: Arc<Mutex<HashMap<RunId, oneshot::Sender<()>>>>,
    ledger: Arc<Ledger>,
    redactor: Arc<Redactor>,
}

impl HttpProvider {
    /// A provider at `endpoint`, called through `http`.
    #[must_use]
    pub fn new(endpoint: Endpoint, http: reqwest::Client) -> Self {
        let redactor =
            Arc::new(Redactor::new(endpoint.key.as_ref(), &[&endpoint.name, endpoint.vendor.kind]));
        Self { endpoint: Arc::new(endpoint), http, runs: Arc::default(), ledger: Arc::default(), redactor }
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn request(&self, path: &str, body: &serde_json::Value) -> Result<Request, ApiError> {
        let accepted = self.endpoint.dialect.framing().media_type();
        self.opened(self.http.post(self.url(path)).header("accept", accepted).json(body))
    }

    /// The body of a request for text that keeps to the vendor's rules, and what its answer is put back by.
    fn body(&self, call: &Call, task: &TextTask) -> Result<(serde_json::Value, Restore), ApiError> {
        let Endpoint { name, vendor, dialect, .. } = &*self.endpoint;
        let Prepared { task, restore } = rules::prepare(name, vendor.kind, *dialect, call, task)?;
        let body = dialect.body(call, &task);
        let body = body.map_err(|error| rules::in_clients_words(error, &call.generation))?;
        Ok((body, restore))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.base_url.trim_end_matches('/'))
    }

    /// A request with the vendor's headers and the key.
    fn opened(&self, mut request: RequestBuilder) -> Result<Request, ApiError> {
        let Endpoint { name, vendor, key, .. } = &*self.endpoint;
        for (name, value) in vendor.headers {
            request = request.header(*name, *value);
        }
        request = match (vendor.auth, key) {
            (Auth::Bearer, Some(key)) => {
                request.header(AUTHORIZATION, sensitive(name, &format!("Bearer {}", key.expose()))?)
            }
            (Auth::Header(header), Some(key)) => request.header(header, sensitive(name, key.expose())?),
            (Auth::Aws(_), _) | (_, None) => request,
        };
        let mut request = request.build().map_err(|error| unreachable(name, &error))?;
        if let (Auth::Aws(service), Some(key)) = (vendor.auth, key) {
            sigv4::authorize(&mut request, key, service, SystemTime::now()).map_err(|error| {
                let message = format!("the provider {name} can't be asked: {error}");
                ApiError::new(ErrorCode::ProviderAuth, message)
            })?;
        }
        Ok(request)
    }

    /// Sends a request, and waits for its answer's head; what it tells of the credit is noted. `costs`: whether
    /// whoever has no credit is refused.
    async fn answered(&self, request: Request, limit: Duration, costs: bool) -> Result<Response, ApiError> {
        let response = self.execute(request, limit).await?;
        if response.status().is_success() {
            self.ledger.answered(response.headers(), costs, Timestamp::now());
            return Ok(response);
        }
        let headers = response.headers().clone();
        let error = error_response::read(&self.endpoint, response).await;
        self.ledger.refused(&error, Some(&headers), Timestamp::now());
        Err(error)
    }

    /// Asks for what isn't generated.
    pub(crate) async fn get(&self, path: &str) -> Result<Response, ApiError> {
        let request = self.http.get(self.url(path)).header("accept", "application/json");
        let response = self.execute(self.opened(request)?, self.endpoint.timeouts.first_byte).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let error = error_response::read(&self.endpoint, response).await;
        Err(self.redactor.redact_error(error))
    }

    /// Finds the key in the provider's texts.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(crate) fn note_balance(&self, found: Found) {
        self.ledger.found(found, Timestamp::now());
    }

    /// Sends a request, and waits for the answer's head.
    async fn execute(&self, request: Request, limit: Duration) -> Result<Response, ApiError> {
        let name = &self.endpoint.name;
        let sent = tokio::time::timeout(limit, self.http.execute(request)).await;
        sent.map_err(|_| late(name, &format!("didn't begin to answer within {} s", limit.as_secs())))?
            .map_err(|error| unreachable(name, &error))
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, oneshot::Sender<()>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer's events. Dropping the stream closes the connection, which is how a provider learns
    /// that nobody waits any more.
    fn follow(self, run: RunId, mut answer: StreamedAnswer) -> EventStream {
        let (cancel, mut cancelled) = oneshot::channel();
        self.runs().insert(run, cancel);
        let left = Left { runs: Arc::clone(&self.runs), run };
        Box::pin(async_stream::stream! {
            let _left = left;
            yield RunEventBody::Started { prompt_tokens: 0 };
            loop {
                let mut events = Vec::new();
                let read = tokio::select! {
                    read = answer.next(&mut events) => read,
                    _ = &mut cancelled => {
                        yield RunEventBody::Cancelled;
                        return;
                    }
                };
                for event in events {
                    let last = event.is_terminal();
                    yield event;
                    if last {
                        return;
                    }
                }
                if let Err(error) = read {
                    self.ledger.refused(&error, None, Timestamp::now());
                    yield RunEventBody::Error { error };
                    return;
                }
            }
        })
    }
}

/// Forgets a run when its stream is dropped.
struct Left {
    runs: Arc<Mutex<HashMap<RunId, oneshot::Sender<()>>>>,
    run: RunId,
}

impl Drop for Left {
    fn drop(&mut self) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
    }
}

/// An answer that is read while it comes.
struct StreamedAnswer {
    body: BodyStream,
    reader: AnswerReader,
    endpoint: Arc<Endpoint>,
    deadline: Instant,
}

impl StreamedAnswer {
    fn new(response: Response, decoder: Box<dyn Decoder>, endpoint: Arc<Endpoint>) -> Result<Self, ApiError> {
        let deadline = Instant::now() + endpoint.timeouts.whole;
        let reader = AnswerReader::with_decoder(endpoint.dialect.framing(), decoder);
        Ok(Self { body: decompress::body_of(response)?, reader, endpoint, deadline })
    }

    /// Waits for the next bytes, and appends the events that they give. Comments count as bytes: a server that sends
    /// them is alive.
    async fn next(&mut self, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let Timeouts { between_bytes, whole, .. } = self.endpoint.timeouts;
        let name = &self.endpoint.name;
        let limit = self.deadline.min(Instant::now() + between_bytes);
        let problem = match tokio::time::timeout_at(limit, self.body.next()).await {
            Ok(Some(Ok(bytes))) => return self.reader.push(&bytes, events),
            Ok(None) => return self.reader.end(events),
            Ok(Some(Err(error))) => {
                let reason = transport_error::reason(&error);
                tracing::warn!(provider = name, reason, "a provider's stream broke off");
                dialect::broken_off()
            }
            Err(_) if limit == self.deadline => {
                late(name, &format!("didn't end its answer within {} s", whole.as_secs()))
            }
            Err(_) => late(name, &format!("said nothing for {} s", between_bytes.as_secs())),
        };
        // A connection that breaks, or stays open, behind the answer's end takes nothing from it.
        self.reader.end(events).map_err(|_| problem)
    }
}

#[async_trait::async_trait]
impl Provider for HttpProvider {
    fn name(&self) -> &str {
        &self.endpoint.name
    }

    fn kind(&self) -> &str {
        self.endpoint.vendor.kind
    }

    fn credits(&self) -> Option<Credits> {
        Some(self.ledger.credits(Timestamp::now()))
    }

    fn speaks(&self, client: ClientDialect) -> bool {
        self.endpoint.dialect.is_spoken_by(client)
    }

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        let events = self.begin(call).await.map_err(|error| self.redactor.redact_error(error))?;
        let redactor = Arc::clone(&self.redactor);
        Ok(Box::pin(events.map(move |event| redactor.redact_event(event))))
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        let cancel = self.runs().remove(&run);
        Ok(cancel.is_some_and(|cancel| cancel.send(()).is_ok()))
    }
}

impl HttpProvider {
    /// Begins a generation; its errors may have the key in them.
    async fn begin(&self, call: Call) -> Result<EventStream, ApiError> {
        check_model_name(call.model.as_str())?;
        let dialect = self.endpoint.dialect;
        let Task::Text(task) = &call.generation.task else { return self.make(&call) };
        if !self.endpoint.vendor.media.text {
            return Err(media::makes_none(&self.endpoint, Modality::Text));
        }
        let (body, restore) = self.body(&call, task)?;
        // OpenRouter's models of this name cost nothing, whatever the credit.
        let costs = !call.model.as_str().ends_with(":free");
        let mut request = self.request(&dialect.path(call.model.as_str())?, &body)?;
        request.headers_mut().extend(dialect.headers(&call));
        let response = self.answered(request, self.endpoint.timeouts.first_byte, costs).await?;
        let decoder = restore.wrap(dialect.decoder());
        let answer = StreamedAnswer::new(response, decoder, Arc::clone(&self.endpoint))?;
        Ok(self.clone().follow(call.run, answer))
    }
}

/// A header's value that isn't shown where the request is.
fn sensitive(provider: &str, text: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = format!(
            "the key of the provider {provider} has characters that can't be sent; set another with `hearth key set {provider}`"
        );
        ApiError::new(ErrorCode::ProviderAuth, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn late(name: &str, how: &str) -> ApiError {
    ApiError::new(ErrorCode::ProviderTimeout, format!("the provider {name} {how}"))
}

/// A request that got no answer. The innermost cause is told, since it has no address.
fn unreachable(name: &str, error: &reqwest::Error) -> ApiError {
    let reason = transport_error::reason(error);
    tracing::warn!(provider = name, reason, "a provider can't be reached");
    let code = if error.is_timeout() { ErrorCode::ProviderTimeout } else { ErrorCode::ProviderError };
    ApiError::new(code, format!("the provider {name} can't be reached: {reason}"))
}
