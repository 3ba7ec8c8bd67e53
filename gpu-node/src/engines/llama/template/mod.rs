//! The model's own chat template, rendered by minijinja.
//!
//! Templates are written for Python's Jinja as Hugging Face sets it up ([`python`] has what that
//! means). They differ in the roles and turns that they take ([`probe`], [`roles`]), in what they expect a
//! conversation with tools to look like ([`conversation`]), and some know nothing of tools ([`untaught`]). A
//! template comes with the model's file, so it is run within bounds ([`bounds`]).

mod bounds;
mod conversation;
mod probe;
mod python;
mod roles;
mod untaught;

use hearth_domain::{Message, ReasoningEffort, Tool};
use hearth_wire::ApiError;
use minijinja::{Environment, Value, value::Serde};
use serde_json::{Map, Value as Json};

use super::{invalid_prompt, tools::ToolFormat};
use conversation::{Habits, Shape};
pub(super) use probe::Abilities;

const NAME: &str = "chat";

/// What models without a template are given: ChatML, which most were trained on.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
    {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A compiled chat template.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    habits: Habits,
    abilities: Abilities,
}

/// What a prompt is made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rendering<'a> {
    pub(super) messages: &'a [Message],
    /// The tools on offer.
    pub(super) tools: &'a [Tool],
    /// How much the model is to think, for templates that can tell it.
    pub(super) effort: Option<ReasoningEffort>,
    /// More values for the template, from the client.
    pub(super) kwargs: Option<&'a Map<String, Json>>,
}

impl ChatTemplate {
    /// Compiles `source`, or ChatML where the model has none. `abilities` are what [`Self::probe`] has found.
    pub(super) fn compile(
        source: Option<&str>,
        bos: String,
        eos: String,
        abilities: Abilities,
    ) -> Result<Self, String> {
        let mut environment = python::environment().map_err(|error| error.to_string())?;
        bounds::bound(&mut environment);
        environment
            .add_template_owned(NAME, python::without_generation_tags(source.unwrap_or(CHATML)))
            .map_err(|error| format!("its chat template can't be read: {error}"))?;
        Ok(Self { environment, bos, eos, habits: Habits::of(source), abilities })
    }

    /// Tries what the template in `source` takes. It may be anybody's: the caller bounds memory and time.
    ///
    /// # Errors
    /// If it can't be compiled, or leaves out what the user says.
    pub(super) fn probe(source: Option<&str>) -> Result<Abilities, String> {
        let (bos, eos) = ("<s>".to_owned(), "</s>".to_owned());
        let mut template = Self::compile(source, bos, eos, Abilities::default())?;
        template.environment.set_fuel(Some(bounds::PROBE_FUEL));
        probe::probe(&template)
    }

    /// How the model writes calls, having been given a prompt of this template.
    pub(super) fn tool_format(&self) -> ToolFormat {
        if self.shows_tools() { self.habits.format } else { ToolFormat::Hermes }
    }

    /// What it was found to take.
    pub(super) fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// Whether it shows the model the tools on offer.
    pub(super) fn shows_tools(&self) -> bool {
        self.habits.knows_tools() && self.abilities.tools
    }

    /// Whether the model marks its thoughts, having been given a prompt of this template.
    pub(super) fn marks_thoughts(&self) -> bool {
        self.habits.marks_thoughts
    }

    /// The prompt for a conversation with these tools on offer, ready for the assistant's turn.
    pub(super) fn render(&self, rendering: &Rendering<'_>) -> Result<String, ApiError> {
        let mut refusal = None;
        let ways = self.habits.conversations(rendering.messages, rendering.tools, &self.abilities);
        for messages in ways {
            for shape in self.habits.shapes(&messages, &self.abilities) {
                match self.render_as(rendering, &messages, shape) {
                    Ok(prompt) => return Ok(prompt),
                    Err(error) if bounds::exceeded(&error) => return Err(refused(&error)),
                    // The first way is how it should be, and so the first refusal is the true one.
                    Err(error) => drop(refusal.get_or_insert(error)),
                }
            }
        }
        Err(refusal.map_or_else(|| invalid_prompt("there is no conversation"), |error| refused(&error)))
    }

    fn render_as(
        &self,
        rendering: &Rendering<'_>,
        messages: &[Message],
        shape: Shape,
    ) -> Result<String, minijinja::Error> {
        let messages: Vec<Json> = messages.iter().map(|message| shape.message(message)).collect();
        let tools: Vec<Json> = rendering.tools.iter().map(conversation::tool).collect();
        let mut values = thinking(rendering.effort);
        values.extend(
            rendering.kwargs.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())),
        );
        let input = weight(&messages) + weight(&tools) + weight(values.values());
        values.insert("messages".to_owned(), messages.into());
        values.insert("tools".to_owned(), if tools.is_empty() { Json::Null } else { tools.into() });
        values.insert("add_generation_prompt".to_owned(), true.into());
        values.insert("bos_token".to_owned(), self.bos.as_str().into());
        values.insert("eos_token".to_owned(), self.eos.as_str().into());
        let template = self.environment.get_template(NAME)?;
        bounds::bounded(input, |writer| {
            template.render_captured_to(Value::from(Serde(values)), writer).map(drop)
        })
    }

    /// Whether a rendered prompt already begins with the model's first token.
    pub(super) fn begins_with_bos(&self, prompt: &str) -> bool {
        !self.bos.is_empty() && prompt.starts_with(&self.bos)
    }
}

fn refused(error: &minijinja::Error) -> ApiError {
    invalid_prompt(format!("the model's chat template refuses this conversation: {}", reason(error)))
}

/// Why a rendering failed, in the template's own words where it has some.
fn reason(error: &minijinja::Error) -> String {
    match error.kind() {
        minijinja::ErrorKind::OutOfFuel => "it takes more steps than any conversation needs".to_owned(),
        _ => error.detail().map_or_else(|| error.to_string(), str::to_owned),
    }
}

/// What templates call it: Qwen's have `enable_thinking`, DeepSeek's `thinking`, gpt-oss's `reasoning_effort`. What the
/// request leaves open stays so.
fn thinking(effort: Option<ReasoningEffort>) -> Map<String, Json> {
    let mut values = Map::new();
    let Some(effort) = effort else { return values };
    let thinks = effort != ReasoningEffort::None;
    let word = match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Medium | ReasoningEffort::Tokens(_) => "medium",
        ReasoningEffort::High => "high",
    };
    values.insert("enable_thinking".to_owned(), thinks.into());
    values.insert("thinking".to_owned(), thinks.into());
    values.insert("reasoning_effort".to_owned(), word.into());
    values
}

/// The bytes of all texts in `values`, names too; a value that is no text counts as a short one.
fn weight<'a>(values: impl IntoIterator<Item = &'a Json>) -> usize {
    let of_one = |value: &Json| match value {
        Json::String(text) => text.len(),
        Json::Array(items) => weight(items) + items.len(),
        Json::Object(members) => {
            weight(members.values()) + members.keys().map(|name| name.len() + 4).sum::<usize>()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => 8,
    };
    values.into_iter().map(of_one).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests;
