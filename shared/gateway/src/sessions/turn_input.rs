//! The input of a turn: the request's own, with the messages of the session's branch before it.

use std::{collections::HashSet, sync::Arc};

use hearth_domain::{
    ArtifactId, Capability, ContextOverflow, Generation, Image, Input, Intent, Mesh, MeshTask, Message,
    Modality, ModelInfo, Role, RunId, Session, SessionMessage, SessionMessageId, SessionMessageState,
    SessionSummary, Task, TextTask, message::name_results,
};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{
    branch_end::read_branch_end,
    context::{PromptSizes, Room, TokenEstimate, fit, left_out_warning},
    earlier_turn::TOO_LONG,
    history::{LatestOutput, add_images, latest_output, pictures_for_next, text_messages, with_content},
    summary::summarise,
    token_count::prompt_sizes,
    turn::{TurnRequest, TurnSource},
};
use crate::{
    access::Caller, artifacts::ArtifactAccess, components::Components, configuration::RoutingSnapshot,
    routing::Candidate,
};

/// Largest number of messages of one input: they are stored at once, and DynamoDB stores 100 items at once.
const INPUT_MAX_COUNT: usize = 80;
/// Limit of the bytes of the options that are stored with an answer: they are in the item, which has a limit.
const OPTIONS_MAX_BYTES: usize = 24 << 10;
/// Largest number of files of earlier turns that one prompt contains.
const FILE_MAX_COUNT: usize = 8;
/// Beginning of the part of the system prompt that has the summary.
const SUMMARY_HEADING: &str = "Summary of the earlier conversation:";

/// A turn that is ready to run.
pub(super) struct PreparedTurn {
    /// The request with the session's messages.
    pub(super) generation: Generation,
    /// The messages to append, the pending answer last.
    pub(super) messages: Vec<SessionMessage>,
    /// The message that they follow.
    pub(super) parent: Option<SessionMessageId>,
    /// A summary that was made for the turn.
    pub(super) summary: Option<SessionSummary>,
    /// Text of the first prompt, if the branch has begun with this turn.
    pub(super) first_prompt: Option<String>,
    /// Warnings for the client.
    pub(super) warnings: Vec<String>,
}

/// Builds the turns of one request.
pub(super) struct TurnBuilder<'a> {
    pub(super) gateway: &'a Components,
    pub(super) caller: &'a Caller,
    pub(super) session: &'a Session,
    pub(super) turn: &'a TurnRequest,
    pub(super) run: RunId,
    warnings: Vec<String>,
    summary: Option<SessionSummary>,
    /// Estimated tokens of the prompt, for the estimate of the next turn.
    prompt_estimate: Option<u32>,
}

impl<'a> TurnBuilder<'a> {
    pub(super) fn new(
        gateway: &'a Components,
        caller: &'a Caller,
        session: &'a Session,
        turn: &'a TurnRequest,
        run: RunId,
    ) -> Self {
        let (warnings, summary, prompt_estimate) = (Vec::new(), None, None);
        Self { gateway, caller, session, turn, run, warnings, summary, prompt_estimate }
    }

