//! Renderer of run events for the native dialect.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{
    AppliedDefinitions, Artifact, Cost, FinishReason, Modality, RunId, Selection, TokenLogprob, Usage,
};
use serde_json::{Value, json};

use super::{
    generate::{GenerateResponse, SelectionBody},
    output::Output,
    providers::CreditsBody,
    turns::{TurnFields, TurnNotes},
};
use crate::{
    ApiError, RunEvent, RunEventBody,
    answer::{Answers, final_outcome},
    event::ToolCallBegin,
    logprobs::token_logprobs,
    stream::{Frame, Render},
};

/// Renderer: converts a run's events to frames, and to the complete response at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    modality: Modality,
    selection: SelectionBody,
    answers: Answers,
    artifacts: Vec<Artifact>,
    usage: Usage,
    /// Address of the gateway for the client.
    base: String,
    cost: Option<Cost>,
    credits: Option<CreditsBody>,
    turn: TurnNotes,
    definitions: AppliedDefinitions,
}

impl Render for Renderer {
    type Answer = GenerateResponse;

    fn note_definitions(&mut self, definitions: &AppliedDefinitions) {
        self.definitions = definitions.clone();
    }

    /// None for the events that only collect.
    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        self.note(&event.body);
        let value = match &event.body {
            RunEventBody::Selected(selected) => self.selected(selected),
            RunEventBody::Waiting { reason, until } => {
                json!({"event": "waiting", "reason": reason, "until": until})
            }
            RunEventBody::Queued { position } => json!({"event": "queued", "position": position}),
            RunEventBody::Loading { progress } => json!({"event": "loading", "progress": progress}),
            RunEventBody::Progress { step, steps, preview } => progress(*step, *steps, preview),
            RunEventBody::Delta { choice, text, logprobs } => delta(*choice, text, logprobs),
            RunEventBody::Refusal { choice, text } => delta(*choice, text, &[]),
            RunEventBody::Reasoning { choice, added, .. } if !added.text.is_empty() => {
                json!({"event": "reasoning", "choice": choice, "text": added.text})
            }
            RunEventBody::ToolCall { choice, index, begins, arguments } => {
                tool_call(*choice, *index, begins.as_ref(), arguments)
            }
            RunEventBody::Done { finish_reason } => self.complete(*finish_reason),
            RunEventBody::Cancelled => self.complete(FinishReason::Cancelled),
            RunEventBody::Error { error } => {
                let envelope = error.envelope(&self.request_id.to_string());
                json!({"event": "error", "error": envelope.error})
            }
            RunEventBody::Started { .. }
            | RunEventBody::Reasoning { .. }
            | RunEventBody::Extension { .. }
            | RunEventBody::StopText { .. }
            | RunEventBody::Structured { .. }
            | RunEventBody::ChoiceDone { .. }
            | RunEventBody::Embedding { .. }
            | RunEventBody::File { .. }
            | RunEventBody::FilePart { .. }
            | RunEventBody::Artifact { .. }
            | RunEventBody::Usage { .. }
            | RunEventBody::Cost { .. }
            | RunEventBody::Credits { .. } => return Vec::new(),
        };
        vec![Frame::json(Some(event.seq), &value)]
    }

    fn into_answer(mut self, events: &[RunEvent]) -> Result<GenerateResponse, ApiError> {
        let reason = final_outcome(events)?;
        events.iter().for_each(|event| self.note(&event.body));
        Ok(self.response(Some(reason)))
    }
}

impl Renderer {
    /// A renderer for the run `request_id`, before its first event.
    #[must_use]
    pub fn new(request_id: RunId) -> Self {
        let (modality, selection) = (Modality::Text, SelectionBody::default());
        let (answers, usage) = (Answers::default(), Usage::default());
        let (artifacts, base) = (Vec::new(), String::new());
        let (cost, credits, turn) = (None, None, TurnNotes::default());
        let definitions = AppliedDefinitions::default();
        Self {
            request_id,
            modality,
            selection,
            answers,
            artifacts,
            usage,
            base,
            cost,
            credits,
            turn,
            definitions,
        }
    }

