//! An operator's defaults for requests to a provider, or to one of its models.

use hearth_domain::{Message, Role, Sampling, TextTask};
use hearth_settings::{ModelOverride, ProviderSettings};

/// Defaults for fields that a request for text leaves out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// The temperature, 0 to 2.
    pub temperature: Option<f32>,
    /// The token limit, at least 1.
    pub max_tokens: Option<u32>,
    /// Instructions for a conversation without a system message.
    pub system_prompt: Option<String>,
    /// Sampling parameters that the settings of providers don't have.
    pub sampling: FurtherSampling,
}

/// Defaults for sampling parameters beside the temperature and the token limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FurtherSampling {
    /// The total probability of the tokens to choose from, 0 to 1.
    pub top_p: Option<f32>,
    /// The number of tokens to choose from.
    pub top_k: Option<u32>,
    /// The smallest probability relative to the likeliest token, 0 to 1.
    pub min_p: Option<f32>,
    /// The factor against repetitions, above 0 to 2.
    pub repeat_penalty: Option<f32>,
}

impl FurtherSampling {
    fn or(self, others: Self) -> Self {
        Self {
            top_p: self.top_p.or(others.top_p),
            top_k: self.top_k.or(others.top_k),
            min_p: self.min_p.or(others.min_p),
            repeat_penalty: self.repeat_penalty.or(others.repeat_penalty),
        }
    }
}

impl Defaults {
    /// Returns the first setting that isn't valid, with a dot before it, and the problem.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let is_valid = |sampling: Sampling| sampling.check().is_ok();
        if !is_valid(Sampling { temperature: self.temperature, ..Sampling::default() }) {
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

    /// Returns these defaults, completed by `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            temperature: self.temperature.or(others.temperature),
            max_tokens: self.max_tokens.or(others.max_tokens),
            system_prompt: self.system_prompt.or(others.system_prompt),
            sampling: self.sampling.or(others.sampling),
        }
    }

    /// Fills in the fields that `task` leaves out. A task that has a system message, at any place, gets no other.
    pub fn complete(&self, task: &mut TextTask) {
        let Sampling { temperature, max_tokens, top_p, top_k, min_p, repeat_penalty, .. } =
            &mut task.sampling;
        *temperature = temperature.or(self.temperature);
        *max_tokens = max_tokens.or(self.max_tokens);
        *top_p = top_p.or(self.sampling.top_p);
        *top_k = top_k.or(self.sampling.top_k);
        *min_p = min_p.or(self.sampling.min_p);
        *repeat_penalty = repeat_penalty.or(self.sampling.repeat_penalty);
        if let Some(prompt) = &self.system_prompt
            && !task.messages.iter().any(|message| message.role == Role::System)
        {
            task.messages.insert(0, Message::new(Role::System, prompt.clone()));
        }
    }
}

impl From<&ProviderSettings> for Defaults {
    fn from(settings: &ProviderSettings) -> Self {
        Self {
            temperature: settings.temperature,
            max_tokens: settings.max_tokens,
            system_prompt: settings.system_prompt.clone(),
            sampling: FurtherSampling::default(),
        }
    }
}

impl From<&ModelOverride> for Defaults {
    fn from(settings: &ModelOverride) -> Self {
        Self {
            temperature: settings.temperature,
            max_tokens: settings.max_tokens,
            system_prompt: settings.system_prompt.clone(),
            sampling: FurtherSampling::default(),
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
            sampling: FurtherSampling::default(),
        }
    }

    #[test]
    fn fields_of_the_request_are_not_replaced() {
        let user = Message::new(Role::User, "Hi");
        let mut plain = TextTask::new(vec![user.clone()], Sampling::default());
        defaults().complete(&mut plain);
        assert_eq!((plain.sampling.temperature, plain.sampling.max_tokens), (Some(0.25), Some(100)));
        assert_eq!(*plain.messages, [Message::new(Role::System, "Answer in French."), user.clone()]);
        let own = Sampling { temperature: Some(0.0), max_tokens: Some(5), ..Sampling::default() };
        let with_own = TextTask::new(vec![Message::new(Role::System, "Be brief."), user], own);
        let mut complete = with_own.clone();
        defaults().complete(&mut complete);
        assert_eq!(complete, with_own);
    }

    #[test]
    fn model_defaults_override_provider_defaults() {
        let model = Defaults { temperature: Some(0.0), ..Defaults::default() };
        assert_eq!(model.or(defaults()), Defaults { temperature: Some(0.0), ..defaults() });
    }

    #[test]
    fn invalid_setting_is_named() {
        assert_eq!(defaults().problem(), None);
        for (wrong, field) in [
            (Defaults { temperature: Some(2.5), ..defaults() }, ".temperature"),
            (Defaults { temperature: Some(f32::NAN), ..defaults() }, ".temperature"),
            (Defaults { max_tokens: Some(0), ..defaults() }, ".max_tokens"),
            (Defaults { system_prompt: Some(" ".into()), ..defaults() }, ".system_prompt"),
        ] {
            assert_eq!(wrong.problem().map(|(field, _)| field), Some(field));
        }
    }
}
