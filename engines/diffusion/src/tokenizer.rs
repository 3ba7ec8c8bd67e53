//! CLIP's tokenizer: byte pairs of lower-case words (`simple_tokenizer.py` of OpenAI's CLIP).

use std::{collections::HashMap, fs, path::Path};

/// The merges of CLIP's vocabulary, for checkpoints that have none.
const MERGES: &str = include_str!("../data/clip-merges.txt");
/// Ending of a word's last token.
const WORD_END: &str = "</w>";
/// Limit of the bytes of a vocabulary file.
const FILE_MAX_BYTES: u64 = 16 << 20;
/// Characters of a word that are merged together: the work grows with their square.
const WORD_MAX_CHARS: usize = 128;
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Endings that are words of their own.
const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// A tokenizer.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    ids: HashMap<String, u32>,
    /// The rank of each merge: lower ones come first.
    merges: HashMap<(String, String), usize>,
    bytes: [char; 256],
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Tokenizer {
    /// CLIP's own vocabulary.
    pub(crate) fn clip() -> Result<Self, String> {
        let bytes = byte_characters();
        let mut tokens: Vec<String> = vocabulary_order().map(String::from).collect();
        tokens.extend(vocabulary_order().map(|character| format!("{character}{WORD_END}")));
        tokens.extend(MERGES.lines().map(|line| line.replace(' ', "")));
        tokens.extend([START, END].map(str::to_owned));
        let ids = (0..).zip(tokens).map(|(id, token)| (token, id)).collect();
        Self::new(ids, MERGES, bytes)
    }

    /// The vocabulary of a folder with `vocab.json` and `merges.txt`; CLIP's own if the folder has none.
    ///
    /// # Errors
    /// The reason why the files can't be used.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, String> {
        let vocabulary = folder.join("vocab.json");
        if !vocabulary.is_file() {
            return Self::clip();
        }
        let read = |path: &Path| {
            let size = fs::metadata(path).map(|metadata| metadata.len());
            match size {
                Ok(size) if size <= FILE_MAX_BYTES => {
                    fs::read_to_string(path).map_err(|error| error.kind().to_string())
                }
                Ok(size) => Err(format!("it has {size} bytes")),
                Err(error) => Err(error.kind().to_string()),
            }
            .map_err(|reason| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                format!("its tokenizer's {name} can't be read: {reason}")
            })
        };
        let ids = serde_json::from_str(&read(&vocabulary)?)
            .map_err(|error| format!("its tokenizer's vocab.json is damaged: {error}"))?;
        Self::new(ids, &read(&folder.join("merges.txt"))?, byte_characters())
    }

    fn new(ids: HashMap<String, u32>, merges: &str, bytes: [char; 256]) -> Result<Self, String> {
        let lines = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
        let merges = lines.enumerate().filter_map(|(rank, line)| {
            let (first, second) = line.split_once(' ')?;
            Some(((first.to_owned(), second.to_owned()), rank))
        });
        let merges = merges.collect();
        let id = |token: &str| {
            ids.get(token).copied().ok_or_else(|| format!("its tokenizer's vocabulary has no {token}"))
        };
        let (start, end) = (id(START)?, id(END)?);
        Ok(Self { ids, merges, bytes, start, end })
    }

    /// The largest id.
    pub(crate) fn last_id(&self) -> u32 {
        self.ids.values().copied().max().unwrap_or(0)
    }

    /// The tokens of a text, without start and end.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let text = text.to_lowercase();
        let mut tokens = Vec::new();
        for word in words(&text) {
            let characters = word.bytes().map(|byte| self.bytes[usize::from(byte)]);
            tokens.extend(
                self.pieces(characters).into_iter().filter_map(|piece| self.ids.get(&piece).copied()),
            );
        }
        tokens
    }

    /// Merges the characters of a word to the longest tokens, in the order of the merges' ranks.
    fn pieces(&self, characters: impl Iterator<Item = char>) -> Vec<String> {
        let mut pieces: Vec<String> = characters.map(String::from).collect();
        if let Some(last) = pieces.last_mut() {
            last.push_str(WORD_END);
        }
        loop {
            let pairs = pieces.windows(2).enumerate();
            let ranked = pairs.filter_map(|(index, pair)| {
                let rank = self.merges.get(&(pair[0].clone(), pair[1].clone()))?;
                Some((*rank, index))
            });
            let Some((_, index)) = ranked.min() else { return pieces };
            let second = pieces.remove(index + 1);
            pieces[index].push_str(&second);
        }
    }
}

