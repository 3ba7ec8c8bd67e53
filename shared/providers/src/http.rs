//! A provider behind an HTTP API: sends a call in the vendor's dialect, and reads the answer.

mod answer;
mod answer_mode;
mod connection;
mod media_exchange;
mod media_memory;
mod request_error;
mod runs;
mod schema_check;
mod schema_refusal;
mod target;

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use hearth_domain::{ClientDialect, Credits, Modality, RunId, Task, TextTask, Timestamp};
use hearth_telemetry::traces;
use hearth_wire::{ApiError, RunEventBody};
use http::Request;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    credits::{BalanceReading, Billing},
    decoder::Decoder,
    dialect::AnswerMode,
    endpoint::{Endpoint, Timeouts},
    json_body,
    provider::{Call, EventStream, Provider},
    redact::Redactor,
    rules::{self, Prepared, SchemaChoice},
    transport::VendorClient,
    url_path::check_model_name,
};
use answer::{AnswerBody, AnswerEvents};
use answer_mode::answer_mode;
use connection::Connection;
use runs::ActiveRuns;
use schema_check::SchemaCheck;

/// A provider behind an HTTP API. Clones share its runs and its ledger of credit.
#[derive(Debug, Clone)]
pub struct HttpProvider {
    connection: Arc<Connection>,
    runs: ActiveRuns,
}

/// A request for text, and the decoder of its answer.
struct TextRequest {
    request: Request<Bytes>,
    mode: AnswerMode,
    decoder: Box<dyn Decoder>,
    /// The check of the answer against the request's schema, if it has one.
    schema: Option<SchemaCheck>,
}

impl HttpProvider {
    /// Creates a provider at `endpoint`, which is called through `client`.
    #[must_use]
    pub fn new(endpoint: Endpoint, client: impl Into<VendorClient>) -> Self {
        let connection = Connection::new(endpoint, client.into());
        Self { connection: Arc::new(connection), runs: ActiveRuns::default() }
    }

    /// The provider's address, credentials and timeouts.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.connection.endpoint
    }

    /// Finds the key in the provider's texts.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.connection.redactor
    }

    /// Requests a JSON document at `path` below the base URL.
    ///
    /// # Errors
    /// As for a generation, with the key hidden.
    pub(crate) async fn get_json(&self, path: &str) -> Result<Value, ApiError> {
        self.connection.get_json(path).await
    }

    pub(crate) fn record_balance(&self, reading: BalanceReading) {
        self.connection.ledger.record_balance(reading, Timestamp::now());
    }
}

#[async_trait::async_trait]
impl Provider for HttpProvider {
    fn name(&self) -> &str {
        &self.endpoint().name
    }

    fn kind(&self) -> &str {
        self.endpoint().vendor.kind
    }

    fn server_address(&self) -> Option<String> {
        self.connection.target().ok().map(|target| target.host().to_owned())
    }

    fn credits(&self) -> Option<Credits> {
        Some(self.connection.ledger.credits(Timestamp::now()))
    }

    fn speaks(&self, client: ClientDialect) -> bool {
        self.endpoint().dialect.is_spoken_by(client)
    }

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        self.begin(&call).await.map_err(|error| self.connection.redactor.redact_error(error))
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        Ok(self.runs.cancel(run))
    }
}

impl HttpProvider {
    /// Starts a generation. Its errors may contain the key.
    async fn begin(&self, call: &Call) -> Result<EventStream, ApiError> {
        check_model_name(call.model.as_str())?;
        match &call.generation.task {
            Task::Text(task) => self.generate_text(call, task).await,
            _ => {
                let connection = Arc::clone(&self.connection);
                let events = media_exchange::generate_media(&self.connection, &self.runs, call)?;
                Ok(Box::pin(events.map(move |event| connection.redactor.redact_event(event))))
            }
        }
    }

