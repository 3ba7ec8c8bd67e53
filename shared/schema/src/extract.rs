//! Extracts the JSON of an answer from the text around it, and repairs what can be repaired without a guess.
//!
//! A model that is only asked for JSON may write a code fence or prose around it, comments, commas before a closing
//! bracket, or line breaks inside a string. Nothing else is repaired: a missing bracket or quote has several readings.

use std::borrow::Cow;

use serde_json::Value;

/// Largest number of places in a text where JSON is looked for.
const PLACES_MAX_COUNT: usize = 64;
/// The beginning and the end of a code block.
const FENCE: &str = "```";

/// The JSON of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtractedJson<'a> {
    /// Its text, which is JSON.
    pub text: Cow<'a, str>,
    /// Its value.
    pub value: Value,
    /// True if the answer's text was not JSON as it stood.
    pub repaired: bool,
}

/// Extracts the JSON of an answer; `None` if there is none. Of several values the longest is chosen, and one in a code
/// block before any other.
pub fn extract(text: &str) -> Option<ExtractedJson<'_>> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(ExtractedJson { text: text.into(), value, repaired: false });
    }
    let text = text.trim_start_matches('\u{feff}');
    let blocks = code_blocks(text).filter_map(|block| longest(parse(block)));
    longest(blocks).or_else(|| longest(parse(text))).or_else(|| longest(values_in(text).filter_map(parse)))
}

fn longest<'a>(found: impl IntoIterator<Item = ExtractedJson<'a>>) -> Option<ExtractedJson<'a>> {
    found.into_iter().max_by_key(|json| json.text.len())
}

/// Parses a text as JSON, after repairs where it needs some.
fn parse(text: &str) -> Option<ExtractedJson<'_>> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(ExtractedJson { text: text.into(), value, repaired: true });
    }
    let cleaned = clean(text);
    let value = serde_json::from_str(&cleaned).ok()?;
    Some(ExtractedJson { text: cleaned.trim().to_owned().into(), value, repaired: true })
}

/// Returns the contents of the code blocks of a text. One that isn't closed reaches to the text's end.
fn code_blocks(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(FENCE).skip(1).step_by(2).take(PLACES_MAX_COUNT);
    // The first line has the block's language.
    parts.map(|block| block.split_once('\n').map_or(block, |(_, content)| content))
}

/// Returns the objects and lists in a text, from each opening bracket outside of the others to its closing one.
fn values_in(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let mut places = 0;
    std::iter::from_fn(move || {
        while places < PLACES_MAX_COUNT {
            places += 1;
            let candidate = &rest[rest.find(['{', '['])?..];
            match balanced_length(candidate) {
                Some(length) => {
                    rest = &candidate[length..];
                    return Some(&candidate[..length]);
                }
                // A bracket of the prose.
                None => rest = &candidate[1..],
            }
        }
        None
    })
}

