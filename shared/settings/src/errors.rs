//! Errors in settings, each with its place and the nearest valid name.

#[cfg(feature = "file")]
use std::path::Path;
use std::{fmt, path::PathBuf};

use config::ConfigError;
#[cfg(feature = "file")]
use toml::de::{DeTable, DeValue};

use crate::{Settings, json_variables, list, variable::PREFIX};

/// Smallest Jaro-Winkler similarity of a suggested name: `prot` and `port` have 0.93, `slots` and `port` 0.6.
const SUGGESTION_MIN_SIMILARITY: f64 = 0.8;

/// Settings that can't be read, or are out of bounds. The message names the place, and the nearest valid name of an
/// unknown setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl SettingsError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// The place of a setting's value.
pub(crate) enum Place {
    /// A line of a file, counted from 1.
    #[cfg_attr(not(feature = "file"), expect(dead_code, reason = "the functions have no file"))]
    File { path: PathBuf, line: usize },
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => {
                // With the folder that a relative path is in.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                write!(f, "{}, line {line}", path.display())
            }
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

/// Describes the error of a settings file; `error` is used if TOML itself finds none.
#[cfg(feature = "file")]
pub(crate) fn in_file(path: &Path, text: &str, error: &ConfigError) -> SettingsError {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Err(syntax) = toml::from_str::<Settings>(text) else {
        return SettingsError::new(format!("{}: {error}", whole.display()));
    };
    let message = in_words(syntax.message());
    let Some(line) = syntax.span().map(|span| line_at(text, span.start)) else {
        return SettingsError::new(format!("{}: {message}", whole.display()));
    };
    let key = key_on(text, line).filter(|_| !message.starts_with("there is no setting"));
    let key = key.map_or_else(String::new, |key| format!("{key}: "));
    let place = Place::File { path: path.to_owned(), line };
    SettingsError::new(format!("{place}: {key}{message}"))
}

/// The setting that a line sets, with its table. Its value is left out, since it may be a secret.
#[cfg(feature = "file")]
fn key_on(text: &str, line: usize) -> Option<String> {
    let (key, _) = text.lines().nth(line - 1)?.split_once('=')?;
    let key = Some(key.trim()).filter(|key| !key.is_empty() && !key.contains(['#', '[', '{']))?;
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    let header = above.iter().rev().find(|line| line.starts_with('['));
    let table = header.and_then(|line| line.trim_start_matches('[').split(']').next());
    Some(table.map_or_else(|| key.to_owned(), |table| format!("{table}.{key}")))
}

/// Describes the error of a variable.
pub(crate) fn in_variable(variable: &str, error: &ConfigError) -> SettingsError {
    let message = error.to_string();
    let Some(unknown) = Unknown::parse(&message).filter(|_| json_variables::tables(variable).is_empty())
    else {
        return SettingsError::new(format!("the variable {variable}: {}", in_words(&message)));
    };
    let wanted = comparable(&variable[PREFIX.len()..]);
    let variables = list().into_iter().map(|setting| setting.variable[PREFIX.len()..].to_owned());
    let near = nearest(&wanted, variables, comparable).map(|near| format!("{PREFIX}{near}"));
    let hint = match near.or_else(|| unknown.corrected(variable)) {
        Some(near) => format!("did you mean {near}?"),
        None => {
            "`hearth config` prints the settings; two underscores stand for a table of the file".to_owned()
        }
    };
    SettingsError::new(format!("the variable {variable} is no setting; {hint}"))
}

/// The form in which names of variables are compared: one underscore in place of two is a common mistake.
fn comparable(name: &str) -> String {
    name.to_lowercase().replace("__", "_")
}

/// An error of serde about an unknown name.
struct Unknown<'a> {
    name: &'a str,
    expected: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    fn parse(message: &'a str) -> Option<Self> {
        let (_, rest) = message.split_once("unknown field `")?;
        let (name, rest) = rest.split_once('`')?;
        let expected = rest.split('`').skip(1).step_by(2).collect();
        Some(Self { name, expected })
    }

    /// The variable with the nearest valid name at its end: in a table with a free name, such as a provider's.
    fn corrected(&self, variable: &str) -> Option<String> {
        let (table, last) = variable.rsplit_once("__")?;
        let valid = self.expected.iter().map(|&name| name.to_owned());
        let near =
            nearest(self.name, valid, str::to_owned).filter(|_| last.eq_ignore_ascii_case(self.name))?;
        Some(format!("{table}__{}", near.to_uppercase()))
    }
}

/// An error of serde, with the nearest valid name of an unknown setting.
pub(crate) fn in_words(message: &str) -> String {
    let Some(unknown) = Unknown::parse(message) else { return without_text(message.trim()) };
    let name = unknown.name;
    let valid = unknown.expected.iter().map(|&name| name.to_owned());
    match nearest(name, valid, str::to_owned) {
        Some(near) => format!("there is no setting `{name}` here; did you mean `{near}`?"),
        None => format!("there is no setting `{name}` here; there are: {}", unknown.expected.join(", ")),
    }
}

