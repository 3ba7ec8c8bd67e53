//! The model's own chat template, rendered by minijinja.
//!
//! Templates are written for Python's Jinja as Hugging Face sets it up ([`python`] has what that
//! means). They differ in what they expect a conversation with tools to look like
//! ([`conversation`]), and some know nothing of tools ([`untaught`]). A template comes with the
//! model's file, so it is run with a bound on its steps.

mod conversation;
mod python;
mod untaught;

use hearth_domain::{Message, ReasoningEffort, Tool};
use hearth_wire::ApiError;
use minijinja::{Environment, ErrorKind, Value, context, value::Serde};

use super::{invalid_prompt, tools::ToolFormat};
use conversation::{Habits, Shape};

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
}

impl ChatTemplate {
    /// Compiles `source`, or ChatML where the model has none.
    pub(super) fn compile(source: Option<&str>, bos: String, eos: String) -> Result<Self, String> {
        let mut environment = python::environment().map_err(|error| error.to_string())?;
        environment
            .add_template_owned(NAME, python::without_generation_tags(source.unwrap_or(CHATML)))
            .map_err(|error| format!("its chat template can't be read: {error}"))?;
        Ok(Self { environment, bos, eos, habits: Habits::of(source) })
    }

    /// How the model writes calls, having been given a prompt of this template.
    pub(super) fn tool_format(&self) -> ToolFormat {
        self.habits.format
    }

    /// Whether the model marks its thoughts, having been given a prompt of this template.
    pub(super) fn marks_thoughts(&self) -> bool {
        self.habits.marks_thoughts
    }

    /// The prompt for a conversation with these tools on offer, ready for the assistant's turn. `effort` is how much
    /// the model is to think, for templates that can tell it.
    pub(super) fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        effort: Option<ReasoningEffort>,
    ) -> Result<String, ApiError> {
        let mut refusal = None;
        for messages in self.habits.conversations(messages, tools) {
            for shape in self.habits.shapes(&messages) {
                match self.render_as(&messages, tools, shape, effort) {
                    Ok(prompt) => return Ok(prompt),
                    Err(error) if error.kind() == ErrorKind::OutOfFuel => return Err(refused(&error)),
                    // The first way is how it should be, and so the first refusal is the true one.
                    Err(error) => drop(refusal.get_or_insert(error)),
                }
            }
        }
        Err(refusal.map_or_else(|| invalid_prompt("there is no conversation"), |error| refused(&error)))
    }

    fn render_as(
        &self,
        messages: &[Message],
        tools: &[Tool],
        shape: Shape,
        effort: Option<ReasoningEffort>,
    ) -> Result<String, minijinja::Error> {
        let messages: Vec<_> = messages.iter().map(|message| shape.message(message)).collect();
        let tools: Vec<_> = tools.iter().map(conversation::tool).collect();
        let values = context! {
            messages => Serde(messages),
            tools => if tools.is_empty() { Value::from(()) } else { Value::from(Serde(tools)) },
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            ..thinking(effort),
        };
        self.environment.get_template(NAME)?.render(values)
    }

    /// Whether a rendered prompt already begins with the model's first token.
    pub(super) fn begins_with_bos(&self, prompt: &str) -> bool {
        !self.bos.is_empty() && prompt.starts_with(&self.bos)
    }
}

fn refused(error: &minijinja::Error) -> ApiError {
    let reason = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    invalid_prompt(format!("the model's chat template refuses this conversation: {reason}"))
}

/// What templates call it: Qwen's have `enable_thinking`, DeepSeek's `thinking`, gpt-oss's `reasoning_effort`. What the
/// request leaves open stays so.
fn thinking(effort: Option<ReasoningEffort>) -> Value {
    let Some(effort) = effort else { return context! {} };
    let thinks = effort != ReasoningEffort::None;
    let word = match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Medium | ReasoningEffort::Tokens(_) => "medium",
        ReasoningEffort::High => "high",
    };
    context! { enable_thinking => thinks, thinking => thinks, reasoning_effort => word }
}

#[cfg(test)]
mod tests;
