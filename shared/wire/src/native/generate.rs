//! `POST /v1/generate`: request and response.

use hearth_domain::{
    AppliedDefinition, ClientDialect, Cost, Extra, Field, FinishReason, Generation, Intent, Message,
    Modality, ModelId, NodeId, Payer, Role, Route, Sampling, Selection, SessionId, SessionMessageId,
    StructuredOptions, Task, TextTask, ToolChoice, Usage, message::name_results,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    media,
    output::Output,
    providers::CreditsBody,
    request::{GenerateRequest, Parameters},
};
use crate::{
    ApiError,
    effort::effort,
    logprobs::{parse_logit_bias, top_logprobs},
    run_options::RunOptions,
    structured::StructuredBody,
    template_kwargs::TEMPLATE_KWARGS,
    tool_choice::{ALLOWED_TOOLS_PARAM, ToolChoiceBody, retain_allowed},
};

/// Limit of the bytes of state tokens, as JSON.
const STATE_TOKENS_MAX_BYTES: usize = 16 << 10;

impl GenerateRequest {
    /// Converts the request to the domain's form.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.into_generation_after(Vec::new())
    }

    /// Converts the request, which continues a session: its messages follow on `earlier`, those with the calls that they may
    /// answer. A text task contains them, after the system prompt.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation_after(mut self, earlier: Vec<Message>) -> Result<Generation, ApiError> {
        let intent = if media::is_open(&self) { Intent::Open } else { Intent::Settled };
        let task = match media::modality(&self) {
            Modality::Text => Task::Text(self.text(earlier)?),
            Modality::Image => Task::Image(media::image(&mut self)?),
            Modality::ThreeD => Task::Mesh(media::mesh(&mut self)?),
            Modality::Embedding => {
                return Err(ApiError::invalid("modality", "send embeddings to POST /v1/embeddings"));
            }
        };
        let state_tokens = self.state_tokens.take();
        if let Some(tokens) = &state_tokens {
            check_state_tokens(tokens)?;
        }
        self.run_options().apply(Generation {
            extra: extra(&task, state_tokens),
            intent,
            cache: self.cache,
            store: self.store,
            route: Route { provider: self.provider, preferred: self.preferred_model, ..Route::default() },
            ..Generation::new(self.model.map(ModelId::new), task)
        })
    }

    /// Returns the options of the gateway, which this struct lists itself: it refuses unknown fields, and a flattened
    /// struct would take part of them.
    fn run_options(&mut self) -> RunOptions {
        RunOptions {
            on_disconnect: Some(self.on_disconnect),
            while_loading: Some(self.while_loading),
            priority: Some(self.priority),
            fallback: self.fallback.take(),
            resume: Some(self.resume),
            selection_mode: Some(self.selection_mode),
            prefer: self.prefer,
            deadline: self.deadline,
            max_price: self.max_price,
            schema_id: self.schema_id.take(),
            template_id: self.template_id.take(),
            variables: self.variables.take(),
            max_attempts: self.max_attempts,
            allow_relaxed: self.allow_relaxed,
            bypass_validation: self.bypass_validation,
        }
    }

    /// Converts the text request, and takes its fields.
    fn text(&mut self, earlier: Vec<Message>) -> Result<TextTask, ApiError> {
        media::refuse_for_text(&self.parameters)?;
        media::refuse_mesh(&self.input)?;
        let mut messages = Vec::new();
        messages.extend(self.system_prompt.take().map(|text| Message::new(Role::System, text)));
        messages.extend(earlier);
        let before = messages.len();
        let input = std::mem::take(&mut self.input);
        // The messages of a template come before those of the input, which may be absent.
        if self.template_id.is_none() || !input.is_empty() {
            input.append_to(&mut messages)?;
        }
        name_results(&mut messages);
        let mut tools = Vec::new();
        for (index, tool) in self.tools.take().into_iter().flatten().enumerate() {
            tools.push(tool.into_domain(&format!("tools[{index}]"))?);
        }
        let choice = self.tool_choice.take().map(ToolChoiceBody::into_domain).transpose()?;
        let (tool_choice, allowed) = choice.unwrap_or((ToolChoice::Auto, None));
        let mut task = std::mem::take(&mut self.parameters).into_task(messages)?;
        task.tools = tools;
        task.tool_choice = tool_choice;
        task.parallel_tool_calls = self.parallel_tool_calls.unwrap_or(true);
        // A streamed answer is generated once.
        task.structured.max_attempts = (!self.stream).then_some(StructuredOptions::DEFAULT_ATTEMPTS);
        let checked = if self.template_id.is_some() { task.check_with_template() } else { task.check() };
        checked.map_err(|error| ApiError::unfit(param(error.field, before), &error))?;
        if let Some(names) = allowed {
            retain_allowed(&mut task.tools, &names, ALLOWED_TOOLS_PARAM)?;
        }
        Ok(task)
    }
}

