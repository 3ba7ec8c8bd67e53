//! Requirements of an answer to bad input.

use std::collections::HashSet;

use hearth_tests::Answer;
use hearth_wire::ErrorCode;
use serde_json::Value;

use super::table::{Case, Expected};

/// Codes of statuses from 500 that a request may get here: the gateway has no node, no provider's key, and a hub of nothing.
const UNAVAILABLE_CODES: [ErrorCode; 4] =
    [ErrorCode::NoModelAvailable, ErrorCode::NodeOffline, ErrorCode::ProviderAuth, ErrorCode::ProviderError];
/// Words of Rust and of its parsers, which no message may have outside of quotes.
const FOREIGN_WORDS: [&str; 36] = [
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "f32",
    "f64",
    "struct",
    "enum",
    "variant",
    "variants",
    "tuple",
    "newtype",
    "sequence",
    "map",
    "serde",
    "deserialize",
    "Deserialize",
    "deserializing",
    "untagged",
    "identifier",
    "EOF",
    "Option",
    "Vec",
    "None",
    "Some",
    "panicked",
    "ident",
    "unit",
    "bool",
    "str",
];

/// Error of an answer, in any dialect.
struct Error {
    code: String,
    message: String,
    param: Option<String>,
}

impl Error {
    fn of(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (code, message, param) = if body["error"].is_string() {
            // Ollama's.
            (text("/code")?, text("/error")?, text("/param"))
        } else if body["error"]["code"].is_u64() {
            // Google's.
            let param = text("/error/details/0/metadata/param");
            (text("/error/details/0/reason")?.to_lowercase(), text("/error/message")?, param)
        } else {
            (text("/error/code")?, text("/error/message")?, text("/error/param"))
        };
        Some(Self { code, message, param })
    }
}

/// Checks the answer to a case.
///
/// # Errors
/// The difference from the answer that it must be.
pub(super) fn check(case: &Case, answer: &Answer) -> Result<(), String> {
    let status = answer.status.as_u16();
    let is_refused = matches!(case.expected, Expected::Refused | Expected::Status(_));
    if status < 400 {
        return if is_refused { Err("was not refused".to_owned()) } else { Ok(()) };
    }
    let error = Error::of(&answer.body).ok_or("no error in the format of the dialect")?;
    let code = ErrorCode::ALL.iter().find(|code| code.as_str() == error.code);
    let code = *code.ok_or_else(|| format!("the code {:?} isn't documented", error.code))?;
    if status >= 500 && !UNAVAILABLE_CODES.contains(&code) {
        return Err("an error of the gateway".to_owned());
    }
    match case.expected {
        Expected::Status(expected) if status != expected => return Err(format!("expected {expected}")),
        Expected::Refused if status >= 500 => return Err("was not refused".to_owned()),
        _ => {}
    }
    if let Some(word) = foreign_word(&error.message) {
        return Err(format!("the message has the word {word:?}"));
    }
    match &case.field {
        Some(field) if status == 400 && error.param.is_none() && !error.message.contains(field.as_str()) => {
            Err(format!("the error doesn't name {field}"))
        }
        _ => Ok(()),
    }
}

/// A word of Rust in a message, outside of quotes.
fn foreign_word(message: &str) -> Option<String> {
    if message.is_empty() || message.contains("::") {
        return Some(message.to_owned());
    }
    let foreign = HashSet::from(FOREIGN_WORDS);
    let unquoted: String = message.split(['`', '"']).step_by(2).collect();
    let mut words = unquoted.split(|c: char| !c.is_ascii_alphanumeric());
    words.find(|word| foreign.contains(word)).map(str::to_owned)
}

/// The number of entries of a list: that of its longest field.
pub(super) fn entries(body: &Value) -> usize {
    let fields = body.as_object().into_iter().flatten();
    fields.filter_map(|(_, value)| value.as_array().map(Vec::len)).max().unwrap_or_default()
}

#[test]
fn foreign_words_are_recognised_outside_of_quotes() {
    for (message, word) in [
        ("limit: expected u32", Some("u32")),
        ("invalid type: map, expected a string", Some("map")),
        ("unknown value `enum`, expected \"str\"", None),
        ("limit must be 1 to 200", None),
    ] {
        assert_eq!(foreign_word(message).as_deref(), word, "{message}");
    }
}
