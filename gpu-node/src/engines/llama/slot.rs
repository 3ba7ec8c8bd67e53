//! A slot: one sequence of the context, and the run that has it.

use hearth_domain::{FinishReason, RunId, Usage};
use llama_cpp_2::{model::LlamaModel, sampling::LlamaSampler, token::LlamaToken};

use super::{
    prompt::Admission,
    sampler,
    stop::{StopWatch, Watched},
    text::TextDecoder,
};

/// A run with a slot. It prefills until its whole prompt is fed, and decodes from then on.
pub(super) struct Slot {
    pub(super) run: RunId,
    prompt: Vec<LlamaToken>,
    /// Tokens of the sequence that are in the context.
    fed: usize,
    /// The token to feed next, once the prompt is fed.
    next: Option<LlamaToken>,
    generated: u32,
    max_tokens: u32,
    ignore_eos: bool,
    pub(super) sampler: LlamaSampler,
    decoder: TextDecoder,
    stop: StopWatch,
}

/// What a sampled token led to.
pub(super) struct Outcome {
    /// Text that can go out; may be empty.
    pub(super) text: String,
    /// Why the run ends here, if it does.
    pub(super) finish: Option<FinishReason>,
}

impl Slot {
    pub(super) fn new(
        admission: Admission,
        model: &LlamaModel,
        end_of_turn: &[LlamaToken],
        context: u32,
    ) -> Self {
        let sampler = sampler::chain(&admission.sampling, model, end_of_turn);
        let room = context.saturating_sub(admission.prompt_tokens()).max(1);
        Self {
            run: admission.run,
            prompt: admission.prompt,
            fed: 0,
            next: None,
            generated: 0,
            max_tokens: admission.sampling.max_tokens.unwrap_or(room).min(room),
            ignore_eos: admission.sampling.ignore_eos,
            sampler,
            decoder: TextDecoder::new(),
            stop: StopWatch::new(admission.sampling.stop),
        }
    }

    /// The token to decode in the next step, and its position, once the prompt is fed.
    pub(super) fn decoding(&self) -> Option<(LlamaToken, i32)> {
        self.next.map(|token| (token, position(self.fed)))
    }

    /// The prompt's next tokens, at most `most`, with the first one's position; empty once it is fed.
    pub(super) fn prefill(&self, most: usize) -> (&[LlamaToken], i32) {
        let rest = self.prompt.get(self.fed..).unwrap_or_default();
        (&rest[..rest.len().min(most)], position(self.fed))
    }

    /// Notes that `count` more tokens are in the context; whether the prompt is now whole.
    pub(super) fn advance(&mut self, count: usize) -> bool {
        self.fed += count;
        self.fed >= self.prompt.len()
    }

    /// Takes the token sampled after this step.
    pub(super) fn take(&mut self, token: LlamaToken, model: &LlamaModel) -> Outcome {
        let vocab = model.vocab();
        if vocab.is_eog(token) && !self.ignore_eos {
            return Outcome { text: self.stop.finish(), finish: Some(FinishReason::Stop) };
        }
        self.generated += 1;
        self.next = Some(token);
        let piece = self.decoder.push(&vocab.token_to_piece(token, false, None));
        match self.stop.push(&piece) {
            Watched::Stopped(text) => Outcome { text, finish: Some(FinishReason::Stop) },
            Watched::Pass(mut text) => {
                let finish = (self.generated >= self.max_tokens).then_some(FinishReason::Length);
                if finish.is_some() {
                    text.push_str(&self.stop.finish());
                }
                Outcome { text, finish }
            }
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let prompt_tokens = u32::try_from(self.prompt.len()).unwrap_or(u32::MAX);
        Usage { prompt_tokens, completion_tokens: self.generated, cached_tokens: 0 }
    }
}

/// A slot's context is far below 2^31 tokens.
fn position(fed: usize) -> i32 {
    i32::try_from(fed).unwrap_or(i32::MAX)
}
