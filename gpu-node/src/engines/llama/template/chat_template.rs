//! Compiles a chat template and renders prompts.

use hearth_domain::{Message, ReasoningEffort, Tool};
use hearth_wire::ApiError;
use minijinja::{Environment, Value, value::Serde};
use serde_json::{Map, Value as Json};

use super::{
    abilities::TemplateAbilities,
    bounds,
    conversation::TemplateTraits,
    message_format::{self, MessageFormat},
    python,
};
use crate::engines::llama::{errors::invalid_prompt, tools::ToolFormat};

const TEMPLATE_NAME: &str = "chat";

/// The template of models without one: ChatML, which most were trained on.
const CHATML_TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
    {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A compiled chat template.
pub(in crate::engines::llama) struct ChatTemplate {
    pub(super) environment: Environment<'static>,
    bos: String,
    eos: String,
    pub(super) traits: TemplateTraits,
    abilities: TemplateAbilities,
}

/// The values of a prompt.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engines::llama) struct Rendering<'a> {
    pub(in crate::engines::llama) messages: &'a [Message],
    /// Tools on offer.
    pub(in crate::engines::llama) tools: &'a [Tool],
    /// Reasoning effort, for templates with such a variable.
    pub(in crate::engines::llama) effort: Option<ReasoningEffort>,
    /// More variables for the template, from the client.
    pub(in crate::engines::llama) kwargs: Option<&'a Map<String, Json>>,
}

impl ChatTemplate {
    /// Compiles `source`, or ChatML for a model without a template. `abilities` are the result of the probe.
    pub(in crate::engines::llama) fn compile(
        source: Option<&str>,
        bos: String,
        eos: String,
        abilities: TemplateAbilities,
    ) -> Result<Self, String> {
        let mut environment = python::environment().map_err(|error| error.to_string())?;
        bounds::bound(&mut environment);
        environment
            .add_template_owned(
                TEMPLATE_NAME,
                python::without_generation_tags(source.unwrap_or(CHATML_TEMPLATE)),
            )
            .map_err(|error| format!("its chat template can't be read: {error}"))?;
        Ok(Self { environment, bos, eos, traits: TemplateTraits::read(source), abilities })
    }

    /// The format in which the model writes tool calls after a prompt of this template.
    pub(in crate::engines::llama) fn tool_format(&self) -> ToolFormat {
        if self.shows_tools() { self.traits.format } else { ToolFormat::Hermes }
    }

    /// The result of the probe.
    pub(in crate::engines::llama) fn abilities(&self) -> &TemplateAbilities {
        &self.abilities
    }

    /// Returns whether the template shows the tools on offer.
    pub(in crate::engines::llama) fn shows_tools(&self) -> bool {
        self.traits.shows_tools && self.abilities.tools
    }

    /// Returns whether the model writes reasoning in tags after a prompt of this template.
    pub(in crate::engines::llama) fn has_reasoning_tags(&self) -> bool {
        self.traits.has_reasoning_tags
    }

    /// Renders the prompt for the assistant's next turn.
    ///
    /// # Errors
    /// If the template refuses the conversation in every form, or exceeds its bounds.
    pub(in crate::engines::llama) fn render(&self, rendering: &Rendering<'_>) -> Result<String, ApiError> {
        let mut refusal = None;
        let forms = self.traits.conversations(rendering.messages, rendering.tools, &self.abilities);
        for messages in forms {
            for format in self.traits.message_formats(&messages, &self.abilities) {
                match self.render_as(rendering, &messages, format) {
                    Ok(prompt) => return Ok(prompt),
                    Err(error) if bounds::is_exceeded(&error) => return Err(refused(&error)),
                    // The first form is the intended one, so the first refusal has the relevant reason.
                    Err(error) => drop(refusal.get_or_insert(error)),
                }
            }
        }
        Err(refusal.map_or_else(|| invalid_prompt("there is no conversation"), |error| refused(&error)))
    }

    pub(super) fn render_as(
        &self,
        rendering: &Rendering<'_>,
        messages: &[Message],
        format: MessageFormat,
    ) -> Result<String, minijinja::Error> {
        let messages: Vec<Json> = messages.iter().map(|message| format.message(message)).collect();
        // A template that refuses the tools on offer gets them in the system message.
        let tools: &[Tool] = if self.shows_tools() { rendering.tools } else { &[] };
        let tools: Vec<Json> = tools.iter().map(message_format::tool_value).collect();
        let mut values = effort_values(rendering.effort);
        values.extend(
            rendering.kwargs.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())),
        );
        let input_bytes = text_bytes(&messages) + text_bytes(&tools) + text_bytes(values.values());
        values.insert("messages".to_owned(), messages.into());
        values.insert("tools".to_owned(), if tools.is_empty() { Json::Null } else { tools.into() });
        values.insert("add_generation_prompt".to_owned(), true.into());
        values.insert("bos_token".to_owned(), self.bos.as_str().into());
        values.insert("eos_token".to_owned(), self.eos.as_str().into());
        let template = self.environment.get_template(TEMPLATE_NAME)?;
        bounds::render_bounded(input_bytes, |writer| {
            template.render_captured_to(Value::from(Serde(values)), writer).map(drop)
        })
    }

    /// Returns whether a rendered prompt begins with the model's first token.
    pub(in crate::engines::llama) fn begins_with_bos(&self, prompt: &str) -> bool {
        !self.bos.is_empty() && prompt.starts_with(&self.bos)
    }
}

fn refused(error: &minijinja::Error) -> ApiError {
    invalid_prompt(format!("the model's chat template refuses this conversation: {}", reason(error)))
}

/// Why a rendering failed: the template's own message, if it has one.
pub(super) fn reason(error: &minijinja::Error) -> String {
    match error.kind() {
        minijinja::ErrorKind::OutOfFuel => "it takes more steps than any conversation needs".to_owned(),
        _ => error.detail().map_or_else(|| error.to_string(), str::to_owned),
    }
}

/// The template variables for a reasoning effort: `enable_thinking` in Qwen's templates, `thinking` in DeepSeek's,
/// `reasoning_effort` in gpt-oss's. Without an effort none is set.
fn effort_values(effort: Option<ReasoningEffort>) -> Map<String, Json> {
    let mut values = Map::new();
    let Some(effort) = effort else { return values };
    let enabled = effort != ReasoningEffort::None;
    let level = match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Medium | ReasoningEffort::Tokens(_) => "medium",
        ReasoningEffort::High => "high",
    };
    values.insert("enable_thinking".to_owned(), enabled.into());
    values.insert("thinking".to_owned(), enabled.into());
    values.insert("reasoning_effort".to_owned(), level.into());
    values
}

/// Size of all texts in `values`, names too, in bytes; a value that is no text counts as a short one.
fn text_bytes<'a>(values: impl IntoIterator<Item = &'a Json>) -> usize {
    let of_one = |value: &Json| match value {
        Json::String(text) => text.len(),
        Json::Array(items) => text_bytes(items) + items.len(),
        Json::Object(members) => {
            text_bytes(members.values()) + members.keys().map(|name| name.len() + 4).sum::<usize>()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => 8,
    };
    values.into_iter().map(of_one).fold(0, usize::saturating_add)
}
