//! The model's tokens: their bytes, and which of them end a turn.

use std::collections::{HashMap, HashSet};

use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

/// Every token's bytes, read once from the model.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// All tokens' bytes, one after another, and where each one's end.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Tokens that are no text, such as `<|im_end|>`, with their names.
    special: HashMap<LlamaToken, Vec<u8>>,
    end_of_turn: HashSet<LlamaToken>,
}

impl Vocabulary {
    pub(super) fn of(model: &LlamaModel) -> Self {
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

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// What a token adds to a text; nothing for a special one.
    pub(super) fn text(&self, token: LlamaToken) -> &[u8] {
        let Ok(index) = usize::try_from(token.0) else { return &[] };
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(index).map_or(&[], |end| &self.bytes[start..*end])
    }

    /// A token's text, or a special one's name.
    pub(super) fn name(&self, token: LlamaToken) -> &[u8] {
        self.special.get(&token).map_or_else(|| self.text(token), Vec::as_slice)
    }

    /// Whether a token ends the model's turn.
    pub(super) fn ends_turn(&self, token: LlamaToken) -> bool {
        self.end_of_turn.contains(&token)
    }

    /// The tokens that end the model's turn.
    pub(super) fn end_of_turn(&self) -> impl Iterator<Item = LlamaToken> {
        self.end_of_turn.iter().copied()
    }

    /// The special tokens of these names.
    pub(super) fn special(&self, names: impl Iterator<Item = &'static str>) -> HashSet<LlamaToken> {
        let names: HashSet<&[u8]> = names.map(str::as_bytes).collect();
        let wanted = |name: &Vec<u8>| names.contains(name.as_slice());
        self.special.iter().filter(|(_, name)| wanted(name)).map(|(token, _)| *token).collect()
    }

    /// The special token of this name.
    pub(super) fn special_token(&self, name: &str) -> Option<u32> {
        let mut found = self.special.iter().filter(|(_, known)| known.as_slice() == name.as_bytes());
        found.next().map(|(token, _)| token.0.cast_unsigned())
    }
}