    /// Adds the session's messages to `generation`, the request as its client has sent it.
    ///
    /// # Errors
    /// `context_length_exceeded` by the session's policy; the error of a request that no model can serve.
    pub(super) async fn build(mut self, generation: Generation) -> Result<PreparedTurn, ApiError> {
        let gateway = self.gateway;
        let routing = gateway.configuration.current().await;
        let mut generation = generation;
        if generation.intent == Intent::Open {
            generation = gateway.router.apply_intent(&routing, self.caller, generation).await;
        }
        let (context_head, parent) = match &self.turn.source {
            TurnSource::Input => (self.session.head, self.session.head),
            TurnSource::Again { before, parent, .. } => (*before, parent.unwrap_or(self.session.head)),
        };
        let path = read_branch_end(gateway, self.session.id, context_head).await?;
        if path.before.is_some() {
            let count = path.messages.len();
            self.warnings.push(format!("the messages before the latest {count} are left out of the prompt"));
        }
        let path = path.messages;
        let input = self.take_input(&mut generation);
        if input.len() > INPUT_MAX_COUNT {
            let message = format!(
                "a turn has at most {INPUT_MAX_COUNT} messages of input; add earlier ones by POST /v1/conversations/{{id}}/items"
            );
            return Err(ApiError::invalid("input", message));
        }
        let candidate = self.first_candidate(&routing, &generation, &input).await?;
        let info = candidate.as_ref().and_then(|candidate| candidate.info.as_ref());
        let readable = self.readable_files(&path, &generation, info).await;
        match &mut generation.task {
            Task::Image(task) if task.images.is_empty() => {
                if let Some(LatestOutput::Pictures(pictures)) = latest_output(&path, &readable) {
                    task.images = pictures;
                }
            }
            Task::Mesh(task) if task.image.is_none() && task.mesh.is_none() => {
                add_to_mesh(task, latest_output(&path, &readable), info);
            }
            _ => {}
        }
        if matches!(generation.task, Task::Text(_)) {
            self.add_history(&mut generation, input.clone(), &path, candidate.as_ref(), &readable).await?;
        }
        let first_prompt = with_content(&path).is_empty().then(|| first_text(&input)).flatten();
        let messages = self.new_messages(&generation, input);
        let Self { warnings, summary, .. } = self;
        Ok(PreparedTurn { generation, messages, parent, summary, first_prompt, warnings })
    }

    /// Takes the messages of the input out of the task, which then has a request's system prompt alone.
    fn take_input(&self, generation: &mut Generation) -> Vec<Message> {
        let earlier = match &self.turn.source {
            TurnSource::Again { input, .. } => Some(input.clone()),
            TurnSource::Input => None,
        };
        match &mut generation.task {
            Task::Text(task) => {
                let system_count = usize::from(self.turn.has_system_prompt).min(task.messages.len());
                let rest = task.messages.split_off(system_count);
                earlier.unwrap_or_else(|| rest.into_iter().skip(self.turn.earlier_count).collect())
            }
            Task::Image(task) => {
                if let Some([message, ..]) = earlier.as_deref() {
                    task.prompt.clone_from(&message.content);
                    task.images = message.images.iter().map(|placed| placed.image.clone()).collect();
                }
                earlier.unwrap_or_else(|| vec![user_message(&task.prompt, &task.images)])
            }
            Task::Mesh(task) => {
                if let Some([message, ..]) = earlier.as_deref() {
                    task.prompt = Some(message.content.clone()).filter(|prompt| !prompt.is_empty());
                    task.image = message.images.first().map(|placed| placed.image.clone());
                    task.mesh = self.turn.options["mesh"].as_str().and_then(Mesh::at);
                }
                earlier.unwrap_or_else(|| {
                    vec![user_message(task.prompt.as_deref().unwrap_or_default(), task.image.as_slice())]
                })
            }
            Task::Embedding(_) => Vec::new(),
        }
    }

