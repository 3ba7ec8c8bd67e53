//! Chooses whether an answer is requested as a stream or as one document.

use hearth_domain::{Delivery, Generation, TextTask};

use crate::{dialect::AnswerMode, endpoint::Endpoint, provider::Call};

/// Assumed length of an answer without a limit: the longest answers of today's models.
const UNLIMITED_ANSWER_TOKENS: u32 = 65_536;

/// Returns the mode for the answer to `task`. `applies_stops`: the gateway itself ends the answer at stop texts.
///
/// A document is requested if the client wants the whole answer and nothing is lost by it: a short answer, which is
/// complete in time even if the model is slow. A stream is needed if the answer may be read before its end, or if a part
/// of it may be used: for a run that goes on without its client, a run that another model may resume, and an answer that
/// ends at a stop text, so that the text after it isn't generated.
pub(super) fn answer_mode(
    endpoint: &Endpoint,
    call: &Call,
    task: &TextTask,
    applies_stops: bool,
) -> AnswerMode {
    let Generation { on_disconnect, route, .. } = &*call.generation;
    let needs_stream =
        call.delivery == Delivery::Stream || on_disconnect.outlives_client() || route.resume || applies_stops;
    let tokens = endpoint.dialect.answer_limit(call, task).unwrap_or(UNLIMITED_ANSWER_TOKENS);
    if !needs_stream && endpoint.vendor.whole_answers.allows(tokens, endpoint.timeouts.whole_answer) {
        AnswerMode::Whole
    } else {
        AnswerMode::Stream
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, ModelId, OnDisconnect, ReasoningEffort, Role, RunId, Sampling};

    use super::*;
    use crate::{ProviderSettings, vendor::WholeAnswers};

    /// The mode of a request for a whole answer to a vendor of this kind, after `change`.
    fn mode(kind: &str, change: impl FnOnce(&mut Generation, &mut TextTask)) -> AnswerMode {
        mode_of(kind, Delivery::Whole, change)
    }

    fn mode_of(
        kind: &str,
        delivery: Delivery,
        change: impl FnOnce(&mut Generation, &mut TextTask),
    ) -> AnswerMode {
        let base_url = Some("https://bedrock-runtime.eu-west-1.amazonaws.com".to_owned());
        let endpoint =
            Endpoint::new(kind, &ProviderSettings { base_url, ..ProviderSettings::default() }, None).unwrap();
        let sampling = Sampling { max_tokens: Some(4096), ..Sampling::default() };
        let mut task = TextTask::new(vec![Message::new(Role::User, "Hi")], sampling);
        let mut generation = Generation::new(None, task.clone());
        change(&mut generation, &mut task);
        let call = Call {
            run: RunId::new(),
            model: ModelId::new("claude-sonnet-4-5"),
            generation: generation.into(),
            delivery,
            trace: Default::default(),
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
    fn slow_server_gets_whole_mode_for_shorter_answers_only() {
        let limit =
            |tokens| move |_: &mut Generation, task: &mut TextTask| task.sampling.max_tokens = Some(tokens);
        assert_eq!(mode("openai_compatible", limit(1200)), AnswerMode::Whole);
        assert_eq!(mode("openai_compatible", limit(1201)), AnswerMode::Stream);
        assert_eq!(mode("groq", |_, task| task.sampling.max_tokens = None), AnswerMode::Whole);
        let seconds = std::time::Duration::from_secs(5);
        assert!(WholeAnswers::HOSTED.allows(75, seconds) && !WholeAnswers::HOSTED.allows(76, seconds));
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
    fn anthropic_default_limit_allows_whole_mode_unless_it_thinks() {
        assert_eq!(mode("anthropic", |_, task| task.sampling.max_tokens = None), AnswerMode::Whole);
        let thinks = |_: &mut Generation, task: &mut TextTask| task.reasoning = Some(ReasoningEffort::Low);
        assert_eq!(mode("anthropic", thinks), AnswerMode::Stream);
    }

    #[test]
    fn answer_that_may_be_read_before_its_end_is_streamed() {
        assert_eq!(mode_of("openai", Delivery::Stream, |_, _| {}), AnswerMode::Stream);
        let changes: [fn(&mut Generation); 2] = [
            |generation| generation.on_disconnect = OnDisconnect::Continue,
            |generation| generation.route.resume = true,
        ];
        for change in changes {
            assert_eq!(mode("openai", |generation, _| change(generation)), AnswerMode::Stream);
        }
    }
}
