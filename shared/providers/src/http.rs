//! A provider behind an HTTP API: sends a call in the vendor's dialect, and reads the answer.

mod answer;
mod answer_mode;
mod exchange;
mod schema_check;
mod target;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::StreamExt as _;
use hearth_domain::{ClientDialect, Credits, Modality, RunId, Secret, Task, Timestamp};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use http::Request;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Call, EventStream, Provider,
    credits::{Found, Ledger},
    dialect::{AnswerMode, Decoder, Dialect},
    error_response, media,
    redact::Redactor,
    rules::{self, Prepared},
    sigv4,
    transport::{HttpAnswer, SendError, VendorClient},
    transport_error,
    url_path::check_model_name,
    vendor::{Auth, Vendor},
};
use answer::{AnswerBody, AnswerEvents};
use answer_mode::answer_mode;
use schema_check::SchemaCheck;
use target::Target;

/// How long a provider may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the answer's head is there. A model that thinks may take long.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub between_bytes: Duration,
    /// Until an answer that comes whole, such as an image or a short text, must begin, and a text must be there.
    /// Nothing is told before it is made.
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
    client: VendorClient,
    target: Arc<Result<Target, ApiError>>,
    runs: Arc<Mutex<HashMap<RunId, oneshot::Sender<()>>>>,
    ledger: Arc<Ledger>,
    redactor: Arc<Redactor>,
}

