//! A small vocabulary of T5's tokenizer: SentencePiece's unigram model.

use candle_core::quantized::gguf_file::Value;
use serde_json::json;

/// Control tokens, and pieces that are likelier than their letters. `▁` stands for the space before a word.
const TOKENS: [(&str, f32); 10] = [
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -2.0),
    ("▁a", -2.5),
    ("▁fox", -4.0),
    ("▁the", -3.0),
    ("▁cat", -4.0),
    ("▁in", -3.5),
    ("now", -5.0),
];
/// The likelihood of a letter.
const LETTER_SCORE: f32 = -6.0;

/// The tokens with the logarithm of their likelihood.
fn tokens() -> Vec<(String, f32)> {
    let letters = ('a'..='z').map(|letter| (letter.to_string(), LETTER_SCORE));
    TOKENS.iter().map(|(token, score)| ((*token).to_owned(), *score)).chain(letters).collect()
}

/// Number of tokens.
pub(crate) fn count() -> usize {
    tokens().len()
}

/// The metadata of a GGUF file by llama.cpp's converter.
pub(crate) fn metadata() -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    let tokens = tokens();
    vec![
        ("general.architecture", text("t5encoder")),
        ("tokenizer.ggml.model", text("t5")),
        ("tokenizer.ggml.tokens", Value::Array(tokens.iter().map(|(token, _)| text(token)).collect())),
        ("tokenizer.ggml.scores", Value::Array(tokens.iter().map(|(_, score)| Value::F32(*score)).collect())),
        ("tokenizer.ggml.padding_token_id", Value::U32(0)),
        ("tokenizer.ggml.eos_token_id", Value::U32(1)),
        ("tokenizer.ggml.unknown_token_id", Value::U32(2)),
    ]
}

/// The tokenizer as the library transformers writes it.
pub(crate) fn tokenizer_json() -> String {
    let vocabulary: Vec<_> = tokens().into_iter().map(|(token, score)| json!([token, score])).collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": {"type": "NFKC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
            ],
        },
        "post_processor": null,
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": vocabulary, "byte_fallback": false},
    });
    tokenizer.to_string()
}
