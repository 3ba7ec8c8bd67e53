//! Hides a provider's key in the texts that the provider sends.
//!
//! A provider, or a proxy before it, may repeat the request's headers in an error. Such a text is sent to clients and
//! stored in run records and model lists, so each is searched first. Every sequence of [`PART_LENGTH`] characters of the
//! key is hidden, as it is and in the encodings in which servers show headers. Shorter pieces of the key, and encrypted
//! ones, aren't detected.
//!
//! The answers of models are not searched: a model never sees the key, which is in the request's headers, and an answer
//! arrives in pieces that would have to be withheld. What a server writes of the tools that it ran is searched for the whole key, or
//! [`EXTENSION_PART_LENGTH`] characters of it: shorter pieces, such as a vendor's prefix, are often part of a text.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose};
use hearth_domain::Secret;
use hearth_wire::{ApiError, RunEventBody, extension::Extension};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Length of the shortest part of a key that is hidden, in bytes.
const PART_LENGTH: usize = 8;
/// Length of the shortest part of a longer key that is hidden in the result of a tool, in bytes.
const EXTENSION_PART_LENGTH: usize = 20;
/// Longest text of such a result that is searched: a longer one is a file.
const EXTENSION_TEXT_MAX_BYTES: usize = 64 << 10;
/// Length of the shortest key that is hidden. Shorter ones are placeholders, such as `x`, for servers without a key.
const KEY_MIN_LENGTH: usize = 4;
/// Length from which a key can't be an ordinary word. A shorter one may be a placeholder such as `lm-studio`, which names
/// may contain by chance.
const KEY_UNMISTAKABLE_LENGTH: usize = 16;
/// The text in the place of a key.
const HIDDEN: &str = "[hidden]";

/// The characters that every URL encoder escapes.
const FEW_ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'=');

/// Finds one key in texts.
#[derive(Default)]
pub(crate) struct Redactor {
    /// Each sequence of [`PART_LENGTH`] bytes of the key and its encodings, in lower case.
    parts: HashSet<[u8; PART_LENGTH]>,
    /// A shorter key, in lower case.
    short: Option<String>,
    /// Length of the key in bytes.
    key_length: usize,
    /// The key is too long to be an ordinary word.
    is_unmistakable: bool,
}

impl Redactor {
    /// Creates a redactor of `key`; without one it changes nothing. Parts of the key that occur in `public` texts, such as
    /// the provider's name, aren't hidden.
    pub(crate) fn new(key: Option<&Secret>, public: &[&str]) -> Self {
        let Some(key) = key.map(Secret::expose).filter(|key| key.len() >= KEY_MIN_LENGTH) else {
            return Self::default();
        };
        if key.len() < PART_LENGTH {
            return Self { short: Some(key.to_ascii_lowercase()), ..Self::default() };
        }
        let mut parts: HashSet<_> = encodings(key).iter().flat_map(|text| parts_of(text)).collect();
        for part in public.iter().flat_map(|text| parts_of(text)) {
            parts.remove(&part);
        }
        Self {
            parts,
            short: None,
            key_length: key.len(),
            is_unmistakable: key.len() >= KEY_UNMISTAKABLE_LENGTH,
        }
    }

    /// Returns `text` with the key and its parts hidden.
    pub(crate) fn redact(&self, text: &str) -> String {
        Self::hide(text, self.find(text))
    }

