//! The request of a recorded run, for a new run.
//!
//! It is stored where its client or the operator wants it; else the conversation of a response has its messages, and the options
//! that the response repeats.

use hearth_domain::{CacheControl, Generation, ModelId, OnDisconnect, Run, RunId, Task};
use hearth_wire::{ApiError, ErrorCode, openai::responses::ResponsesRequest};
use serde_json::{Map, Value};

use super::{Requests, list::may_manage};
use crate::{Gateway, access::Caller, conversations::Conversation, error};

/// Fields of a response that are no part of its request, or that have no meaning in a new one.
const ECHO_ONLY: [&str; 5] = ["background", CONVERSATION, "previous_response_id", "service_tier", "store"];
/// Field with the conversation that a response belongs to.
const CONVERSATION: &str = "conversation";

impl Gateway {
    /// The request of the caller's run, to be sent again: `model` in place of its model, if there is one.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::request`]; `conflict` if the request isn't stored.
    #[crate::boxed_future]
    pub async fn generation_of(
        &self,
        caller: &Caller,
        id: RunId,
        model: Option<String>,
    ) -> Result<Generation, ApiError> {
        self.0.requests.generation_of(caller, id, model).await
    }
}

impl Requests {
    /// The request of the caller's run `id`, to be sent again; `model` in place of its model, if there is one. It asks a model in
    /// any case, and stops with its client.
    ///
    /// # Errors
    /// `not_found` as for [`Requests::get`]; `conflict` if neither the request nor a conversation is stored; `internal` if the
    /// store fails.
    pub(crate) async fn generation_of(
        &self,
        caller: &Caller,
        id: RunId,
        model: Option<String>,
    ) -> Result<Generation, ApiError> {
        let run = self.get(caller, id).await?;
        if !may_manage(caller, &run) {
            return Err(error::no_such_request());
        }
        let stored = self.store.run_requests().get(id, caller.owner()).await.map_err(error::store)?;
        let mut generation = match stored {
            Some(generation) => generation,
            None => {
                let conversation = self.store.conversations().get(id, caller.owner()).await;
                let conversation = conversation.map_err(error::store)?.ok_or_else(not_stored)?;
                generation_of_conversation(&run, conversation)?
            }
        };
        if matches!(generation.task, Task::Embedding(_)) {
            let message = "vectors are answered by POST /v1/embeddings alone; send the request again";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        if let Some(model) = model {
            // The provider was a constraint on the earlier model.
            (generation.model, generation.route.provider) = (Some(ModelId::new(model)), None);
        }
        generation.on_disconnect = OnDisconnect::Cancel;
        generation.cache = CacheControl::NoCache;
        generation.replay_of = Some(id);
        Ok(generation)
    }
}

/// The request of a response: its conversation without the answer, and the options that the response repeats, at the model that
/// served it.
fn generation_of_conversation(run: &Run, conversation: Conversation) -> Result<Generation, ApiError> {
    let Conversation { mut messages, request_echo, is_open, .. } = conversation;
    if !is_open {
        // The answer.
        messages.pop();
    }
    let mut fields = match request_echo {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    if fields.get(CONVERSATION).is_some_and(|conversation| !conversation.is_null()) {
        // The items before it are the session's.
        return Err(of_session());
    }
    fields.retain(|name, value| !value.is_null() && !ECHO_ONLY.contains(&name.as_str()));
    fields.insert("model".to_owned(), run.selection.model.to_string().into());
    let request: ResponsesRequest = serde_json::from_value(Value::Object(fields)).map_err(|error| {
        tracing::warn!(run = %run.id, %error, "a response can't be replayed from its conversation");
        not_stored()
    })?;
    let mut generation = request.into_turn(messages)?.generation;
    if run.selection.node.is_none() {
        generation.route.provider = Some(run.selection.provider.clone());
    }
    Ok(generation)
}

fn of_session() -> ApiError {
    let message = "the response belongs to a conversation, whose earlier items it needs; POST /v1/sessions/{id}/regenerate with \
                   its request_id generates it again, where the id is the conversation's";
    ApiError::new(ErrorCode::Conflict, message)
}

fn not_stored() -> ApiError {
    let message = "the request of this run isn't stored, so it can't be repeated: prompts are stored only for a request with \
                   `store: true`, for POST /v1/responses, or with the operator's setting requests.store; a request of a \
                   session is repeated by POST /v1/sessions/{id}/regenerate";
    ApiError::new(ErrorCode::Conflict, message)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, NodeId, Role, Selection, UserId};
    use serde_json::json;

    use super::*;

    #[test]
    fn conversation_is_replayed_without_its_answer_and_with_the_repeated_options() {
        let selection = Selection { node: Some(NodeId::new()), ..Selection::example("tiny-chat", "local") };
        let run = Run { selection, ..Run::example(UserId::new()) };
        let request: ResponsesRequest = serde_json::from_value(json!({
            "model": "auto", "input": "Hi", "instructions": "Be brief.", "temperature": 0.5, "max_output_tokens": 7,
            "background": true, "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        }))
        .unwrap();
        let request_echo = json!(request.echo());
        let earlier = request.into_turn(Vec::new()).unwrap();
        let mut messages = earlier.messages;
        messages.push(Message::new(Role::Assistant, "Hello."));
        let conversation = Conversation { messages, request_echo, ..Conversation::default() };
        let again = generation_of_conversation(&run, conversation).unwrap();
        let (Task::Text(again_task), Task::Text(task)) = (&again.task, &earlier.generation.task) else {
            panic!("a text")
        };
        assert_eq!(again_task.messages, task.messages);
        assert_eq!(again_task.tools, task.tools);
        assert_eq!(again_task.sampling.temperature, Some(0.5));
        assert_eq!(again_task.sampling.max_tokens, Some(7));
        assert_eq!(again.model, Some(ModelId::new("tiny-chat")));
        assert_eq!((again.route.provider, again.on_disconnect), (None, OnDisconnect::Cancel));
    }

    #[test]
    fn response_of_a_conversation_is_refused_with_the_advice_to_regenerate_it() {
        let request_echo = json!({"conversation": {"id": "sess_01J9ZX5V2QH8N4T6W0C3M7K1RB"}});
        let messages = vec![Message::new(Role::User, "Hi"), Message::new(Role::Assistant, "Hello.")];
        let conversation = Conversation { messages, request_echo, ..Conversation::default() };
        let error = generation_of_conversation(&Run::example(UserId::new()), conversation).unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        assert!(error.message.contains("regenerate"), "{error:?}");
    }
}
