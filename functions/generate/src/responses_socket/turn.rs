//! One response of a socket: its message, its run, and the conversation that it ends.

use hearth_domain::{Message, RunId};
use hearth_gateway::{Conversation, Delivery, RunStream};
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    answer::Answers,
    json_body::parse_json,
    openai::responses::{
        ItemLayout, PREVIOUS_RESPONSE, ResponsesRenderer, ResponsesRequest, ResponsesTurn, name_stored_parts,
        sent_answer, stored_answer,
    },
    stream::{Frame, Render as _},
};
use serde_json::{Map, Value, json};

use crate::{conversation_turn, run_request::RunRequest};

/// Limit of the bytes of a conversation in memory, as JSON. A longer one is continued only if it is stored.
const LATEST_MAX_BYTES: usize = 4 << 20;

/// The latest complete response of a socket.
pub(super) struct Latest {
    id: RunId,
    messages: Vec<Message>,
}

impl Latest {
    /// None if the conversation is too long to be kept.
    fn new(id: RunId, messages: Vec<Message>) -> Option<Self> {
        let json = serde_json::to_vec(&messages).ok()?;
        (json.len() <= LATEST_MAX_BYTES).then_some(Self { id, messages })
    }
}

/// A response in progress.
pub(super) struct Turn {
    run: RunStream,
    renderer: ResponsesRenderer,
    /// The conversation up to the answer.
    messages: Vec<Message>,
    answers: Answers,
    layout: ItemLayout,
    is_complete: bool,
}

impl Turn {
    /// Begins the run that a message asks for.
    ///
    /// # Errors
    /// The error, and the id of the request.
    pub(super) async fn begin(
        request: RunRequest,
        latest: Option<&Latest>,
        text: &str,
    ) -> Result<Self, (RunId, ApiError)> {
        let id = request.id;
        // Boxed: the future is large.
        Box::pin(Self::begin_run(request, latest, text)).await.map_err(|error| (id, error))
    }

    async fn begin_run(
        run_request: RunRequest,
        latest: Option<&Latest>,
        text: &str,
    ) -> Result<Self, ApiError> {
        let mut request = parse_message(text)?;
        run_request.gateway.resolve_item_references(&run_request.caller, &mut request).await?;
        let (renderer, render, stores) =
            (request.renderer(run_request.id), request.render_options(), request.stores());
        let request_echo = json!(request.echo());
        let (run_request, ResponsesTurn { generation, messages, earlier_count }) =
            match (request.previous()?, latest) {
                (Some(previous), Some(latest)) if previous == latest.id => {
                    let mut earlier = latest.messages.clone();
                    name_stored_parts(&mut earlier, PREVIOUS_RESPONSE);
                    let turn = conversation_turn::continue_after(&run_request, request, earlier).await?;
                    (run_request, turn)
                }
                _ => conversation_turn::into_turn(run_request, request).await?,
            };
        let RunRequest { gateway, caller, id, .. } = &run_request;
        let on_disconnect = generation.on_disconnect;
        let conversation = stores.then(|| Conversation {
            messages: messages.clone(),
            earlier_count,
            request_echo,
            render,
            ..Conversation::default()
        });
        if let Some(conversation) = conversation.as_ref().filter(|_| on_disconnect.outlives_client()) {
            gateway.open_conversation(caller, *id, conversation).await?;
        }
        let mut run = run_request.run(generation, Delivery::Stream).await?;
        if let Some(conversation) = conversation {
            run = gateway.keep_conversation(caller, run, conversation, on_disconnect).await?;
        }
        Ok(Self {
            run,
            renderer,
            messages,
            answers: Answers::default(),
            layout: ItemLayout::default(),
            is_complete: false,
        })
    }

    /// The frames of the next event; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Vec<Frame>> {
        let event = self.run.next().await?;
        self.answers.apply(&event.body);
        self.layout.add_event(&event.body);
        self.is_complete |= matches!(event.body, RunEventBody::Done { .. });
        Some(self.renderer.frames(&event))
    }

    /// The response, if it is complete and not too long, for the next one to continue.
    pub(super) fn into_latest(mut self) -> Option<Latest> {
        let answer = self.answers.all().first().filter(|_| self.is_complete)?;
        let stored = stored_answer(answer, &self.layout, self.run.id);
        self.messages.push(sent_answer(stored, &self.layout));
        Latest::new(self.run.id, self.messages)
    }
}

/// Reads a `response.create` message: a request without the fields of its transport.
fn parse_message(text: &str) -> Result<ResponsesRequest, ApiError> {
    let mut fields: Map<String, Value> = parse_json(text.as_bytes())?;
    if fields.remove("type") != Some(json!("response.create")) {
        return Err(ApiError::invalid("type", "type must be response.create"));
    }
    // Each response is streamed.
    fields.remove("stream");
    if fields.get("background") == Some(&json!(true)) {
        let message = "background isn't possible over a WebSocket; send POST /v1/responses";
        return Err(ApiError::invalid("background", message));
    }
    if fields.remove("generate") == Some(json!(false)) {
        let message = "generate: false isn't supported: nothing is prepared before a response; leave it out";
        return Err(ApiError::invalid("generate", message));
    }
    let body = serde_json::to_vec(&fields);
    let body = body.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
    parse_json(&body)
}

#[cfg(test)]
mod tests {
    use hearth_domain::Role;

    use super::*;

    #[test]
    fn long_conversation_is_not_kept() {
        let of = |bytes| Latest::new(RunId::new(), vec![Message::new(Role::User, "x".repeat(bytes))]);
        assert!(of(LATEST_MAX_BYTES / 2).is_some());
        assert!(of(LATEST_MAX_BYTES).is_none());
        let turns = vec![Message::new(Role::User, "x".repeat(LATEST_MAX_BYTES / 2)); 2];
        assert!(Latest::new(RunId::new(), turns).is_none());
    }

    #[test]
    fn message_is_a_request_without_the_fields_of_its_transport() {
        let request =
            parse_message(r#"{"type": "response.create", "model": "m", "input": "Hi", "stream": true}"#);
        let request = request.unwrap();
        assert_eq!((request.model.as_str(), request.stream, request.extra.len()), ("m", None, 0));
        for (text, param) in [
            (r#"{"model": "m"}"#, "type"),
            (r#"{"type": "response.stop"}"#, "type"),
            (r#"{"type": "response.create", "model": "m", "background": true}"#, "background"),
            (r#"{"type": "response.create", "model": "m", "generate": false}"#, "generate"),
            (r#"{"type": "response.create", "model": 3}"#, "model"),
        ] {
            assert_eq!(parse_message(text).unwrap_err().param.as_deref(), Some(param), "{text}");
        }
    }
}