/// Leaves out the text that serde has found in place of another type: it may be a key in the wrong place.
fn without_text(message: &str) -> String {
    if let Some((before, name)) = message.split_once("invalid type: sequence, expected struct ") {
        let rest = name.trim_start_matches(char::is_alphanumeric);
        return format!("{before}expected a table{rest}, not a list");
    }
    let (start, end) = ("invalid type: string ", ", expected ");
    let around =
        message.split_once(start).and_then(|(before, rest)| Some((before, rest.rsplit_once(end)?.1)));
    let Some((before, expected)) = around else { return message.to_owned() };
    // The names of Rust's types say nothing to an operator.
    let expected = match expected.strip_prefix("struct ") {
        Some(name) => format!("a table{}", name.trim_start_matches(char::is_alphanumeric)),
        None => expected.to_owned(),
    };
    format!("{before}invalid type: text, expected {expected}")
}

/// The name that is most similar to `name`, compared in the form of `form`; none if no name is similar.
fn nearest(name: &str, names: impl Iterator<Item = String>, form: impl Fn(&str) -> String) -> Option<String> {
    let scored = names.map(|other| (strsim::jaro_winkler(name, &form(&other)), other));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score >= SUGGESTION_MIN_SIMILARITY).map(|(_, name)| name)
}

/// The segments of the setting's name at the beginning of `message`, such as `providers."a.b".max_tokens`; none if the
/// message begins with something else.
pub(crate) fn first_name(message: &str) -> Option<Vec<String>> {
    let mut segments = vec![String::new()];
    let mut quoted = false;
    for c in message.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => segments.push(String::new()),
            ' ' | ':' | ',' | '[' if !quoted => break,
            c => segments.last_mut()?.push(c),
        }
    }
    let settings = serde_json::to_value(Settings::default()).ok()?;
    settings.get(segments.first()?.as_str()).is_some().then_some(segments)
}

/// The line of a setting, or of the innermost table on the way to it that the file has.
#[cfg(feature = "file")]
pub(crate) fn line_of(text: &str, name: &[String]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut line = None;
    for segment in name {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == segment) else { break };
        line = Some(line_at(text, key.span().start));
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    line
}

/// The line of a byte, counted from 1.
#[cfg(feature = "file")]
fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variable_gets_the_nearest_setting() {
        for (name, suggestion) in [
            ("HEARTH_PROT", "HEARTH_PORT"),
            ("HEARTH_NODE__CONTXT", "HEARTH_NODE__CONTEXT_LENGTH"),
            ("HEARTH_NODE_SLOTS", "HEARTH_NODE__SLOTS"),
            ("HEARTH_LOGLEVEL", "HEARTH_LOG_LEVEL"),
            ("HEARTH_HUB_TOKEN", "HEARTH_HUB__TOKEN"),
        ] {
            let error = ConfigError::Message("unknown field `x`, expected `a`".to_owned());
            let message = in_variable(name, &error).to_string();
            assert!(
                message.contains(name) && message.contains(&format!("did you mean {suggestion}?")),
                "{message}"
            );
        }
        let error = ConfigError::Message("unknown field `x`, expected `a`".to_owned());
        assert!(in_variable("HEARTH_QQQ", &error).to_string().contains("hearth config"));
    }

    #[test]
    fn name_in_a_table_of_free_names_gets_the_nearest_valid_one() {
        let error =
            ConfigError::Message("unknown field `bse_url`, expected one of `kind`, `base_url`".to_owned());
        let message = in_variable("HEARTH_PROVIDERS__RIG__BSE_URL", &error).to_string();
        assert!(message.contains("did you mean HEARTH_PROVIDERS__RIG__BASE_URL?"), "{message}");
    }

    #[test]
    fn text_in_place_of_another_type_is_left_out() {
        let message =
            "invalid type: string \"sk-1, expected \", expected struct ProviderSettings for key `x`";
        assert_eq!(in_words(message), "invalid type: text, expected a table for key `x`");
        let message = "invalid type: string \"two\", expected an integer";
        assert_eq!(in_words(message), "invalid type: text, expected an integer");
        let message = "invalid type: sequence, expected struct Rule";
        assert_eq!(in_words(message), "expected a table, not a list");
        assert_eq!(in_words("the model is bad"), "the model is bad");
    }

    #[test]
    fn setting_name_is_read_from_a_message() {
        let name = |message: &str| first_name(message).map(|segments| segments.join("/"));
        assert_eq!(name("node.slots must be 1").as_deref(), Some("node/slots"));
        assert_eq!(name("models.\"a:b.c\".temperature: no").as_deref(), Some("models/a:b.c/temperature"));
        assert_eq!(name("selection.rules[0].model").as_deref(), Some("selection/rules"));
        assert_eq!(name("the model is bad"), None);
    }

    #[cfg(feature = "file")]
    #[test]
    fn line_is_that_of_the_key() {
        let text = "port = 1\n\n[node]\nslots = 4\nthreads = 2\n";
        let line = |name: &[&str]| line_of(text, &name.iter().map(|&s| s.to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["node", "threads"]), Some(5));
        assert_eq!(line(&["node", "memory"]), Some(3));
        assert_eq!(line(&["server"]), None);
    }
}