/// The words of a text: contractions, runs of letters, single digits, and runs of other characters.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let contraction = CONTRACTIONS.iter().find(|ending| rest.starts_with(**ending));
        let length = match contraction {
            Some(ending) => ending.len(),
            None if first.is_alphabetic() => run(rest, char::is_alphabetic),
            None if first.is_numeric() => first.len_utf8(),
            None => run(rest, |c| !c.is_whitespace() && !c.is_alphabetic() && !c.is_numeric()),
        };
        let (word, after) = rest.split_at(length.max(first.len_utf8()));
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// The bytes of the characters that belong together, up to [`WORD_MAX_CHARS`].
fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.chars().take(WORD_MAX_CHARS).take_while(|c| belongs(*c)).map(char::len_utf8).sum()
}

/// The bytes whose character is printable, as GPT-2's tokenizer has them; the others get characters from 256 on.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

fn byte_characters() -> [char; 256] {
    let mut characters = ['\0'; 256];
    let mut next = 256_u32;
    for byte in 0..=u8::MAX {
        characters[usize::from(byte)] = if is_printable(byte) {
            char::from(byte)
        } else {
            let character = char::from_u32(next).unwrap_or('\0');
            next += 1;
            character
        };
    }
    characters
}

/// The characters of the bytes in the order of the vocabulary: the printable ones first.
fn vocabulary_order() -> impl Iterator<Item = char> {
    let characters = byte_characters();
    let (printable, others): (Vec<u8>, Vec<u8>) = (0..=u8::MAX).partition(|byte| is_printable(*byte));
    printable.into_iter().chain(others).map(move |byte| characters[usize::from(byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens as OpenAI's CLIP and transformers' `CLIPTokenizer` give them.
    #[test]
    fn tokens_are_those_of_clip() {
        let tokenizer = Tokenizer::clip().unwrap();
        assert_eq!((tokenizer.start, tokenizer.end, tokenizer.last_id()), (49_406, 49_407, 49_407));
        assert_eq!(tokenizer.encode("a photo of a cat"), [320, 1125, 539, 320, 2368]);
        assert_eq!(tokenizer.encode("  A  PHOTO\nof a cat "), [320, 1125, 539, 320, 2368]);
        assert_eq!(tokenizer.encode(""), [0_u32; 0]);
        // The exclamation mark as a word is the first entry after the 256 inner characters.
        assert_eq!(tokenizer.encode("!"), [256]);
        assert!(!tokenizer.encode("日本の猫 🐈").is_empty());
    }

    #[test]
    fn words_are_split_as_clip_splits_them() {
        assert_eq!(words("it's 42 cats, really..."), ["it", "'s", "4", "2", "cats", ",", "really", "..."]);
        assert_eq!(words("don't"), ["don", "'t"]);
    }

    #[test]
    fn folder_without_a_vocabulary_has_clips() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Tokenizer::of_folder(folder.path()).unwrap().last_id(), 49_407);
        fs::write(folder.path().join("vocab.json"), r#"{"a</w>": 0}"#).unwrap();
        fs::write(folder.path().join("merges.txt"), "").unwrap();
        assert!(Tokenizer::of_folder(folder.path()).unwrap_err().contains(START));
        fs::write(
            folder.path().join("vocab.json"),
            r#"{"a</w>": 0, "<|startoftext|>": 1, "<|endoftext|>": 2}"#,
        )
        .unwrap();
        assert_eq!(Tokenizer::of_folder(folder.path()).unwrap().encode("a b a"), [0, 0]);
    }
}