    /// The first choice for the turn; none if it isn't known before the run.
    async fn first_candidate(
        &self,
        routing: &Arc<RoutingSnapshot>,
        generation: &Generation,
        input: &[Message],
    ) -> Result<Option<Candidate>, ApiError> {
        let mut probe = generation.clone();
        if let Task::Text(task) = &mut probe.task {
            task.messages = input.to_vec().into();
        }
        self.gateway.preferences.apply(self.caller, &mut probe).await;
        match self.gateway.router.resolve(routing, self.caller, &probe).await {
            Ok(candidates) => Ok(candidates.into_iter().next()),
            // It waits for a node, or has its error later.
            Err(_) if generation.route.home.is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The latest files of earlier turns that are still stored and that the model takes.
    async fn readable_files(
        &self,
        path: &[SessionMessage],
        generation: &Generation,
        info: Option<&ModelInfo>,
    ) -> HashSet<ArtifactId> {
        let takes = |modality| match (&generation.task, info) {
            (Task::Text(_), Some(info)) => modality == Modality::Image && sees(info),
            (Task::Text(_), None) => false,
            // Unknown metadata isn't a lack.
            (_, None) => true,
            (_, Some(info)) if info.inputs.is_empty() => true,
            (_, Some(info)) if modality == Modality::ThreeD => info.takes(Input::Mesh),
            (_, Some(info)) => info.takes(Input::Image),
        };
        let mut readable = HashSet::new();
        let artifacts = with_content(path).into_iter().rev().flat_map(|stored| &stored.artifacts);
        for artifact in artifacts.filter(|artifact| takes(artifact.modality())).take(FILE_MAX_COUNT) {
            let access = ArtifactAccess::Caller(self.caller);
            if self.gateway.artifacts.get(access, artifact.id).await.is_ok() {
                readable.insert(artifact.id);
            }
        }
        readable
    }

    /// Puts the session's messages before the input of a text task, as far as they fit.
    async fn add_history(
        &mut self,
        generation: &mut Generation,
        mut input: Vec<Message>,
        path: &[SessionMessage],
        candidate: Option<&Candidate>,
        readable: &HashSet<ArtifactId>,
    ) -> Result<(), ApiError> {
        let info = candidate.and_then(|candidate| candidate.info.as_ref());
        let Task::Text(task) = &mut generation.task else { return Ok(()) };
        if let Some(message) = input.iter_mut().find(|message| message.role == Role::User) {
            add_images(message, pictures_for_next(path, readable));
        }
        let system = task.messages.drain(..).next();
        let mut system = system.or_else(|| {
            self.session.system_prompt.as_ref().map(|text| Message::new(Role::System, text.as_str()))
        });
        let summarised = self.session.summary.as_ref().and_then(|summary| {
            let last = path.iter().position(|stored| stored.id == summary.through)?;
            Some((summary.text.as_str(), &path[last + 1..]))
        });
        let (earlier_summary, path) = match summarised {
            Some((text, rest)) => (Some(text), rest),
            None => (None, path),
        };
        let history = text_messages(path, info.is_some_and(sees), readable);
        let (ids, history): (Vec<SessionMessageId>, Vec<Message>) = history.into_iter().unzip();
        let estimate = estimate(path, candidate);
        let max_tokens = task.sampling.max_tokens;
        let Some(room) =
            info.and_then(|info| info.context_length).map(|context| Room::of(context, max_tokens))
        else {
            with_summary(&mut system, earlier_summary);
            self.assemble(task, system, history, input);
            return Ok(());
        };
        let mut with_old_summary = system.clone();
        with_summary(&mut with_old_summary, earlier_summary);
        let fixed: Vec<Message> = with_old_summary.iter().chain(&input).cloned().collect();
        let policy = self.turn.overflow.unwrap_or(self.session.overflow);
        let sizes = match candidate {
            Some(candidate) => {
                let fixed = TextTask { messages: fixed.into(), ..task.clone() };
                prompt_sizes(candidate, fixed, &history, room, estimate).await
            }
            None => PromptSizes::estimated(estimate, &fixed, &task.tools, &history),
        };
        let fitted = fit(policy, history, &sizes, room)?;
        let mut new_summary = None;
        if policy == ContextOverflow::Summarise && !fitted.left_out.is_empty() {
            new_summary = self.new_summary(generation, earlier_summary, &fitted.left_out, room).await;
        }
        if !fitted.left_out.is_empty() {
            let count = fitted.left_out.len();
            self.warnings.push(left_out_warning(count, room, new_summary.is_some()));
        }
        if let Some(text) = &new_summary
            && let Some(through) = fitted.left_out_at_start.checked_sub(1).and_then(|last| ids.get(last))
        {
            self.summary = Some(SessionSummary { text: text.clone(), through: *through });
        }
        with_summary(&mut system, new_summary.as_deref().or(earlier_summary));
        if let Task::Text(task) = &mut generation.task {
            self.assemble(task, system, fitted.messages, input);
        }
        Ok(())
    }

    /// A summary of messages that don't fit; none, with a warning, if there can be none.
    async fn new_summary(
        &mut self,
        generation: &Generation,
        earlier: Option<&str>,
        left_out: &[Message],
        room: Room,
    ) -> Option<String> {
        // Boxed: it is a request of its own.
        let summary =
            Box::pin(summarise(self.gateway, self.caller, generation, earlier, left_out, room)).await;
        match summary {
            Ok(text) if !text.is_empty() => Some(text),
            Ok(_) => {
                self.warnings.push("the model has written no summary".to_owned());
                None
            }
            Err(error) => {
                self.warnings.push(format!("the earlier messages can't be summarised: {}", error.message));
                None
            }
        }
    }

    fn assemble(
        &mut self,
        task: &mut TextTask,
        system: Option<Message>,
        history: Vec<Message>,
        input: Vec<Message>,
    ) {
        let messages: Vec<_> = system.into_iter().chain(history).chain(input).collect();
        task.messages = messages.into();
        name_results(&mut task.messages);
        self.prompt_estimate = Some(TokenEstimate::default().of_messages(&task.messages));
    }

    /// The messages to append.
    fn new_messages(&self, generation: &Generation, input: Vec<Message>) -> Vec<SessionMessage> {
        let is_new = match &self.turn.source {
            TurnSource::Input => true,
            TurnSource::Again { parent, .. } => parent.is_none(),
        };
        let of_run = |message| SessionMessage { run: Some(self.run), ..SessionMessage::new(message) };
        let mut messages: Vec<_> = input.into_iter().filter(|_| is_new).map(of_run).collect();
        let modality = generation.task.modality();
        let mut answer = of_run(Message::new(Role::Assistant, ""));
        answer.modality = modality;
        answer.state = SessionMessageState::Pending;
        answer.request = self.options(generation, modality);
        messages.push(answer);
        messages
    }

    /// The options by which the answer can be generated again.
    fn options(&self, generation: &Generation, modality: Modality) -> Value {
        let mut options = json!({ "request": self.turn.options["request"] });
        if options["request"].to_string().len() > OPTIONS_MAX_BYTES {
            options = json!({ TOO_LONG: true });
        }
        if options["request"].is_object() {
            options["request"]["modality"] = json!(modality);
        }
        if let Some(estimate) = self.prompt_estimate {
            options["prompt_estimate"] = json!(estimate);
        }
        if let Task::Mesh(MeshTask { mesh: Some(Mesh::Artifact(id)), .. }) = &generation.task {
            options["mesh"] = json!(id);
        }
        options
    }
}

/// The estimate, corrected by the tokens of the latest answer of the same model.
fn estimate(path: &[SessionMessage], candidate: Option<&Candidate>) -> TokenEstimate {
    let model = candidate.map(|candidate| &candidate.selected.model);
    let counted = path.iter().rev().find_map(|stored| {
        let estimated = u32::try_from(stored.request["prompt_estimate"].as_u64()?).ok()?;
        let is_same = stored.model.as_ref() == model;
        Some((estimated, stored.usage?.prompt_tokens)).filter(|_| is_same)
    });
    counted.map_or_else(TokenEstimate::default, |(estimated, counted)| {
        TokenEstimate::of_counts(estimated, counted)
    })
}

fn user_message(prompt: &str, images: &[Image]) -> Message {
    let mut message = Message::new(Role::User, prompt);
    add_images(&mut message, images.to_vec());
    message
}

fn first_text(input: &[Message]) -> Option<String> {
    input.iter().find(|message| message.role == Role::User).map(|message| message.content.clone())
}

fn with_summary(system: &mut Option<Message>, summary: Option<&str>) {
    let Some(summary) = summary else { return };
    let text = format!("{SUMMARY_HEADING} {summary}");
    match system {
        Some(message) => message.content = format!("{}\n\n{text}", message.content),
        None => *system = Some(Message::new(Role::System, text)),
    }
}

fn sees(info: &ModelInfo) -> bool {
    info.takes(Input::Image) || info.can(Capability::Vision)
}

/// Makes the latest picture or mesh the input of a mesh task.
fn add_to_mesh(task: &mut MeshTask, latest: Option<LatestOutput>, info: Option<&ModelInfo>) {
    match latest {
        Some(LatestOutput::Mesh(id)) => task.mesh = Some(Mesh::Artifact(id)),
        Some(LatestOutput::Pictures(mut pictures)) => {
            task.image = pictures.pop();
            // A model that makes meshes of pictures takes no words.
            if info.is_some_and(|info| !info.inputs.is_empty() && !info.takes(Input::Text)) {
                task.prompt = None;
            }
        }
        None => {}
    }
}
