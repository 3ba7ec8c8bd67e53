//! The model's own chat template, rendered by minijinja.
//!
//! Templates are written for Python's Jinja as Hugging Face sets it up: blocks trimmed, Python's
//! string methods, `raise_exception`, `tojson`. A template comes with the model's
//! file, so it is run with a bound on its steps.

use hearth_domain::Message;
use hearth_wire::ApiError;
use minijinja::{Environment, ErrorKind, Value, context, syntax::SyntaxConfig};

use super::invalid_prompt;

/// Steps of the template's machine; the longest templates in use take a few thousand a message.
const FUEL: u64 = 50_000_000;
const NAME: &str = "chat";

/// What models without a template are given: ChatML, which most were trained on.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
    {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A compiled chat template.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles `source`, or ChatML where the model has none.
    pub(super) fn compile(source: Option<&str>, bos: String, eos: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned(NAME, source.unwrap_or(CHATML).to_owned())
            .map_err(|error| format!("its chat template can't be read: {error}"))?;
        Ok(Self { environment, bos, eos })
    }

    /// The prompt for a conversation, ready for the assistant's turn.
    pub(super) fn render(&self, messages: &[Message]) -> Result<String, ApiError> {
        let turn = |m: &Message| context! { role => m.role.as_str(), content => m.content.as_str() };
        let values = context! {
            messages => messages.iter().map(turn).collect::<Vec<Value>>(),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        self.environment.get_template(NAME).and_then(|template| template.render(values)).map_err(|error| {
            let reason = error.detail().map_or_else(|| error.to_string(), str::to_owned);
            invalid_prompt(format!("the model's chat template refuses this conversation: {reason}"))
        })
    }

    /// Whether a rendered prompt already begins with the model's first token.
    pub(super) fn begins_with_bos(&self, prompt: &str) -> bool {
        !self.bos.is_empty() && prompt.starts_with(&self.bos)
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::Role;

    use super::*;

    fn render(source: Option<&str>, messages: &[Message]) -> Result<String, ApiError> {
        ChatTemplate::compile(source, "<s>".into(), "</s>".into()).unwrap().render(messages)
    }

    #[test]
    fn python_habits_of_templates_work() {
        let source = "{{ bos_token }}{%- for m in messages %}\n  {%- if m['role'] == 'user' %}\n[U]{{ m['content'].strip() }}\n  {%- endif %}\n{%- endfor %}";
        let messages = [Message::new(Role::User, "  hi  ")];
        assert_eq!(render(Some(source), &messages).unwrap(), "<s>[U]hi");
    }

    #[test]
    fn without_a_template_it_is_chatml() {
        let prompt = render(None, &[Message::new(Role::User, "hi")]).unwrap();
        assert_eq!(prompt, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    }

    #[test]
    fn a_template_may_refuse_and_may_not_run_for_ever() {
        let refusal = render(Some("{{ raise_exception('roles must alternate') }}"), &[]).unwrap_err();
        assert!(refusal.message.contains("roles must alternate"), "{}", refusal.message);
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
        assert!(render(Some(endless), &[]).is_err());
    }
}
