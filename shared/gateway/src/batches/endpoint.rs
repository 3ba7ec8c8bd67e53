//! The body of a batch's request, and its answer, as the request's route has them.

use hearth_domain::{BatchEndpoint, Generation, RunId, Usage};
use hearth_wire::{
    ApiError, RunEvent, RunEventBody,
    anthropic::{MessagesRenderer, MessagesRequest},
    json_body::parse_json,
    openai::{
        chat::{ChatRenderer, ChatRequest},
        completions::{Completion, CompletionRenderer, CompletionRequest},
        embeddings::{EmbeddingList, EmbeddingRequest, EncodingFormat},
        responses::{
            PREVIOUS_RESPONSE, ResponsesRenderer, ResponsesRequest, ResponsesTurn, name_stored_parts,
        },
    },
    stream::Render,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{access::Caller, components::Components, conversations::Conversation};

/// A run of a request, and the form of its answer.
pub(super) struct RequestRun {
    pub(super) generation: Generation,
    pub(super) form: AnswerForm,
}

/// The form of a run's answer.
pub(super) enum AnswerForm {
    Chat(Box<ChatRenderer>),
    Completion(Box<CompletionRenderer>),
    Embeddings(usize, EncodingFormat),
    Message(Box<MessagesRenderer>),
    /// A response, and the conversation that is stored with it, if it is to be.
    Response(Box<ResponsesRenderer>, Option<Box<Conversation>>),
}

/// Parses the body of a request, whose first run has the id `id`. A request for completions of several prompts has several runs.
///
/// # Errors
/// `invalid_request`, naming the field; `not_found` for a response that the request continues.
pub(super) async fn parse(
    gateway: &Components,
    caller: &Caller,
    (endpoint, betas): (BatchEndpoint, &[String]),
    body: &[u8],
    id: RunId,
) -> Result<Vec<RequestRun>, ApiError> {
    let (generation, form) = match endpoint {
        BatchEndpoint::ChatCompletions => {
            let request: ChatRequest = parse_json(body)?;
            refuse_stream(request.streams())?;
            let renderer = request.renderer(id);
            (request.into_generation()?, AnswerForm::Chat(Box::new(renderer)))
        }
        BatchEndpoint::Completions => {
            let request: CompletionRequest = parse_json(body)?;
            refuse_stream(request.streams())?;
            let runs = request.into_generations(id)?;
            let form = |renderer| AnswerForm::Completion(Box::new(renderer));
            let runs = runs
                .into_iter()
                .map(|(generation, renderer)| RequestRun { generation, form: form(renderer) });
            return Ok(runs.collect());
        }
        BatchEndpoint::Embeddings => {
            let request: EmbeddingRequest = parse_json(body)?;
            let form = AnswerForm::Embeddings(request.input.count(), request.format());
            (request.into_generation()?, form)
        }
        BatchEndpoint::Messages => {
            let request: MessagesRequest = parse_json(body)?;
            refuse_stream(request.streams())?;
            let renderer = request.renderer(id);
            let mut generation = request.into_generation()?;
            generation.extra.betas = betas.to_vec();
            (generation, AnswerForm::Message(Box::new(renderer)))
        }
        BatchEndpoint::Responses => response(gateway, caller, parse_json(body)?, id).await?,
    };
    Ok(vec![RequestRun { generation, form }])
}

async fn response(
    gateway: &Components,
    caller: &Caller,
    mut request: ResponsesRequest,
    id: RunId,
) -> Result<(Generation, AnswerForm), ApiError> {
    refuse_stream(request.streams())?;
    if request.is_background() {
        let message =
            "background is for single requests: those of a batch are all carried out in the background";
        return Err(ApiError::invalid("background", message));
    }
    if request.conversation()?.is_some() {
        let message =
            "conversation isn't possible in a batch, whose requests have no order; send the items in input";
        return Err(ApiError::invalid("conversation", message));
    }
    gateway.conversations.resolve_item_references(caller, &mut request).await?;
    let earlier = match request.previous()? {
        Some(previous) => {
            let stored = gateway.conversations.get(caller, previous).await;
            let mut messages = stored.map_err(|error| error.at(PREVIOUS_RESPONSE))?.into_sent();
            name_stored_parts(&mut messages, PREVIOUS_RESPONSE);
            messages
        }
        None => Vec::new(),
    };
    let (stores, renderer, render) = (request.stores(), request.renderer(id), request.render_options());
    let request_echo = json!(request.echo());
    let ResponsesTurn { generation, messages, earlier_count } = request.into_turn(earlier)?;
    let conversation = stores.then(|| {
        let stored =
            Conversation { messages, earlier_count, request_echo, render, ..Conversation::default() };
        Box::new(stored)
    });
    Ok((generation, AnswerForm::Response(Box::new(renderer), conversation)))
}

fn refuse_stream(streams: bool) -> Result<(), ApiError> {
    if streams {
        let message = "stream must be false in a batch: its answers are in a file";
        return Err(ApiError::invalid("stream", message));
    }
    Ok(())
}

impl AnswerForm {
    /// The answer of a run with these events.
    ///
    /// # Errors
    /// The run's own error; `cancelled` if it was stopped.
    pub(super) fn into_answer(self, events: &[RunEvent]) -> Result<Value, ApiError> {
        match self {
            Self::Chat(renderer) => whole(*renderer, events),
            Self::Completion(renderer) => whole(*renderer, events),
            Self::Message(renderer) => whole(*renderer, events),
            Self::Response(renderer, _) => whole(*renderer, events),
            Self::Embeddings(count, format) => {
                EmbeddingList::from_events(events, count, format).map(value_of)
            }
        }
    }

    /// True if the answer is in no record: then a run whose answer wasn't received is repeated.
    pub(super) fn is_unrecorded(&self) -> bool {
        matches!(self, Self::Embeddings(..))
    }

    /// Takes the conversation that is to be stored with the answer.
    pub(super) fn take_conversation(&mut self) -> Option<Conversation> {
        match self {
            Self::Response(_, conversation) => conversation.take().map(|conversation| *conversation),
            _ => None,
        }
    }
}

/// Joins the answers of a request's runs.
pub(super) fn join(mut answers: Vec<Value>) -> Value {
    if answers.len() == 1 {
        return answers.swap_remove(0);
    }
    let completions = answers.into_iter().filter_map(|answer| serde_json::from_value(answer).ok());
    value_of(Completion::joined(completions.collect()))
}

/// The tokens of a run with these events.
pub(super) fn usage_of(events: &[RunEvent]) -> Usage {
    let usage = events.iter().rev().find_map(|event| match &event.body {
        RunEventBody::Usage { usage } => Some(*usage),
        _ => None,
    });
    usage.unwrap_or_default()
}

fn whole<R: Render>(mut renderer: R, events: &[RunEvent]) -> Result<Value, ApiError> {
    events.iter().for_each(|event| renderer.observe(event));
    renderer.into_answer(events).map(value_of)
}

fn value_of(answer: impl Serialize) -> Value {
    // Our own types have string keys and no failing serializers.
    serde_json::to_value(answer).unwrap_or_default()
}