/// Returns the fields that a provider of OpenAI's dialect gets beside the task.
fn extra(task: &Task, state_tokens: Option<Value>) -> Extra {
    let mut fields = match state_tokens {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    if let Task::Text(task) = task
        && !task.template_kwargs.is_empty()
    {
        fields.insert(TEMPLATE_KWARGS.to_owned(), task.template_kwargs.clone().into());
    }
    if fields.is_empty() { Extra::default() } else { Extra::new(ClientDialect::OpenAiChat, fields) }
}

/// Checks state tokens: they may be any JSON of a limited size.
///
/// # Errors
/// `invalid_request`, naming the field.
pub fn check_state_tokens(tokens: &Value) -> Result<(), ApiError> {
    let is_small = serde_json::to_vec(tokens).is_ok_and(|json| json.len() <= STATE_TOKENS_MAX_BYTES);
    if is_small {
        return Ok(());
    }
    let message = format!("state_tokens must have {STATE_TOKENS_MAX_BYTES} bytes at most, as JSON");
    Err(ApiError::invalid("state_tokens", message))
}

impl Parameters {
    /// Converts the parameters to a task without tools.
    fn into_task(self, messages: Vec<Message>) -> Result<TextTask, ApiError> {
        let sampling = Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed: self.seed,
            stop: self.stop.map(Into::into).unwrap_or_default(),
            max_tokens: self.max_tokens,
            ignore_eos: self.ignore_eos,
            logit_bias: parse_logit_bias(self.logit_bias, "parameters.logit_bias")?,
        };
        let format = self.response_format.map(|format| format.into_domain("parameters.response_format"));
        let (response_format, schema_label) = format.transpose()?.unwrap_or_default();
        Ok(TextTask {
            response_format,
            schema_label,
            choices: self.n.unwrap_or(1),
            top_logprobs: top_logprobs(self.logprobs, self.top_logprobs, "parameters.top_logprobs")?,
            reasoning: self.reasoning_effort.as_deref().map(effort).transpose()?,
            template_kwargs: self.chat_template_kwargs.unwrap_or_default(),
            ..TextTask::new(messages, sampling)
        })
    }
}

/// Returns this dialect's name of a field. `before`: number of messages before those of the input.
pub(crate) fn param(field: Field, before: usize) -> String {
    match field {
        Field::Messages => "input.messages".to_owned(),
        Field::Sampling(name) => format!("parameters.{name}"),
        Field::ResponseFormat => "parameters.response_format".to_owned(),
        Field::ResponseSchema => "parameters.response_format.json_schema.schema".to_owned(),
        Field::Tools => "tools".to_owned(),
        Field::ToolChoice => "tool_choice".to_owned(),
        Field::Choices => "parameters.n".to_owned(),
        Field::TopLogprobs => "parameters.top_logprobs".to_owned(),
        Field::TemplateKwargs => format!("parameters.{TEMPLATE_KWARGS}"),
        Field::ToolCallId(index) => {
            format!("input.messages[{}].tool_call_id", index.saturating_sub(before))
        }
        Field::ToolName(index) => format!("tools[{index}].function.name"),
        Field::ToolParameters(index) => format!("tools[{index}].function.parameters"),
        Field::Inputs | Field::Input(_) | Field::Dimensions | Field::Media(_) => "input".to_owned(),
    }
}

/// Complete response.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GenerateResponse {
    /// Id of the run.
    pub request_id: String,
    /// Model that served the request.
    pub model: String,
    /// Modality of the output.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// Session that the answer was added to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub session_id: Option<SessionId>,
    /// Id of the answer in the session, by which it can be generated again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub message_id: Option<SessionMessageId>,
    /// State tokens of the request, or of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub state_tokens: Option<Value>,
    /// Model that served the request, and the reason of the choice.
    pub selection: SelectionBody,
    /// Output.
    pub output: Output,
    /// Tokens used.
    pub usage: UsageBody,
    /// Cost; null if it isn't known.
    #[serde(default)]
    pub cost: Option<CostBody>,
    /// Credit of the provider that served the request; or of the provider that it replaced, if that one has no credit
    /// left. Null if no provider was asked.
    #[serde(default)]
    pub credits_status: Option<CreditsBody>,
    /// `stop`, `length`, `tool_calls`, `content_filter` or `cancelled`.
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
    /// Enforcement of the answer's JSON Schema, if it has one; of several answers the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
    /// Schema of the answer, in the version that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<AppliedDefinition>,
    /// Template of the prompt, in the version that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<AppliedDefinition>,
    /// Warnings, such as messages of a session that were left out because they no longer fit in the context.
    pub warnings: Vec<String>,
}

/// Model that served a request, and the reason of the choice.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SelectionBody {
    /// Id of the model.
    pub selected_model: String,
    /// Provider of the model.
    pub selected_provider: String,
    /// Id of the node, for a local model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub selected_node: Option<NodeId>,
    /// Owner of the provider's key, whose account is charged: `user`, `team`, `organisation` or `operator`. Absent for a local
    /// model and a cached answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub payer: Option<Payer>,
    /// Reason of the choice.
    pub reason: String,
    /// True if it isn't the first choice.
    pub fallback_used: bool,
    /// Reason of the fallback: an error code, or `loading` while the first choice is being loaded.
    pub fallback_reason: Option<String>,
    /// True if it continued the answer of another model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

impl From<&Selection> for SelectionBody {
    fn from(selection: &Selection) -> Self {
        Self {
            selected_model: selection.model.to_string(),
            selected_provider: selection.provider.clone(),
            selected_node: selection.node,
            payer: selection.payer,
            reason: selection.reason.clone(),
            fallback_used: selection.fallback_used,
            fallback_reason: selection.fallback_reason.clone(),
            resumed: selection.resumed,
        }
    }
}

/// Cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostBody {
    /// Amount in US dollars, as a decimal number.
    #[schema(value_type = String, example = "0.000123")]
    pub usd: Cost,
}

impl From<Cost> for CostBody {
    fn from(usd: Cost) -> Self {
        Self { usd }
    }
}

/// Tokens used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageBody {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Generated tokens.
    pub completion_tokens: u32,
    /// Sum of both.
    pub total_tokens: u32,
    /// Prompt tokens read from the prefix cache.
    pub cached_tokens: u32,
    /// Generated tokens that are reasoning.
    #[serde(default)]
    pub reasoning_tokens: u32,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            cached_tokens: usage.cached_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        }
    }
}

#[cfg(test)]
mod tests;
