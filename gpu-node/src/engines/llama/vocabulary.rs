//! The model's vocabulary: the bytes of each token, and the tokens that end a turn.

use std::collections::{HashMap, HashSet};

use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

/// A token's id, as llama.cpp numbers them.
pub(super) type Token = i32;

/// A model's vocabulary, read once.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// The bytes of all tokens, concatenated.
    bytes: Vec<u8>,
    /// The end of each token in `bytes`.
    ends: Vec<usize>,
    /// Tokens without text, such as `<|im_end|>`, with their names.
    special: HashMap<LlamaToken, Vec<u8>>,
    end_of_turn: HashSet<LlamaToken>,
}

impl Vocabulary {
    pub(super) fn read(model: &LlamaModel) -> Self {
        let vocab = model.vocab();
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let (mut special, mut end_of_turn) = (HashMap::new(), HashSet::new());
        for token in vocab.tokens() {
            let piece = vocab.token_to_piece(token, false, None);
            if piece.is_empty() {
                special.insert(token, vocab.token_to_piece(token, true, None));
            }
            if vocab.is_eog(token) {
                end_of_turn.insert(token);
            }
            bytes.extend(piece);
            ends.push(bytes.len());
        }
        Self { bytes, ends, special, end_of_turn }
    }

    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes that a token adds to a text; none for a special token.
    pub(super) fn text(&self, token: LlamaToken) -> &[u8] {
        let Ok(index) = usize::try_from(token.0) else { return &[] };
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(index).map_or(&[], |end| &self.bytes[start..*end])
    }

    /// A token's text, or a special token's name.
    pub(super) fn name(&self, token: LlamaToken) -> &[u8] {
        self.special.get(&token).map_or_else(|| self.text(token), Vec::as_slice)
    }

    /// Returns whether a token ends the model's turn.
    pub(super) fn ends_turn(&self, token: LlamaToken) -> bool {
        self.end_of_turn.contains(&token)
    }

    /// The tokens that end the model's turn.
    pub(super) fn end_of_turn(&self) -> impl Iterator<Item = LlamaToken> {
        self.end_of_turn.iter().copied()
    }

    /// The special tokens with these names.
    pub(super) fn special(&self, names: impl Iterator<Item = &'static str>) -> HashSet<LlamaToken> {
        let names: HashSet<&[u8]> = names.map(str::as_bytes).collect();
        let wanted = |name: &Vec<u8>| names.contains(name.as_slice());
        self.special.iter().filter(|(_, name)| wanted(name)).map(|(token, _)| *token).collect()
    }

    /// The special token with this name.
    pub(super) fn special_token(&self, name: &str) -> Option<u32> {
        let mut named = self.special.iter().filter(|(_, text)| text.as_slice() == name.as_bytes());
        named.next().map(|(token, _)| token.0.cast_unsigned())
    }
}

/// Number of tokens that both begin with.
pub(super) fn common_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