    /// Returns `text` with these byte ranges hidden.
    fn hide(text: &str, ranges: Vec<(usize, usize)>) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut shown = 0;
        for (start, end) in ranges {
            redacted.push_str(text.get(shown..start).unwrap_or_default());
            redacted.push_str(HIDDEN);
            shown = end;
        }
        redacted.push_str(text.get(shown..).unwrap_or_default());
        redacted
    }

    /// Returns whether `text` has the key or a part of it, unless that may be by chance.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.is_unmistakable && !self.find(text).is_empty()
    }

    /// Returns `error` with the key hidden in its message, its parameter and its details.
    pub(crate) fn redact_error(&self, mut error: ApiError) -> ApiError {
        error.message = self.redact(&error.message);
        error.param = error.param.map(|param| self.redact(&param));
        error.details.values_mut().for_each(|value| redact_texts(value, &|text| self.redact(text)));
        error
    }

    /// Returns `event` with the key hidden, if it is an error, or an extension: a server writes the results of its tools, and may quote
    /// the request's headers in one.
    pub(crate) fn redact_event(&self, event: RunEventBody) -> RunEventBody {
        match event {
            RunEventBody::Error { error } => RunEventBody::Error { error: self.redact_error(error) },
            RunEventBody::Extension { choice, dialect, mut extension } => {
                match &mut extension {
                    Extension::TextBlock => {}
                    Extension::Phase(phase) => *phase = self.redact(phase),
                    Extension::Annotation(value) | Extension::Item(value) => {
                        redact_texts(value, &|text| self.redact_result(text));
                    }
                    Extension::Fields(fields) => {
                        fields
                            .values_mut()
                            .for_each(|value| redact_texts(value, &|text| self.redact_result(text)));
                    }
                }
                RunEventBody::Extension { choice, dialect, extension }
            }
            event => event,
        }
    }

    /// Returns a text of a tool's result with the key hidden.
    fn redact_result(&self, text: &str) -> String {
        if self.parts.is_empty() || text.len() > EXTENSION_TEXT_MAX_BYTES {
            return text.to_owned();
        }
        let length = self.key_length.min(EXTENSION_PART_LENGTH);
        let mut ranges = self.find(text);
        ranges.retain(|(start, end)| end - start >= length);
        Self::hide(text, ranges)
    }

    /// Finds the key and its parts, as separate byte ranges.
    fn find(&self, text: &str) -> Vec<(usize, usize)> {
        if self.parts.is_empty() && self.short.is_none() {
            return Vec::new();
        }
        let lower = text.to_ascii_lowercase();
        if let Some(short) = &self.short {
            return words_equal_to(&lower, short);
        }
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        let windows = lower.as_bytes().windows(PART_LENGTH).map(to_part);
        for (start, _) in windows.enumerate().filter(|(_, part)| self.parts.contains(part)) {
            let end = start + PART_LENGTH;
            match ranges.last_mut() {
                Some(last) if start <= last.1 => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        // A key may have characters of several bytes, and a part of it may begin within one.
        for (start, end) in &mut ranges {
            *start = text.floor_char_boundary(*start);
            *end = text.ceil_char_boundary(*end);
        }
        ranges
    }
}

/// Replaces each text in a value.
fn redact_texts(value: &mut Value, redact: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = redact(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact_texts(value, redact)),
        Value::Object(fields) => fields.values_mut().for_each(|value| redact_texts(value, redact)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(hidden)")
    }
}

/// Returns each sequence of [`PART_LENGTH`] bytes of `text`, in lower case.
fn parts_of(text: &str) -> Vec<[u8; PART_LENGTH]> {
    text.to_ascii_lowercase().as_bytes().windows(PART_LENGTH).map(to_part).collect()
}

fn to_part(window: &[u8]) -> [u8; PART_LENGTH] {
    let mut part = [0; PART_LENGTH];
    part.copy_from_slice(window);
    part
}

/// Finds a short key as a whole word: within a word it may be there by chance.
fn words_equal_to(text: &str, key: &str) -> Vec<(usize, usize)> {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let matches = text.match_indices(key).filter(|(at, _)| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        let after = text.get(at + key.len()..).and_then(|after| after.chars().next());
        !is_word(before) && !is_word(after)
    });
    matches.map(|(at, _)| (at, at + key.len())).collect()
}

/// Returns the key and its encodings.
fn encodings(key: &str) -> Vec<String> {
    let json = Value::from(key).to_string();
    let json = json.trim_matches('"').to_owned();
    // JSON for use in HTML and JavaScript escapes more characters than JSON requires.
    let mut html_safe = String::new();
    for c in key.chars() {
        match c {
            '/' => html_safe.push_str("\\/"),
            '<' | '>' | '&' | '\'' | '=' | '+' => html_safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => html_safe.push(c),
        }
    }
    let hex = hearth_domain::hex(key);
    let mut encodings = vec![
        key.to_owned(),
        json.replace('/', "\\/"),
        json,
        html_safe,
        hex,
        utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(key, FEW_ESCAPED).to_string(),
    ];
    encodings.extend(base64_forms(key));
    encodings
}