/// Length of the object or list at the beginning of a text; `None` if it isn't closed.
fn balanced_length(text: &str) -> Option<usize> {
    let (mut open, mut lexer) = (0_usize, Lexer::default());
    for (at, character) in text.char_indices() {
        if lexer.step(character, &text[at..]) != Place::Structure {
            continue;
        }
        match character {
            '{' | '[' => open += 1,
            '}' | ']' => {
                open -= 1;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Removes comments and commas before a closing bracket, and escapes control characters in strings.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    // Length of `cleaned` before a comma that only white space has followed.
    let mut comma = None;
    let mut lexer = Lexer::default();
    for (at, character) in text.char_indices() {
        match lexer.step(character, &text[at..]) {
            Place::Comment => continue,
            Place::String => {
                comma = None;
                match character {
                    '\n' => cleaned.push_str("\\n"),
                    '\r' => cleaned.push_str("\\r"),
                    '\t' => cleaned.push_str("\\t"),
                    other => cleaned.push(other),
                }
                continue;
            }
            Place::Structure => {}
        }
        match character {
            ',' => comma = Some(cleaned.len()),
            '}' | ']' => {
                if let Some(at) = comma.take() {
                    cleaned.remove(at);
                }
            }
            other if other.is_whitespace() => {}
            _ => comma = None,
        }
        cleaned.push(character);
    }
    cleaned
}

/// The place of a character in JSON with comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Structure,
    String,
    Comment,
}

/// Follows a text of JSON with comments, character by character.
#[derive(Debug, Default)]
struct Lexer {
    state: State,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Structure,
    String,
    /// The character after a backslash.
    Escaped,
    LineComment,
    BlockComment,
    /// The slash at the end of a block comment.
    BlockEnd,
}

impl Lexer {
    /// Returns the place of `character`, which `rest` begins with.
    fn step(&mut self, character: char, rest: &str) -> Place {
        let (place, next) = match (self.state, character) {
            (State::Structure, '"') => (Place::String, State::String),
            (State::Structure, '/') if rest.starts_with("//") => (Place::Comment, State::LineComment),
            (State::Structure, '/') if rest.starts_with("/*") => (Place::Comment, State::BlockComment),
            (State::Structure, _) => (Place::Structure, State::Structure),
            (State::String, '"') => (Place::String, State::Structure),
            (State::String, '\\') => (Place::String, State::Escaped),
            (State::String | State::Escaped, _) => (Place::String, State::String),
            (State::LineComment, '\n') => (Place::Structure, State::Structure),
            (State::LineComment, _) => (Place::Comment, State::LineComment),
            (State::BlockComment, '*') if rest.starts_with("*/") => (Place::Comment, State::BlockEnd),
            (State::BlockComment, _) => (Place::Comment, State::BlockComment),
            (State::BlockEnd, _) => (Place::Comment, State::Structure),
        };
        self.state = next;
        place
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_extracted_from_the_text_around_it() {
        let object = json!({"a": [1, 2], "b": "x, } // y"});
        for text in [
            "```json\n{\"a\": [1, 2], \"b\": \"x, } // y\"}\n```",
            "Here you are:\n```\n{\"a\": [1, 2], \"b\": \"x, } // y\"}\n```\nAnything else?",
            "Sure! {\"a\": [1, 2], \"b\": \"x, } // y\"} I hope that helps.",
            "{\"a\": [1, 2,], /* two */ \"b\": \"x, } // y\", // the end\n}",
            "\u{feff}{\"a\":[1,2],\"b\":\"x, } // y\"}",
            "```json\n{\"a\": [1, 2], \"b\": \"x, } // y\",}",
            "I use {curly} words, and [1]. {\"a\": [1, 2], \"b\": \"x, } // y\"}",
        ] {
            let extracted = extract(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(extracted.value, object, "{text}");
            assert!(extracted.repaired, "{text}");
            assert_eq!(serde_json::from_str::<Value>(&extracted.text).unwrap(), object, "{text}");
        }
        let plain = extract("{\"a\": 1}").unwrap();
        assert!(!plain.repaired && plain.text == "{\"a\": 1}");
        assert_eq!(extract("{\"a\": \"one\ntwo\"}").unwrap().value, json!({"a": "one\ntwo"}));
        assert_eq!(extract("```json\n3\n```").unwrap().value, json!(3));
    }

    #[test]
    fn text_that_needs_a_guess_is_not_repaired() {
        for text in
            ["", "no JSON", "{\"a\": ", "{'a': 1}", "{a: 1}", "{\"a\": 1", "]", "{\"a\" 1}", "```\n```"]
        {
            assert_eq!(extract(text), None, "{text}");
        }
    }

    #[test]
    fn hostile_text_takes_bounded_time() {
        let began = std::time::Instant::now();
        for text in [
            "[".repeat(200_000),
            "{\"".repeat(100_000),
            FENCE.repeat(100_000),
            "[]".repeat(100_000),
            "/*".repeat(100_000),
        ] {
            let _ = extract(&text);
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(20));
    }
}
