//! What an operator has requests say to a provider, or to one of its models, where they say nothing themselves.

use hearth_domain::{Message, Role, Sampling, TextTask};

/// What texts are asked for with where a request doesn't say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// At least 1.
    pub max_tokens: Option<u32>,
    /// Instructions for a conversation that has none.
    pub system_prompt: Option<String>,
}

impl Defaults {
    /// The setting at fault, with a dot before it, and what is wrong; if there is one.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let within = |sampling: Sampling| sampling.check().is_ok();
        if !within(Sampling { temperature: self.temperature, ..Sampling::default() }) {
            return Some((".temperature", "it must be 0 to 2"));
        }
        if self.max_tokens == Some(0) {
            return Some((".max_tokens", "it must be at least 1"));
        }
        if self.system_prompt.as_ref().is_some_and(|prompt| prompt.trim().is_empty()) {
            return Some((".system_prompt", "it must not be empty; leave it out for none"));
        }
        None
    }

    /// These, and `others` where these say nothing.
    #[must_use]
    pub fn over(self, others: Self) -> Self {
        Self {
            temperature: self.temperature.or(others.temperature),
            max_tokens: self.max_tokens.or(others.max_tokens),
            system_prompt: self.system_prompt.or(others.system_prompt),
        }
    }

    /// Has `task` say what it doesn't. Instructions of its own, wherever they stand, are the only ones.
    pub fn complete(&self, task: &mut TextTask) {
        let Sampling { temperature, max_tokens, .. } = &mut task.sampling;
        *temperature = temperature.or(self.temperature);
        *max_tokens = max_tokens.or(self.max_tokens);
        if let Some(prompt) = &self.system_prompt
            && !task.messages.iter().any(|message| message.role == Role::System)
        {
            task.messages.insert(0, Message::new(Role::System, prompt.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        Defaults {
            temperature: Some(0.25),
            max_tokens: Some(100),
            system_prompt: Some("Answer in French.".to_owned()),
        }
    }

    #[test]
    fn what_a_request_says_itself_stays() {
        let user = Message::new(Role::User, "Hi");
        let mut plain = TextTask::new(vec![user.clone()], Sampling::default());
        defaults().complete(&mut plain);
        assert_eq!((plain.sampling.temperature, plain.sampling.max_tokens), (Some(0.25), Some(100)));
        assert_eq!(plain.messages, [Message::new(Role::System, "Answer in French."), user.clone()]);
        let own = Sampling { temperature: Some(0.0), max_tokens: Some(5), ..Sampling::default() };
        let said = TextTask::new(vec![Message::new(Role::System, "Be brief."), user], own);
        let mut complete = said.clone();
        defaults().complete(&mut complete);
        assert_eq!(complete, said);
    }

    #[test]
    fn the_models_go_before_the_providers() {
        let model = Defaults { temperature: Some(0.0), ..Defaults::default() };
        assert_eq!(model.over(defaults()), Defaults { temperature: Some(0.0), ..defaults() });
    }

    #[test]
    fn what_cant_be_is_named() {
        assert_eq!(defaults().fault(), None);
        for (wrong, field) in [
            (Defaults { temperature: Some(2.5), ..defaults() }, ".temperature"),
            (Defaults { temperature: Some(f32::NAN), ..defaults() }, ".temperature"),
            (Defaults { max_tokens: Some(0), ..defaults() }, ".max_tokens"),
            (Defaults { system_prompt: Some(" ".into()), ..defaults() }, ".system_prompt"),
        ] {
            assert_eq!(wrong.fault().map(|(field, _)| field), Some(field));
        }
    }
}
