//! Decodes tokens' bytes to whole characters: the bytes of one character may come in several tokens.

use encoding_rs::{Decoder, UTF_8};

/// Decoder of a byte stream.
pub(super) struct TextDecoder(Decoder);

impl TextDecoder {
    pub(super) fn new() -> Self {
        Self(UTF_8.new_decoder_without_bom_handling())
    }

    /// Adds bytes and returns the characters that they complete. Invalid bytes become U+FFFD. An incomplete character
    /// is held back, and dropped if the answer ends there.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        // The decoder writes no more than this, so the text is never reallocated.
        let room = self.0.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 16);
        let mut text = String::with_capacity(room);
        let _ = self.0.decode_to_string(bytes, &mut text, false);
        text
    }
}

/// Length of the longest part of `marker`, less than all of it, that begins `marker` and ends `text`: that much of
/// `text` may become a marker with the text that follows.
pub(super) fn partial_match_len(text: &str, marker: &str) -> usize {
    let longest = marker.len().saturating_sub(1).min(text.len());
    let ends_text = |length: &usize| marker.is_char_boundary(*length) && text.ends_with(&marker[..*length]);
    (1..=longest).rev().find(ends_text).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_whole_wherever_their_bytes_are_cut() {
        let whole = "héllo – こんにちは 🔥";
        for size in 1..6 {
            let mut decoder = TextDecoder::new();
            let pieces: Vec<String> =
                whole.as_bytes().chunks(size).map(|bytes| decoder.push(bytes)).collect();
            assert_eq!(pieces.concat(), whole, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn incomplete_character_is_dropped_at_the_end() {
        let mut decoder = TextDecoder::new();
        assert_eq!(decoder.push(b"ab\xf0\x9f"), "ab");
    }
}
