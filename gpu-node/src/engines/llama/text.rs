//! From tokens' bytes to whole characters. A character's bytes may come in several tokens; until
//! they are all there, none go out.

use encoding_rs::{Decoder, UTF_8};

/// Decodes a stream of bytes.
pub(super) struct TextDecoder(Decoder);

impl TextDecoder {
    pub(super) fn new() -> Self {
        Self(UTF_8.new_decoder_without_bom_handling())
    }

    /// The characters that `bytes` completes. Bytes that can be no character become U+FFFD; bytes
    /// that may still become one are kept, and dropped if the completion ends there.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        // Never reallocates: this is the most that the decoder may write.
        let room = self.0.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 16);
        let mut text = String::with_capacity(room);
        let _ = self.0.decode_to_string(bytes, &mut text, false);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_come_whole_however_their_bytes_are_cut() {
        let whole = "héllo – こんにちは 🔥";
        for size in 1..6 {
            let mut decoder = TextDecoder::new();
            let pieces: Vec<String> =
                whole.as_bytes().chunks(size).map(|bytes| decoder.push(bytes)).collect();
            assert_eq!(pieces.concat(), whole, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn an_unfinished_character_is_dropped_at_the_end() {
        let mut decoder = TextDecoder::new();
        assert_eq!(decoder.push(b"ab\xf0\x9f"), "ab");
    }
}
