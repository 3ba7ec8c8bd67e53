//! Whether a provider is asked for its answer in one piece or as a stream.

use hearth_domain::{Generation, OnDisconnect, TextTask};

use crate::{Call, Endpoint, dialect::AnswerMode};

/// What an answer without a limit counts as: the longest answers of today's models.
const UNLIMITED_TOKENS: u32 = 65_536;

/// How to ask `endpoint` for the answer to `task`; `cuts`: the gateway cuts the answer at stop texts itself.
///
/// In one piece where the client wants it so and nothing is lost by it: a short answer, which is there in time even if
/// the model is slow. A stream is needed where somebody may read the
/// answer before its end, or go on with a part of it: a run that goes on without its client, one that another model
/// may resume, and one that is cut at a stop text, so that what comes behind it isn't generated.
pub(super) fn answer_mode(endpoint: &Endpoint, call: &Call, task: &TextTask, cuts: bool) -> AnswerMode {
    let Generation { whole, on_disconnect, route, .. } = &*call.generation;
    let needs_stream = !whole || *on_disconnect == OnDisconnect::Continue || route.resume || cuts;
    let tokens = endpoint.dialect.answer_limit(call, task).unwrap_or(UNLIMITED_TOKENS);
    if !needs_stream && endpoint.vendor.whole_answers.has(tokens, endpoint.timeouts.made) {
        AnswerMode::Whole
    } else {
        AnswerMode::Stream
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, ModelId, ReasoningEffort, Role, RunId, Sampling};

    use super::*;
    use crate::{ProviderConfig, vendor::WholeAnswers};

    /// The mode of a request for a whole answer to the vendor `kind`, after `change`.
    fn mode(kind: &str, change: impl FnOnce(&mut Generation, &mut TextTask)) -> AnswerMode {
        let base_url = Some("https://bedrock-runtime.eu-west-1.amazonaws.com".to_owned());
        let endpoint = ProviderConfig { base_url, ..ProviderConfig::default() }.endpoint(kind, None).unwrap();
        let sampling = Sampling { max_tokens: Some(4096), ..Sampling::default() };
        let mut task = TextTask::new(vec![Message::new(Role::User, "Hi")], sampling);
        let mut generation = Generation { whole: true, ..Generation::new(None, task.clone()) };
        change(&mut generation, &mut task);
        let call = Call {
            run: RunId::new(),
            model: ModelId::new("claude-sonnet-4-5"),
            generation: generation.into(),
        };
        answer_mode(&endpoint, &call, &task, false)
    }

    #[test]
    fn short_whole_answer_is_requested_whole() {
        for kind in ["openai", "anthropic", "google", "bedrock"] {
            assert_eq!(mode(kind, |_, _| {}), AnswerMode::Whole, "{kind}");
        }
    }

    #[test]
    fn slow_server_is_asked_for_shorter_answers() {
        let limit =
            |tokens| move |_: &mut Generation, task: &mut TextTask| task.sampling.max_tokens = Some(tokens);
        assert_eq!(mode("openai_compatible", limit(1200)), AnswerMode::Whole);
        assert_eq!(mode("openai_compatible", limit(1201)), AnswerMode::Stream);
        assert_eq!(mode("groq", |_, task| task.sampling.max_tokens = None), AnswerMode::Whole);
        let seconds = std::time::Duration::from_secs(5);
        assert!(WholeAnswers::HOSTED.has(75, seconds) && !WholeAnswers::HOSTED.has(76, seconds));
    }

    #[test]
    fn long_or_unlimited_answer_is_streamed() {
        for kind in ["openai", "google", "bedrock"] {
            assert_eq!(mode(kind, |_, task| task.sampling.max_tokens = None), AnswerMode::Stream, "{kind}");
            assert_eq!(
                mode(kind, |_, task| task.sampling.max_tokens = Some(4097)),
                AnswerMode::Stream,
                "{kind}"
            );
        }
    }

    #[test]
    fn anthropic_has_a_limit_of_its_own_unless_it_thinks() {
        assert_eq!(mode("anthropic", |_, task| task.sampling.max_tokens = None), AnswerMode::Whole);
        let thinks = |_: &mut Generation, task: &mut TextTask| task.reasoning = Some(ReasoningEffort::Low);
        assert_eq!(mode("anthropic", thinks), AnswerMode::Stream);
    }

    #[test]
    fn answer_that_is_read_before_its_end_is_streamed() {
        let changes: [fn(&mut Generation); 3] = [
            |generation| generation.whole = false,
            |generation| generation.on_disconnect = OnDisconnect::Continue,
            |generation| generation.route.resume = true,
        ];
        for change in changes {
            assert_eq!(mode("openai", |generation, _| change(generation)), AnswerMode::Stream);
        }
    }
}
