//! T5's tokenizer: the likeliest pieces of a text by a unigram model (SentencePiece; Kudo 2018), of a GGUF file's metadata or
//! of `tokenizer.json`.

use std::{fs, path::Path};

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::{
    Tokenizer,
    models::unigram::Unigram,
    normalizers::{precompiled::Precompiled, unicode::NFKC},
    pre_tokenizers::{
        PreTokenizerWrapper,
        metaspace::{Metaspace, PrependScheme},
        sequence::Sequence,
        whitespace::WhitespaceSplit,
    },
};

/// Stands for a space in tokens.
const SPACE: char = '▁';
/// Limit of the bytes of `tokenizer.json`.
const FILE_MAX_BYTES: u64 = 32 << 20;
/// Tokens of T5's vocabulary, for a file that doesn't state them.
const PADDING: u32 = 0;
const END: u32 = 1;
const UNKNOWN: u32 = 2;

/// T5's tokenizer.
#[derive(Debug)]
pub(crate) struct T5Tokenizer {
    tokenizer: Tokenizer,
    end: u32,
    padding: u32,
}

impl T5Tokenizer {
    /// The tokenizer in the metadata of a GGUF file.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub(crate) fn of_gguf(header: &Content) -> Result<Self, String> {
        let tokens = texts(header, "tokenizer.ggml.tokens")?;
        let scores = numbers(header, "tokenizer.ggml.scores")?;
        if tokens.len() != scores.len() {
            return Err(format!("its tokenizer has {} tokens and {} scores", tokens.len(), scores.len()));
        }
        let id = |key: &str, default: u32| {
            header.metadata.get(key).and_then(|value| value.to_u32().ok()).unwrap_or(default)
        };
        let unknown = id("tokenizer.ggml.unknown_token_id", UNKNOWN) as usize;
        let (end, padding) =
            (id("tokenizer.ggml.eos_token_id", END), id("tokenizer.ggml.padding_token_id", PADDING));
        if end.max(padding) as usize >= tokens.len() {
            return Err("its tokenizer lacks the tokens for the end and the padding of a text".to_owned());
        }
        let unusable = |error: &dyn std::fmt::Display| format!("its tokenizer can't be used: {error}");
        let model = Unigram::from(tokens.into_iter().zip(scores).collect(), Some(unknown), false)
            .map_err(|error| unusable(&error))?;
        let mut tokenizer = Tokenizer::new(model);
        let normalised = match characters(header) {
            Some(characters) => {
                let characters = Precompiled::from(&characters).map_err(|error| unusable(&error))?;
                tokenizer.with_normalizer(Some(characters))
            }
            None => tokenizer.with_normalizer(Some(NFKC)),
        };
        normalised.map_err(|error| unusable(&error))?;
        let words: [PreTokenizerWrapper; 2] =
            [WhitespaceSplit.into(), Metaspace::new(SPACE, PrependScheme::Always, true).into()];
        tokenizer.with_pre_tokenizer(Some(Sequence::new(words.to_vec())));
        Ok(Self { tokenizer, end, padding })
    }

    /// The tokenizer in the file `tokenizer.json`.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub(crate) fn of_file(path: &Path) -> Result<Self, String> {
        let size = fs::metadata(path)
            .map_err(|error| format!("its tokenizer.json can't be read: {}", error.kind()))?
            .len();
        if size > FILE_MAX_BYTES {
            return Err(format!("its tokenizer.json has {size} bytes"));
        }
        let text =
            fs::read(path).map_err(|error| format!("its tokenizer.json can't be read: {}", error.kind()))?;
        let mut tokenizer =
            Tokenizer::from_bytes(text).map_err(|error| format!("its tokenizer.json is damaged: {error}"))?;
        // The length is the caller's.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| format!("its tokenizer.json is damaged: {error}"))?;
        let id = |token: &str, default: u32| tokenizer.token_to_id(token).unwrap_or(default);
        let (end, padding) = (id("</s>", END), id("<pad>", PADDING));
        Ok(Self { tokenizer, end, padding })
    }

    /// Number of tokens.
    pub(crate) fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The tokens of a text, with the end.
    ///
    /// # Errors
    /// If the text can't be split.
    pub(crate) fn encode(&self, text: &str) -> candle_core::Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(text, false).map_err(|error| {
            candle_core::Error::Msg(format!("the prompt can't be split into tokens: {error}"))
        })?;
        let mut tokens = encoding.get_ids().to_vec();
        tokens.push(self.end);
        Ok(tokens)
    }

    /// Fills tokens up to `length`.
    pub(crate) fn padded(&self, mut tokens: Vec<u32>, length: usize) -> Vec<u32> {
        tokens.resize(length, self.padding);
        tokens
    }
}

fn array<'a>(header: &'a Content, key: &str) -> Result<&'a Vec<Value>, String> {
    let value = header.metadata.get(key).ok_or_else(|| {
        format!("its tokenizer is missing: its metadata lacks {key}; use a T5 as llama.cpp converts it")
    })?;
    value.to_vec().map_err(|_| format!("its tokenizer is damaged: {key} is no list"))
}

fn texts(header: &Content, key: &str) -> Result<Vec<String>, String> {
    let texts = array(header, key)?.iter().map(|value| value.to_string().cloned());
    texts.collect::<Result<_, _>>().map_err(|_| format!("its tokenizer is damaged: {key} isn't of texts"))
}

fn numbers(header: &Content, key: &str) -> Result<Vec<f64>, String> {
    let numbers = array(header, key)?.iter().map(|value| value.to_f32().map(f64::from));
    numbers.collect::<Result<_, _>>().map_err(|_| format!("its tokenizer is damaged: {key} isn't of numbers"))
}

/// The table by which SentencePiece replaces characters.
fn characters(header: &Content) -> Option<Vec<u8>> {
    let values = header.metadata.get("tokenizer.ggml.precompiled_charsmap")?.to_vec().ok()?;
    let bytes = values.iter().map(|value| match value {
        Value::U8(byte) => Some(*byte),
        Value::I8(byte) => Some(byte.cast_unsigned()),
        _ => None,
    });
    bytes.collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests;
