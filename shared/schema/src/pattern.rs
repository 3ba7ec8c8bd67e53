//! Patterns of ECMAScript, which JSON Schema uses, for the regular expressions of Rust.
//!
//! Most patterns mean the same in both. Others mean something else in Rust, such as `[a&&b]`, or are errors, such as `[^]`. A pattern
//! means as it does with ECMAScript's flag `u`; one that is valid only without the flag, such as `[^]]`, as it does without.

/// Beginnings of the groups of a pattern that needs backtracking.
const BACKTRACKING_GROUPS: [&str; 6] = ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?("];

/// Returns true for a pattern that may need backtracking: with look-around or a back reference.
pub(super) fn backtracks(pattern: &str) -> bool {
    let follows_backslash = |next: char| matches!(next, '1'..='9' | 'k');
    BACKTRACKING_GROUPS.iter().any(|group| pattern.contains(group))
        || pattern.split('\\').skip(1).any(|rest| rest.starts_with(follows_backslash))
}

/// Rewrites a pattern of ECMAScript so that it means the same in Rust. The result is a pattern of ECMAScript too.
pub(super) fn portable(pattern: &str) -> String {
    let mut writer = Writer { rest: pattern, written: String::with_capacity(pattern.len()) };
    while let Some(next) = writer.take() {
        match next {
            '\\' => writer.escape(false),
            '[' => writer.class(),
            // Valid without the flag `u` only: its escape is valid with it too.
            ']' => writer.written.push_str("\\]"),
            '{' if !is_quantifier(writer.rest) => writer.written.push_str("\\{"),
            other => writer.written.push(other),
        }
    }
    writer.written
}

struct Writer<'a> {
    rest: &'a str,
    written: String,
}

impl Writer<'_> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn take_if(&mut self, prefix: &str) -> bool {
        self.rest.strip_prefix(prefix).map(|rest| self.rest = rest).is_some()
    }

    /// Writes the escape whose backslash was taken.
    fn escape(&mut self, in_class: bool) {
        let Some(next) = self.take() else { return self.written.push('\\') };
        let control = |letter: char| u32::from(letter.to_ascii_uppercase()) - u32::from('@');
        match next {
            // Rust's escapes of these are the boundaries of words.
            '<' | '>' => self.written.push(next),
            '0' if !self.rest.starts_with(|digit: char| digit.is_ascii_digit()) => {
                self.written.push_str("\\x00");
            }
            'b' if in_class => self.written.push_str("\\x08"),
            'c' if self.rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) => {
                let code = self.take().map_or(0, control);
                self.written.push_str(&format!("\\x{code:02x}"));
            }
            'u' => match surrogate_pair(self.rest) {
                Some(code) => {
                    self.rest = &self.rest[10..];
                    self.written.push_str(&format!("\\u{{{code:x}}}"));
                }
                None => {
                    self.written.push_str("\\u");
                    self.braces();
                }
            },
            // The braces of a property or a code point are no quantifier.
            'p' | 'P' | 'x' if self.rest.starts_with('{') => {
                self.written.extend(['\\', next]);
                self.braces();
            }
            other => self.written.extend(['\\', other]),
        }
    }

    /// Copies braces with their content, if they are next.
    fn braces(&mut self) {
        if self.rest.starts_with('{')
            && let Some((content, rest)) = self.rest.split_once('}')
        {
            self.written.push_str(content);
            self.written.push('}');
            self.rest = rest;
        }
    }

    /// Writes the class whose bracket was taken.
    fn class(&mut self) {
        let is_negated = self.take_if("^");
        // A bracket at the beginning ends the class, also before a later one. Rust and other dialects read it as a character.
        if self.take_if("]") {
            return self.written.push_str(if is_negated { "[\\s\\S]" } else { "[^\\s\\S]" });
        }
        self.written.push_str(if is_negated { "[^" } else { "[" });
        if self.rest.starts_with("--") {
            self.take();
            self.written.push_str("\\-");
        }
        while let Some(next) = self.take() {
            match next {
                ']' => return self.written.push(']'),
                '\\' => self.escape(true),
                '[' => self.bracket(),
                // Two of these are operators on sets in Rust.
                '&' if self.take_if("&") => self.written.push_str("\\x26\\x26"),
                '~' if self.take_if("~") => self.written.push_str("\\x7e\\x7e"),
                '-' if self.take_if("-") => self.written.push_str("-\\-"),
                other => self.written.push(other),
            }
        }
    }

    /// Writes a bracket in a class: a class of POSIX, such as `[:alpha:]`, or the character.
    fn bracket(&mut self) {
        let name = self.rest.strip_prefix(':').and_then(|rest| rest.split_once(":]"));
        match name.filter(|(name, _)| name.chars().all(|c| c.is_ascii_alphabetic() || c == '^')) {
            Some((name, rest)) => {
                self.written.push_str(&format!("[:{name}:]"));
                self.rest = rest;
            }
            None => self.written.push_str("\\["),
        }
    }
}