impl HttpProvider {
    /// A provider at `endpoint`, called through `client`.
    #[must_use]
    pub fn new(endpoint: Endpoint, client: impl Into<VendorClient>) -> Self {
        let client = client.into();
        let redactor = Redactor::new(endpoint.key.as_ref(), &[&endpoint.name, endpoint.vendor.kind]);
        let target = Target::new(&endpoint, &client);
        Self {
            endpoint: Arc::new(endpoint),
            client,
            target: Arc::new(target),
            runs: Arc::default(),
            ledger: Arc::default(),
            redactor: Arc::new(redactor),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn target(&self) -> Result<&Target, ApiError> {
        self.target.as_ref().as_ref().map_err(Clone::clone)
    }

    /// Signs a request, where the vendor wants that.
    fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ApiError> {
        let Endpoint { name, vendor, key, .. } = &*self.endpoint;
        let (Auth::Aws(service), Some(key)) = (vendor.auth, key) else { return Ok(()) };
        sigv4::authorize(request, key, service, SystemTime::now()).map_err(|error| {
            let message = format!("the provider {name} can't be asked: {error}");
            ApiError::new(ErrorCode::ProviderAuth, message)
        })
    }

    /// Sends a request, and waits for its answer's head; what it tells of the credit is noted. `costs`: whether
    /// whoever has no credit is refused; `direct`: not through reqwest.
    async fn answered(
        &self,
        request: Request<Bytes>,
        limit: Duration,
        costs: bool,
        direct: bool,
    ) -> Result<HttpAnswer, ApiError> {
        let answer = self.execute(request, limit, direct).await?;
        if answer.status.is_success() {
            self.ledger.answered(&answer.headers, costs, Timestamp::now());
            return Ok(answer);
        }
        let headers = answer.headers.clone();
        let error = error_response::read(&self.endpoint, answer).await;
        self.ledger.refused(&error, Some(&headers), Timestamp::now());
        Err(error)
    }

    /// Asks for what isn't generated.
    pub(crate) async fn get(&self, path: &str) -> Result<HttpAnswer, ApiError> {
        let mut request = self.target()?.get(path)?;
        self.authorize(&mut request)?;
        let answer = self.execute(request, self.endpoint.timeouts.first_byte, false).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let error = error_response::read(&self.endpoint, answer).await;
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
    async fn execute(
        &self,
        request: Request<Bytes>,
        limit: Duration,
        direct: bool,
    ) -> Result<HttpAnswer, ApiError> {
        let name = &self.endpoint.name;
        let sent = async {
            if direct { self.client.send_direct(request).await } else { self.client.send(request).await }
        };
        let sent = tokio::time::timeout(limit, sent).await;
        sent.map_err(|_| late(name, &format!("didn't begin to answer within {} s", limit.as_secs())))?
            .map_err(|error| unreachable(name, &error))
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, oneshot::Sender<()>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a run, so that it can be cancelled by its id.
    fn enter(&self, run: RunId) -> (oneshot::Receiver<()>, RunGuard) {
        let (cancel, cancelled) = oneshot::channel();
        self.runs().insert(run, cancel);
        (cancelled, RunGuard { runs: Arc::clone(&self.runs), run })
    }
}

/// Forgets a run when its stream is dropped.
struct RunGuard {
    runs: Arc<Mutex<HashMap<RunId, oneshot::Sender<()>>>>,
    run: RunId,
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
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
        self.begin(call).await.map_err(|error| self.redactor.redact_error(error))
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        let cancel = self.runs().remove(&run);
        Ok(cancel.is_some_and(|cancel| cancel.send(()).is_ok()))
    }
}

/// A request for a text, and what reads its answer.
struct TextRequest {
    request: Request<Bytes>,
    mode: AnswerMode,
    decoder: Box<dyn Decoder>,
    /// Checks the answer, where it has a schema.
    schema: Option<SchemaCheck>,
}

impl HttpProvider {
    /// Begins a generation; its errors may have the key in them.
    async fn begin(&self, call: Call) -> Result<EventStream, ApiError> {
        check_model_name(call.model.as_str())?;
        if !matches!(call.generation.task, Task::Text(_)) {
            let redactor = Arc::clone(&self.redactor);
            return Ok(Box::pin(self.make(&call)?.map(move |event| redactor.redact_event(event))));
        }
        let TextRequest { request, mode, decoder, schema } = self.text_request(&call)?;
        // OpenRouter's models of this name cost nothing, whatever the credit.
        let costs = !call.model.as_str().ends_with(":free");
        let events = match mode {
            AnswerMode::Stream => self.stream(call.run, request, decoder, costs).await?,
            AnswerMode::Whole => self.whole(request, decoder, costs).await?,
        };
        Ok(match schema {
            Some(schema) => schema.follow(events),
            None => events,
        })
    }

    /// The request for a text, which keeps to the vendor's rules.
    fn text_request(&self, call: &Call) -> Result<TextRequest, ApiError> {
        let Endpoint { name, vendor, dialect, .. } = &*self.endpoint;
        let Task::Text(task) = &call.generation.task else {
            return Err(media::makes_none(&self.endpoint, call.generation.task.modality()));
        };
        if !vendor.media.text {
            return Err(media::makes_none(&self.endpoint, Modality::Text));
        }
        let as_sent = task;
        let Prepared { task, restore } = rules::prepare(name, vendor.kind, *dialect, call, task)?;
        let mode = answer_mode(&self.endpoint, call, &task, restore.cuts());
        let body = dialect.body(call, &task, mode);
        let body = body.map_err(|error| rules::in_clients_words(error, &call.generation))?;
        let schema = SchemaCheck::of(as_sent, dialect.enforces_schema(&body));
        let body = Bytes::from(serde_json::to_vec(&body).map_err(|error| {
            ApiError::new(ErrorCode::Internal, format!("the request can't be written as JSON: {error}"))
        })?);
        let path = dialect.path(call.model.as_str(), mode)?;
        let mut request = self.target()?.post_json(&path, dialect.media_type(mode), body)?;
        self.authorize(&mut request)?;
        request.headers_mut().extend(dialect.headers(call));
        Ok(TextRequest { request, mode, decoder: restore.wrap(dialect.decoder()), schema })
    }

    /// Sends a request, and follows its answer once the head is there.
    async fn stream(
        &self,
        run: RunId,
        request: Request<Bytes>,
        decoder: Box<dyn Decoder>,
        costs: bool,
    ) -> Result<EventStream, ApiError> {
        let Timeouts { first_byte, whole, .. } = self.endpoint.timeouts;
        let answer = self.answered(request, first_byte, costs, self.target()?.is_direct).await?;
        let body = AnswerBody::new(answer, decoder, Arc::clone(&self.endpoint), Instant::now(), whole)?;
        let (cancelled, guard) = self.enter(run);
        Ok(Box::pin(AnswerEvents::new(self.clone(), body, cancelled, guard)))
    }

    /// Sends a request, and reads its whole answer. A client that goes away drops this, which closes the connection.
    async fn whole(
        &self,
        request: Request<Bytes>,
        decoder: Box<dyn Decoder>,
        costs: bool,
    ) -> Result<EventStream, ApiError> {
        let (began, limit) = (Instant::now(), self.endpoint.timeouts.made);
        let answer = self.answered(request, limit, costs, self.target()?.is_direct).await?;
        let mut body = AnswerBody::new(answer, decoder, Arc::clone(&self.endpoint), began, limit)?;
        let mut events = vec![RunEventBody::Started { prompt_tokens: 0 }];
        if let Err(error) = body.read(&mut events).await {
            self.ledger.refused(&error, None, Timestamp::now());
            return Err(error);
        }
        Ok(Box::pin(futures::stream::iter(events)))
    }
}

fn late(name: &str, how: &str) -> ApiError {
    ApiError::new(ErrorCode::ProviderTimeout, format!("the provider {name} {how}"))
}

/// A request that got no answer. The innermost cause is told, since it has no address.
fn unreachable(name: &str, error: &SendError) -> ApiError {
    let reason = transport_error::reason(&**error);
    tracing::warn!(provider = name, reason, "a provider can't be reached");
    let code = if transport_error::is_timeout(&**error) {
        ErrorCode::ProviderTimeout
    } else {
        ErrorCode::ProviderError
    };
    ApiError::new(code, format!("the provider {name} can't be reached: {reason}"))
}
