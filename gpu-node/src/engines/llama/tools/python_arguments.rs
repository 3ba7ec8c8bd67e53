//! Converts Python's keyword arguments, such as `city="Paris", days=2`, to a JSON object.

use super::{
    cursor::{Cursor, CursorError},
    json_scanner::{JsonScanner, Scanned},
};

/// Reads arguments up to and including the `)` after them. Arguments that have no JSON form, such as positional ones,
/// are a mismatch.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<String, CursorError> {
    let mut json = CheckedJson::new();
    let mut depth = 0_usize;
    json.push("{")?;
    loop {
        let next = cursor.space().peek()?;
        match next {
            ')' if depth == 0 => {
                cursor.literal(")")?;
                json.push("}")?;
                return Ok(json.text);
            }
            '"' | '\'' => {
                let text = read_string(cursor, next)?;
                json.push(&serde_json::Value::from(text).to_string())?;
            }
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.checked_sub(1).ok_or(CursorError::Mismatch)?,
            ',' | ':' => {}
            _ => match read_word(cursor)? {
                name if depth == 0 && cursor.space().peek()? == '=' => {
                    cursor.literal("=")?;
                    json.push(&serde_json::Value::from(name).to_string())?;
                    json.push(":")?;
                }
                "True" => json.push("true")?,
                "False" => json.push("false")?,
                "None" => json.push("null")?,
                word => json.push(word)?,
            },
        }
        if matches!(next, '[' | '{' | ']' | '}' | ',' | ':') {
            json.push(next.encode_utf8(&mut [0; 4]))?;
            cursor.literal(next.encode_utf8(&mut [0; 4]))?;
        }
    }
}

/// JSON text that is checked while it is written.
struct CheckedJson {
    text: String,
    scanner: JsonScanner,
}

impl CheckedJson {
    fn new() -> Self {
        Self { text: String::new(), scanner: JsonScanner::new() }
    }

    fn push(&mut self, piece: &str) -> Result<(), CursorError> {
        self.text.push_str(piece);
        let invalid = piece.bytes().any(|byte| self.scanner.push(byte) == Scanned::Invalid);
        if invalid { Err(CursorError::Mismatch) } else { Ok(()) }
    }
}

/// Reads a name or a number.
fn read_word<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, CursorError> {
    cursor.run(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'))
}

/// Reads a string in these quotes.
fn read_string(cursor: &mut Cursor<'_>, quote: char) -> Result<String, CursorError> {
    let mut text = String::new();
    cursor.next()?;
    loop {
        match cursor.next()? {
            c if c == quote => return Ok(text),
            '\\' => match cursor.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                '\n' => {}
                c @ ('\\' | '\'' | '"') => text.push(c),
                'x' => text.push(read_code(cursor, 2)?),
                'u' => text.push(read_code(cursor, 4)?),
                'U' => text.push(read_code(cursor, 8)?),
                // Python keeps the backslash of an unknown escape.
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

/// Reads a character's code of `digits` hexadecimal digits.
fn read_code(cursor: &mut Cursor<'_>, digits: usize) -> Result<char, CursorError> {
    let mut number = 0;
    for _ in 0..digits {
        number = number * 16 + cursor.next()?.to_digit(16).ok_or(CursorError::Mismatch)?;
    }
    char::from_u32(number).ok_or(CursorError::Mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyword_arguments_become_json() {
        for (python, json) in [
            (")", "{}"),
            ("city=\"Paris\") and more", r#"{"city":"Paris"}"#),
            (
                "a = 'it\\'s', b=[1, -2.5e3, True], c={'k': None})",
                r#"{"a":"it's","b":[1,-2.5e3,true],"c":{"k":null}}"#,
            ),
            ("t='(a=1)\\n\"\\u00e9\\x41\\d')", r#"{"t":"(a=1)\n\"éA\\d"}"#),
        ] {
            assert_eq!(read(&mut Cursor::new(python)), Ok(json.into()), "{python}");
        }
    }

    #[test]
    fn arguments_without_json_form_are_a_mismatch_and_cut_ones_incomplete() {
        for python in ["\"Paris\")", "a=1 b=2)", "a=(1, 2))", "a=[1)", "a=b)", "a=1]", "*a)", "a='\\ud800')"]
        {
            assert_eq!(read(&mut Cursor::new(python)), Err(CursorError::Mismatch), "{python}");
        }
        let whole = "city=\"Pa\\u00e9ris\", days=[1, 2], ok=True)";
        for cut in 0..whole.len() {
            assert_eq!(
                read(&mut Cursor::new(&whole[..cut])),
                Err(CursorError::Incomplete),
                "{}",
                &whole[..cut]
            );
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = format!("a={}{})", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&mut Cursor::new(&deep)).is_ok());
    }
}