    /// The same for a turn of a session, or for a request with state tokens.
    #[must_use]
    pub fn with_turn(mut self, turn: TurnNotes) -> Self {
        self.turn = turn;
        self
    }

    /// The same for a client that reaches the gateway at `base`, an address without a slash at its end:
    /// links begin with it. They are paths otherwise.
    #[must_use]
    pub fn reached_at(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    /// Collects the parts of an event that later frames and the response contain.
    fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => {
                self.modality = selected.modality;
                self.selection = selected.into();
            }
            RunEventBody::Started { prompt_tokens } => self.usage.prompt_tokens = *prompt_tokens,
            RunEventBody::Usage { usage } => self.usage = *usage,
            RunEventBody::Artifact { artifact, .. } => self.artifacts.push(artifact.clone()),
            RunEventBody::Cost { cost } => self.cost = Some(*cost),
            RunEventBody::Credits { provider, credits } => {
                self.credits = Some(CreditsBody::new(provider, credits));
            }
            event => self.answers.apply(event),
        }
    }

    fn selected(&self, selected: &Selection) -> Value {
        let mut value = json!({
            "event": "model_selected", "request_id": self.request_id, "model": selected.model,
            "model_name": selected.model_name, "provider": selected.provider,
            "modality": selected.modality, "fallback_used": selected.fallback_used,
        });
        if let Some(node) = selected.node {
            value["node"] = json!(node);
        }
        if selected.resumed {
            value["resumed"] = json!(true);
        }
        value
    }

    fn complete(&self, finish_reason: FinishReason) -> Value {
        let mut value = json!(self.response(Some(finish_reason)));
        value["event"] = json!("complete");
        value
    }

    /// Returns the response of the events so far.
    fn response(&self, finish_reason: Option<FinishReason>) -> GenerateResponse {
        let TurnFields { session_id, message_id, state_tokens, warnings } = self.turn.get();
        GenerateResponse {
            request_id: self.request_id.to_string(),
            model: self.selection.selected_model.clone(),
            modality: self.modality,
            session_id,
            message_id,
            state_tokens,
            selection: self.selection.clone(),
            output: Output::from(&self.answers).with(&self.artifacts, &self.base),
            usage: self.usage.into(),
            cost: self.cost.map(Into::into),
            credits_status: self.credits.clone(),
            finish_reason,
            structured: self
                .answers
                .all()
                .first()
                .and_then(|answer| answer.structured.as_ref())
                .map(Into::into),
            schema: self.definitions.schema.clone(),
            template: self.definitions.template.clone(),
            warnings,
        }
    }
}

/// Renders the progress of a picture.
fn progress(step: u32, steps: u32, preview: &[u8]) -> Value {
    let mut value = json!({"event": "progress", "step": step, "steps": steps});
    if !preview.is_empty() {
        value["preview"] = json!(format!("data:image/png;base64,{}", STANDARD.encode(preview)));
    }
    value
}

/// Renders a piece of text. `output.text` has the first answer's; the other answers are in `choices`.
fn delta(choice: u32, text: &str, logprobs: &[TokenLogprob]) -> Value {
    let mut added = json!({"index": choice, "delta": {"content": text}});
    if !logprobs.is_empty() {
        added["logprobs"] = json!(token_logprobs(logprobs));
    }
    json!({"event": "delta", "text": if choice == 0 { text } else { "" }, "choices": [added]})
}

fn tool_call(choice: u32, index: u32, begins: Option<&ToolCallBegin>, arguments: &str) -> Value {
    let mut value = json!({"event": "tool_call", "choice": choice, "index": index});
    if let Some(begin) = begins {
        value["id"] = json!(begin.id);
        value["name"] = json!(begin.name);
    }
    value["arguments"] = json!(arguments);
    value
}

#[cfg(test)]
mod tests;