/// Returns whether `rest` goes on with a quantifier such as `{2,3}`, whose first brace was taken.
fn is_quantifier(rest: &str) -> bool {
    let Some((range, _)) = rest.split_once('}') else { return false };
    let (least, most) = range.split_once(',').unwrap_or((range, ""));
    let is_number = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

/// Returns the character of two escaped surrogates, whose first `\u` was taken.
fn surrogate_pair(rest: &str) -> Option<u32> {
    let code = |digits: &str| u16::from_str_radix(digits, 16).ok();
    let (first, second) = (rest.get(..4)?, rest.get(4..10)?.strip_prefix("\\u")?);
    let character = char::decode_utf16([code(first)?, code(second)?]).next()?.ok()?;
    (u32::from(character) > 0xffff).then_some(u32::from(character))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::AnswerSchema;

    /// Texts that each pattern of a test is matched with.
    const TEXTS: [&str; 27] = [
        "",
        "a",
        "b",
        "x",
        "xy",
        "]",
        "^",
        "\n",
        "-",
        "[",
        "a]",
        "ab]",
        "acb]",
        "a]b]",
        "a\nb]",
        "[]",
        "[^",
        "[^]",
        "ab]]",
        "^]",
        "x]",
        "abcb",
        "a^",
        "\u{1f600}",
        "\u{1f600}]",
        "-a]",
        "[]]",
    ];

    #[test]
    fn patterns_are_rewritten_where_rust_reads_them_differently() {
        for (pattern, written) in [
            (r"^[\w.-]+\/\d{2,3}$", r"^[\w.-]+\/\d{2,3}$"),
            (r"^(?<year>\d{4})-\p{L}\u{e9}[\P{Lu}]$", r"^(?<year>\d{4})-\p{L}\u{e9}[\P{Lu}]$"),
            ("[^]*x", r"[\s\S]*x"),
            ("[]", r"[^\s\S]"),
            ("[^]a]", r"[\s\S]a\]"),
            (r"[]\]]", r"[^\s\S]\]\]"),
            ("[^]]", r"[\s\S]\]"),
            (r"[^\]]", r"[^\]]"),
            ("a]", r"a\]"),
            ("[[a-z]]", r"[\[a-z]\]"),
            ("[[:alpha:]_]", "[[:alpha:]_]"),
            ("[a&&b&]", r"[a\x26\x26b&]"),
            ("[a~~b]", r"[a\x7e\x7eb]"),
            ("[+--]", r"[+-\-]"),
            ("[--a]", r"[\--a]"),
            (r"^\<a\>$", "^<a>$"),
            (r"\0", r"\x00"),
            (r"\cA\cz", r"\x01\x1a"),
            (r"[\b]\b", r"[\x08]\b"),
            ("^${a}{2}{,3}$", r"^$\{a}{2}\{,3}$"),
            ("{", r"\{"),
            (r"\ud83d\ude00\u00e9\ud83d", r"\u{1f600}\u00e9\ud83d"),
            (r"a\", r"a\"),
            ("[a", "[a"),
            ("", ""),
        ] {
            assert_eq!(portable(pattern), written, "{pattern}");
            assert_eq!(portable(written), written, "{pattern} twice");
        }
    }

    /// The matches are those of `RegExp` in Node 20: with the flag `u`, and without it where the pattern has the flag's error "Lone
    /// quantifier brackets".
    #[test]
    fn brackets_are_read_as_by_ecmascript() {
        for (pattern, is_valid_with_u, matched) in [
            ("^[^]$", true, &["a", "b", "x", "]", "^", "\n", "-", "[", "\u{1f600}"][..]),
            ("^[]$", true, &[]),
            ("[]", true, &[]),
            ("^[^]]$", false, &["a]", "[]", "^]", "x]"]),
            ("^a[^]b]$", false, &["acb]", "a]b]", "a\nb]"]),
            ("[]a]", false, &[]),
            ("^[]-a]$", false, &[]),
            ("^[^]]*$", false, &["a", "b", "x", "]", "^", "\n", "-", "[", "a]", "[]", "^]", "x]", "[]]"]),
            (r"^[\]]$", true, &["]"]),
            (r"^[^\]]$", true, &["a", "b", "x", "^", "\n", "-", "[", "\u{1f600}"]),
            (r"^[\^]]$", false, &["^]"]),
            ("^[^^]$", true, &["a", "b", "x", "]", "\n", "-", "[", "\u{1f600}"]),
            (r"^\[]$", false, &["[]"]),
            (r"^\[^]$", false, &[]),
            ("^x[]?$", true, &["x"]),
            ("^x[]*y$", true, &["xy"]),
            (r"^[^]{2}\]$", true, &["ab]", "[^]", "-a]", "[]]"]),
            ("^[]|b$", true, &["b", "abcb"]),
            (r"^[^-\]]$", true, &["a", "b", "x", "^", "\n", "[", "\u{1f600}"]),
            ("^(?:[^]b){2}$", true, &["abcb"]),
            ("^[[]]$", false, &["[]"]),
            ("^[a[]]$", false, &["a]", "[]"]),
        ] {
            let schema = AnswerSchema::parse(&json!({"pattern": pattern})).unwrap();
            let checker = schema.checker().unwrap();
            let fits = |text: &&str| checker.check_value(Value::from(*text)).valid;
            // Without the flag a character beyond 16 bits is two.
            let is_compared = |text: &&str| is_valid_with_u || !text.contains('\u{1f600}');
            let fitting: Vec<&str> = TEXTS.into_iter().filter(is_compared).filter(fits).collect();
            assert_eq!(fitting, matched, "{pattern}");
        }
    }
}
