//! Names of a task's fields in each dialect, for errors that providers' rules cause.

use hearth_domain::{ClientDialect, Field};

use crate::{anthropic, gemini, native, ollama, openai};

/// Returns the name of a field in the client's dialect. Messages have no index, since those of a task are numbered
/// otherwise than those of the request.
#[must_use]
pub fn field_name(dialect: ClientDialect, field: Field) -> String {
    match dialect {
        ClientDialect::Native => native::generate::param(field, 0),
        ClientDialect::OpenAiResponses => openai::responses::param(field, 0, &[], &[]),
        ClientDialect::Anthropic => anthropic::param(field, &[], &[]),
        ClientDialect::Gemini => gemini::param(field, &[], &[]),
        ClientDialect::Ollama => ollama::param(field, &[]),
        ClientDialect::OpenAiCompletions => openai::completions::param(field).to_owned(),
        ClientDialect::OpenAiChat | ClientDialect::OpenAiEmbeddings | ClientDialect::OpenAiImages => {
            openai::chat::param(field, false, &[])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_own_names() {
        use ClientDialect::{Anthropic, Native, OpenAiChat, OpenAiResponses};
        let names = |field| {
            [Native, OpenAiChat, OpenAiResponses, Anthropic].map(|dialect| field_name(dialect, field))
        };
        assert_eq!(names(Field::Messages), ["input.messages", "messages", "input", "messages"]);
        assert_eq!(
            names(Field::ToolParameters(2)),
            [
                "tools[2].function.parameters",
                "tools[2].function.parameters",
                "tools[2].parameters",
                "tools[2].input_schema"
            ]
        );
        assert_eq!(names(Field::Sampling("stop")), ["parameters.stop", "stop", "stop", "stop_sequences"]);
        assert_eq!(
            names(Field::ResponseFormat),
            ["parameters.response_format", "response_format", "text.format", "output_config.format"]
        );
    }
}
