//! The names of a text request's parameters in each dialect, for errors that are found after a request was converted.

use hearth_domain::{ClientDialect, Field};

use crate::{anthropic, gemini, ollama, openai};

/// Sampling parameters by the names of the native API.
const SAMPLING: [&str; 12] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "max_tokens",
    "ignore_eos",
    "logit_bias",
];

/// Returns the dialect's name of a parameter of the native API; none for one that the dialect has no name for.
#[must_use]
pub fn dialect_param(dialect: ClientDialect, parameter: &str) -> Option<String> {
    let field = match parameter {
        "n" => Field::Choices,
        "logprobs" | "top_logprobs" => Field::TopLogprobs,
        name => Field::Sampling(SAMPLING.into_iter().find(|sampling| *sampling == name)?),
    };
    Some(match dialect {
        ClientDialect::Native => format!("parameters.{parameter}"),
        ClientDialect::OpenAiChat => openai::chat::param(field, false, &[]),
        ClientDialect::OpenAiCompletions => openai::completions::param(field).to_owned(),
        ClientDialect::OpenAiResponses => openai::responses::param(field, 0, &[], &[]),
        ClientDialect::Anthropic => anthropic::param(field, &[], &[]),
        ClientDialect::Gemini => gemini::param(field, &[], &[]),
        ClientDialect::Ollama => ollama::param(field, &[]),
        ClientDialect::OpenAiEmbeddings | ClientDialect::OpenAiImages => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_has_the_name_of_each_dialect() {
        for (dialect, name) in [
            (ClientDialect::Native, "parameters.max_tokens"),
            (ClientDialect::OpenAiChat, "max_tokens"),
            (ClientDialect::OpenAiResponses, "max_output_tokens"),
            (ClientDialect::Anthropic, "max_tokens"),
            (ClientDialect::Gemini, "generationConfig.maxOutputTokens"),
            (ClientDialect::Ollama, "options.num_predict"),
        ] {
            assert_eq!(dialect_param(dialect, "max_tokens").as_deref(), Some(name));
        }
        assert_eq!(dialect_param(ClientDialect::Anthropic, "size"), None);
    }
}
