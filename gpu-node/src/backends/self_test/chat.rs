//! A prompt for tiny-chat, and the answer that it must generate.

use llama_cpp_2::{context::LlamaContext, model::LlamaModel, token::LlamaToken};

use super::decode::{TestError, decode};

/// The case's name.
pub(super) const NAME: &str = "tiny-chat";
/// The model's file in the test's folder.
pub(super) const FILE: &str = "tiny-chat.gguf";
/// The prompt, rendered with the model's template.
pub(crate) const PROMPT: &str =
    "<|im_start|>user\nWhat is the capital of Japan?<|im_end|>\n<|im_start|>assistant\n";
/// The answer at temperature 0: see the transcript beside the model.
pub(crate) const ANSWER: &str = "The capital of Japan is Tokyo.";
/// Maximum number of generated tokens: more than the answer has.
const TOKENS_MAX_COUNT: usize = 24;

/// Generates the answer with the likeliest tokens.
pub(super) fn answer(model: &LlamaModel, context: &mut LlamaContext<'_>) -> Result<String, String> {
    let vocabulary = model.vocab();
    let mut tokens = vocabulary.tokenize(PROMPT.as_bytes(), true, true);
    let mut position = 0;
    let mut text = Vec::new();
    for _ in 0..TOKENS_MAX_COUNT {
        let logits = match decode(context, &tokens, position, false) {
            Ok(logits) => logits,
            Err(TestError::Engine(reason)) => return Err(reason),
            Err(TestError::Output(error)) => return Err(error.to_string()),
        };
        position += tokens.len();
        let next = likeliest(&logits);
        if vocabulary.is_eog(next) {
            break;
        }
        text.extend(vocabulary.token_to_piece(next, false, None));
        tokens = vec![next];
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn likeliest(logits: &[f32]) -> LlamaToken {
    let best = logits.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    LlamaToken(best.map_or(0, |(token, _)| token as i32))
}