    async fn generate_text(&self, call: &Call, task: &TextTask) -> Result<EventStream, ApiError> {
        match self.request_text(call, task, SchemaChoice::Best).await {
            // Nothing was generated, and nothing is charged.
            Err(error) if schema_refusal::refuses_schema(&error, task) => {
                tracing::info!(
                    provider = self.endpoint().name,
                    "the provider refuses a schema; it is sent as an instruction"
                );
                self.request_text(call, task, SchemaChoice::Instruction).await
            }
            answer => answer,
        }
    }

    async fn request_text(
        &self,
        call: &Call,
        task: &TextTask,
        choice: SchemaChoice,
    ) -> Result<EventStream, ApiError> {
        let TextRequest { request, mode, decoder, schema } = self.text_request(call, task, choice)?;
        // OpenRouter's models of this name are free.
        let billing = if call.model.as_str().ends_with(":free") { Billing::Free } else { Billing::Paid };
        let events = match mode {
            AnswerMode::Stream => self.stream(call.run, request, decoder, billing).await?,
            AnswerMode::Whole => self.whole(request, decoder, billing).await?,
        };
        Ok(match schema {
            Some(schema) => schema.follow(events),
            None => events,
        })
    }

    /// Builds the request for a text, which conforms to the vendor's rules.
    fn text_request(
        &self,
        call: &Call,
        task: &TextTask,
        choice: SchemaChoice,
    ) -> Result<TextRequest, ApiError> {
        let endpoint = self.endpoint();
        let Endpoint { name, vendor, dialect, .. } = endpoint;
        if !vendor.media.text {
            return Err(endpoint.unsupported(Modality::Text));
        }
        let original = task;
        let Prepared { task, restore, schema } =
            rules::prepare(name, vendor.rules, vendor.kind, *dialect, call, task, choice)?;
        let mode = answer_mode(endpoint, call, &task, restore.applies_stops());
        let body = dialect.body(call, &task, mode);
        let body = body.map_err(|error| rules::with_client_field_name(error, &call.generation))?;
        let schema = schema.and_then(|plan| {
            let how = plan.how(dialect.enforces_schema(&body));
            SchemaCheck::new(original, how, plan.form, call.delivery)
        });
        let body = Bytes::from(json_body::serialize(&body));
        let path = dialect.path(call.model.as_str(), mode)?;
        let mut request = self.connection.target()?.post_json(&path, dialect.media_type(mode), body)?;
        request.headers_mut().extend(dialect.headers(call));
        if traces::reaches_vendors() {
            call.trace.write_headers(request.headers_mut());
        }
        Ok(TextRequest { request, mode, decoder: restore.wrap(dialect.decoder()), schema })
    }

    /// Sends a request, and returns the events of its streamed answer once the head has arrived.
    async fn stream(
        &self,
        run: RunId,
        request: Request<Bytes>,
        decoder: Box<dyn Decoder>,
        billing: Billing,
    ) -> Result<EventStream, ApiError> {
        let Timeouts { first_byte, total, .. } = self.endpoint().timeouts;
        let response = self.connection.send_text(request, first_byte, billing).await?;
        let body = AnswerBody::new(response, decoder, Arc::clone(&self.connection), Instant::now(), total)?;
        let (cancelled, guard) = self.runs.register(run);
        Ok(Box::pin(AnswerEvents::new(body, cancelled, guard)))
    }

    /// Sends a request, and reads its whole answer. If the client goes away, this future is dropped, which closes the
    /// connection.
    async fn whole(
        &self,
        request: Request<Bytes>,
        decoder: Box<dyn Decoder>,
        billing: Billing,
    ) -> Result<EventStream, ApiError> {
        let (began, timeout) = (Instant::now(), self.endpoint().timeouts.whole_answer);
        let response = self.connection.send_text(request, timeout, billing).await?;
        let mut body = AnswerBody::new(response, decoder, Arc::clone(&self.connection), began, timeout)?;
        let mut events = vec![RunEventBody::Started { prompt_tokens: 0 }];
        if let Err(error) = body.read(&mut events).await {
            self.connection.ledger.record_error(&error, None, Timestamp::now());
            return Err(error);
        }
        Ok(Box::pin(futures::stream::iter(events)))
    }
}
