//! Arguments as Python writes them, `city="Paris", days=2`, to a JSON object.

use super::json::{Cursor, JsonScanner, Scanned, Stop};

/// Reads arguments up to and over the `)` after them. What no JSON can say, such as arguments
/// without a name, is refused.
pub(super) fn arguments(cursor: &mut Cursor<'_>) -> Result<String, Stop> {
    let mut json = Checked::new();
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
                let text = string(cursor, next)?;
                json.push(&serde_json::Value::from(text).to_string())?;
            }
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.checked_sub(1).ok_or(Stop::Other)?,
            ',' | ':' => {}
            _ => match word(cursor)? {
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

/// JSON that is checked while it is written.
struct Checked {
    text: String,
    scanner: JsonScanner,
}

impl Checked {
    fn new() -> Self {
        Self { text: String::new(), scanner: JsonScanner::new() }
    }

    fn push(&mut self, piece: &str) -> Result<(), Stop> {
        self.text.push_str(piece);
        let invalid = piece.bytes().any(|byte| self.scanner.push(byte) == Scanned::Invalid);
        if invalid { Err(Stop::Other) } else { Ok(()) }
    }
}

/// Reads a name or a number.
fn word<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Stop> {
    cursor.run(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'))
}

/// Reads a string in these quotes.
fn string(cursor: &mut Cursor<'_>, quote: char) -> Result<String, Stop> {
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
                'x' => text.push(code(cursor, 2)?),
                'u' => text.push(code(cursor, 4)?),
                'U' => text.push(code(cursor, 8)?),
                // Python keeps the backslash of an escape that it doesn't know.
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

/// Reads a character's number, of so many hexadecimal digits.
fn code(cursor: &mut Cursor<'_>, digits: usize) -> Result<char, Stop> {
    let mut number = 0;
    for _ in 0..digits {
        number = number * 16 + cursor.next()?.to_digit(16).ok_or(Stop::Other)?;
    }
    char::from_u32(number).ok_or(Stop::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_becomes_json() {
        for (python, json) in [
            (")", "{}"),
            ("city=\"Paris\") and more", r#"{"city":"Paris"}"#),
            (
                "a = 'it\\'s', b=[1, -2.5e3, True], c={'k': None})",
                r#"{"a":"it's","b":[1,-2.5e3,true],"c":{"k":null}}"#,
            ),
            ("t='(a=1)\\n\"\\u00e9\\x41\\d')", r#"{"t":"(a=1)\n\"éA\\d"}"#),
        ] {
            assert_eq!(arguments(&mut Cursor::new(python)), Ok(json.into()), "{python}");
        }
    }

    #[test]
    fn what_has_no_json_is_refused_and_what_is_cut_waits() {
        for python in ["\"Paris\")", "a=1 b=2)", "a=(1, 2))", "a=[1)", "a=b)", "a=1]", "*a)", "a='\\ud800')"]
        {
            assert_eq!(arguments(&mut Cursor::new(python)), Err(Stop::Other), "{python}");
        }
        let whole = "city=\"Pa\\u00e9ris\", days=[1, 2], ok=True)";
        for cut in 0..whole.len() {
            assert_eq!(arguments(&mut Cursor::new(&whole[..cut])), Err(Stop::More), "{}", &whole[..cut]);
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("a={}{})", "[".repeat(100_000), "]".repeat(100_000));
        assert!(arguments(&mut Cursor::new(&deep)).is_ok());
    }
}
