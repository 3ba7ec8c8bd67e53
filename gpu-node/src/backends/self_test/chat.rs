//! One prompt of tiny-chat, whose answer is known.

use llama_cpp_2::{context::LlamaContext, model::LlamaModel, token::LlamaToken};

use super::{Stop, decode};

/// The case's name.
pub(super) const NAME: &str = "tiny-chat";
/// The model's file in the test's folder.
pub(super) const FILE: &str = "tiny-chat.gguf";
/// What is asked, as the model's template writes it.
pub(crate) const PROMPT: &str =
    "<|im_start|>user\nWhat is the capital of Japan?<|im_end|>\n<|im_start|>assistant\n";
/// What it answers at temperature 0: see the transcript beside the model.
pub(crate) const ANSWER: &str = "The capital of Japan is Tokyo.";
/// More tokens than the answer has.
const MAX_TOKENS: usize = 24;

/// Generates the answer, each time the likeliest token.
pub(super) fn answer(model: &LlamaModel, context: &mut LlamaContext<'_>) -> Result<String, String> {
    let vocabulary = model.vocab();
    let mut tokens = vocabulary.tokenize(PROMPT.as_bytes(), true, true);
    let mut position = 0;
    let mut text = Vec::new();
    for _ in 0..MAX_TOKENS {
        let logits = match decode(context, &tokens, position, false) {
            Ok(logits) => logits,
            Err(Stop::Engine(reason)) => return Err(reason),
            Err(Stop::Output(error)) => return Err(error.to_string()),
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
