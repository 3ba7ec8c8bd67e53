//! The vocabulary of the generated model: byte-level BPE, as GPT-2 has it, whose merges make each word of
//! [`crate::words`] one token.

use std::ops::Range;

use crate::words::{SYLLABLES, WORDS, syllable, word};

/// llama.cpp's kinds of token.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// The character that stands for a space in byte-level BPE.
const SPACE: char = '\u{120}';

#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) tokens: Vec<String>,
    pub(super) kinds: Vec<i32>,
    pub(super) merges: Vec<String>,
    /// The token of the document's end.
    pub(super) end_of_text: u32,
    /// The token of a turn's end.
    pub(super) end_of_turn: u32,
    /// The tokens that are a space and a word.
    pub(super) words: Range<usize>,
}

impl Vocabulary {
    /// Filled up to `size` tokens with some that are never used.
    pub(super) fn new(size: usize) -> Self {
        let mut tokens: Vec<String> = (0..=u8::MAX).map(|byte| letter(byte).to_string()).collect();
        let mut merges = Vec::new();
        let mut merge = |tokens: &mut Vec<String>, left: &str, right: &str| {
            merges.push(format!("{left} {right}"));
            tokens.push(format!("{left}{right}"));
        };
        for syllable in (0..SYLLABLES).map(syllable) {
            let (consonant, vowel) = syllable.split_at(1);
            merge(&mut tokens, consonant, vowel);
        }
        for word in (0..WORDS).map(word) {
            let (first, second) = word.split_at(2);
            merge(&mut tokens, first, second);
        }
        let begin = tokens.len();
        for word in (0..WORDS).map(word) {
            merge(&mut tokens, &SPACE.to_string(), &word);
        }
        let words = begin..tokens.len();
        let mut kinds = vec![NORMAL; tokens.len()];
        let end_of_text = tokens.len() as u32;
        for control in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] {
            tokens.push(control.to_owned());
            kinds.push(CONTROL);
        }
        for number in tokens.len()..size {
            tokens.push(format!("<|unused_{number}|>"));
            kinds.push(UNUSED);
        }
        Self { tokens, kinds, merges, end_of_text, end_of_turn: end_of_text + 2, words }
    }
}

/// The letter that stands for a byte: itself where it is printable, else the next one above U+0100 (the
/// `bytes_to_unicode` of GPT-2's encoder).
fn letter(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|byte| !printable(*byte)).count() as u32;
    char::from_u32(0x100 + before).unwrap_or('\u{fffd}')
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn bytes_have_the_letters_of_gpt_2() {
        let known = [(b' ', 'Ġ'), (b'\n', 'Ċ'), (b'a', 'a'), (0, 'Ā'), (0x7f, 'ġ'), (0xad, 'Ń'), (0xff, 'ÿ')];
        for (byte, expected) in known {
            assert_eq!(letter(byte), expected, "{byte:#x}");
        }
    }

    #[test]
    fn every_token_is_there_once_and_every_merge_makes_one_of_two() {
        let vocabulary = Vocabulary::new(32_000);
        let tokens: HashSet<&String> = vocabulary.tokens.iter().collect();
        assert_eq!((tokens.len(), vocabulary.kinds.len()), (32_000, 32_000));
        for merge in &vocabulary.merges {
            let (left, right) = merge.split_once(' ').unwrap();
            for token in [left.to_owned(), right.to_owned(), format!("{left}{right}")] {
                assert!(tokens.contains(&token), "{token:?} of {merge:?}");
            }
        }
        assert_eq!(vocabulary.tokens[vocabulary.end_of_turn as usize], "<|im_end|>");
        assert!(vocabulary.tokens[vocabulary.words.clone()].iter().all(|token| token.chars().count() == 5));
    }
}