/// Returns the base64 of the key after a text of any length, such as `user:` or `Bearer `: without the characters at its
/// beginning and end that depend on the bytes around it.
fn base64_forms(key: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3_usize {
        let bytes = [&b"\0\0"[..before], key.as_bytes()].concat();
        for engine in [&general_purpose::STANDARD_NO_PAD, &general_purpose::URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&bytes);
            // Each character has 6 bits. Characters that contain bits of the key only don't depend on its place.
            let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            forms.extend(encoded.get(first..last).map(str::to_owned));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use hearth_domain::ClientDialect;
    use hearth_wire::ErrorCode;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const KEY: &str = "sk-Pl4nted/7f3a9c2e+1d04b5aa8e6==";

    fn redactor() -> Redactor {
        Redactor::new(Some(&Secret::new(KEY)), &[])
    }

    #[test]
    fn key_is_hidden_in_a_tools_result_and_a_vendors_prefix_is_not() {
        let redacted = |text: &str| {
            let item = json!({"type": "mcp_call", "error": [{"text": text}]});
            let event = RunEventBody::extension(ClientDialect::OpenAiResponses, Extension::Item(item));
            let RunEventBody::Extension { extension: Extension::Item(item), .. } =
                redactor().redact_event(event)
            else {
                panic!("another event");
            };
            item["error"][0]["text"].as_str().unwrap().to_owned()
        };
        assert_eq!(redacted(&format!("401 for Bearer {KEY}")), "401 for Bearer [hidden]");
        assert_eq!(redacted(&format!("begins {}", &KEY[..20])), "begins [hidden]");
        let example = format!("set the key to {}...", &KEY[..12]);
        assert_eq!(redacted(&example), example);
    }

    #[test]
    fn whole_key_and_its_parts_are_hidden() {
        let cases = [
            (format!("you sent {KEY}!"), "you sent [hidden]!"),
            (format!("Authorization: Bearer {KEY}"), "Authorization: Bearer [hidden]"),
            (format!("{KEY}{KEY}"), "[hidden]"),
            (format!("begins {}...", &KEY[..8]), "begins [hidden]..."),
            (format!("ends ...{}", &KEY[KEY.len() - 8..]), "ends ...[hidden]"),
            (format!("middle {}", &KEY[9..20]), "middle [hidden]"),
            (format!("{} and {}", &KEY[..10], &KEY[12..24]), "[hidden] and [hidden]"),
            (KEY.to_uppercase(), "[hidden]"),
            (format!("seven {}", &KEY[..7]), &format!("seven {}", &KEY[..7])),
            ("nothing of it".to_owned(), "nothing of it"),
            (String::new(), ""),
        ];
        for (text, redacted) in &cases {
            assert_eq!(redactor().redact(text), *redacted, "{text}");
        }
    }

    #[test]
    fn encoded_keys_are_hidden() {
        let standard = general_purpose::STANDARD;
        let mut texts = vec![
            json!({"key": KEY}).to_string(),
            json!({"key": KEY}).to_string().replace('/', "\\/"),
            KEY.replace('/', "\\/").replace('+', "\\u002B").replace('=', "\\u003D"),
            KEY.replace('/', "%2F").replace('+', "%2B").replace('=', "%3d"),
            KEY.replace('+', "%2B").replace('=', "%3D"),
            KEY.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ];
        for before in ["", "u", "u:", "Bearer ", "user:"] {
            for after in ["", "x", "xy"] {
                texts.push(standard.encode(format!("{before}{KEY}{after}")));
                texts.push(general_purpose::URL_SAFE.encode(format!("{before}{KEY}{after}")));
            }
        }
        for text in texts {
            let redacted = redactor().redact(&text);
            assert!(redacted.contains(HIDDEN), "{text}");
            let left: usize = redacted.split(HIDDEN).map(str::len).sum();
            assert!(left < 24, "too much is left of {text}: {redacted}");
        }
    }

    #[test]
    fn placeholder_key_hides_no_other_words() {
        let redact =
            |key: &str, text: &str| Redactor::new(Some(&Secret::new(key)), &["an-example"]).redact(text);
        assert_eq!(redact("x", "an x in the text"), "an x in the text");
        assert_eq!(redact("sk-rig", "the key sk-rig, not sk-rigged"), "the key [hidden], not sk-rigged");
        let key = "sk-1234567-an-example";
        assert_eq!(redact(key, &format!("an-example has {key}")), "an-example has [hidden]ple");
        assert_eq!(Redactor::new(None, &[]).redact("a text"), "a text");
    }

    #[test]
    fn errors_are_redacted_in_every_field() {
        let error = ApiError::invalid(KEY, format!("bad {KEY}")).with("seen", json!([{"a": KEY}, 7]));
        let redacted = redactor().redact_event(RunEventBody::Error { error });
        assert!(!format!("{redacted:?}").contains("Pl4nted"), "{redacted:?}");
        let RunEventBody::Error { error } = redacted else { unreachable!("it was an error") };
        assert_eq!((error.code, &error.details["seen"][1]), (ErrorCode::InvalidRequest, &json!(7)));
        assert!(!format!("{:?}", redactor()).contains("Pl4nted"));
    }

    proptest! {
        #[test]
        fn no_part_of_a_key_survives(key in "\\PC{8,40}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let redacted = Redactor::new(Some(&Secret::new(key.clone())), &[]).redact(&format!("{before}{key}{after}"));
            prop_assert!(!redacted.contains(&key) || HIDDEN.contains(&key), "{redacted}");
        }
    }
}
