//! Errors in settings, each with its place and the nearest name that would be valid.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use config::ConfigError;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{
    Settings,
    layers::{PREFIX, displayed},
};

/// The least Jaro-Winkler similarity of a name that is suggested: `prot` and `port` have 0.93, `slots` and `port` 0.6.
const SUGGESTION_MIN_SIMILARITY: f64 = 0.8;

/// The place where a setting's value stands.
pub(super) enum Place {
    /// A line of a file, counted from 1.
    File { path: PathBuf, line: usize },
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", displayed(path)),
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

/// The error of a settings file, which `error` is about if TOML itself finds none.
pub(super) fn in_file(path: &Path, text: &str, error: &ConfigError) -> anyhow::Error {
    match toml::from_str::<Settings>(text) {
        Ok(_) => anyhow::anyhow!("{}: {error}", displayed(path)),
        Err(error) => {
            let line = error.span().map(|span| line_at(text, span.start));
            let place = line.map_or_else(String::new, |line| format!(", line {line}"));
            let message = in_words(error.message());
            let key = line.and_then(|line| key_on(text, line));
            let key = key.filter(|_| !message.starts_with("there is no setting"));
            let key = key.map_or_else(String::new, |key| format!("{key}: "));
            anyhow::anyhow!("{}{place}: {key}{message}", displayed(path))
        }
    }
}

/// The setting that a line sets, with its table. What it is set to may be a secret.
fn key_on(text: &str, line: usize) -> Option<String> {
    let (key, _) = text.lines().nth(line - 1)?.split_once('=')?;
    let key = Some(key.trim()).filter(|key| !key.is_empty() && !key.contains(['#', '[', '{']))?;
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    let header = above.iter().rev().find(|line| line.starts_with('['));
    let table = header.and_then(|line| line.trim_start_matches('[').split(']').next());
    Some(table.map_or_else(|| key.to_owned(), |table| format!("{table}.{key}")))
}

/// The error of a variable.
pub(super) fn in_variable(name: &str, error: &ConfigError) -> anyhow::Error {
    let message = error.to_string();
    if Unknown::parse(&message).is_none() {
        return anyhow::anyhow!("the variable {name}: {message}");
    }
    let wanted = comparable(&name[PREFIX.len()..]);
    let known = names().into_iter().map(|name| name.replace('.', "__").to_uppercase());
    let near = nearest(&wanted, known, comparable);
    let hint = match near {
        Some(near) => format!("did you mean {PREFIX}{near}?"),
        None => {
            "`hearth config` prints the settings; two underscores stand for a table of the file".to_owned()
        }
    };
    anyhow::anyhow!("the variable {name} is no setting; {hint}")
}

/// One underscore for two is a common mistake, and no difference here.
fn comparable(name: &str) -> String {
    name.to_lowercase().replace("__", "_")
}

/// An error of serde about a name that it doesn't know.
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
}

fn in_words(message: &str) -> String {
    let Some(unknown) = Unknown::parse(message) else { return message.trim().to_owned() };
    let name = unknown.name;
    let valid = unknown.expected.iter().map(|&name| name.to_owned());
    match nearest(name, valid, str::to_owned) {
        Some(near) => format!("there is no setting `{name}` here; did you mean `{near}`?"),
        None => format!("there is no setting `{name}` here; there are: {}", unknown.expected.join(", ")),
    }
}

/// The name that is most like `name`, compared in the form that `form` gives; none if nothing is like it.
fn nearest(name: &str, names: impl Iterator<Item = String>, form: impl Fn(&str) -> String) -> Option<String> {
    let scored = names.map(|other| (strsim::jaro_winkler(name, &form(&other)), other));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score >= SUGGESTION_MIN_SIMILARITY).map(|(_, name)| name)
}

/// The dotted name of every setting that has one; those in tables of free names are left out.
fn names() -> Vec<String> {
    fn walk(value: &Value, prefix: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                walk(value, &name, into);
            }),
            _ => into.push(prefix.to_owned()),
        }
    }
    let mut names = Vec::new();
    walk(&Settings::default().to_json(), "", &mut names);
    names
}

/// The segments of the setting's name that `message` begins with, such as `providers."a.b".max_tokens`. None if it
/// begins with something else.
pub(super) fn first_name(message: &str) -> Option<Vec<String>> {
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
    let known = Settings::default().to_json();
    known.get(segments.first()?.as_str()).is_some().then_some(segments)
}

/// The line of a setting, or of the innermost table on its way that is there.
pub(super) fn line_of(text: &str, name: &[String]) -> Option<usize> {
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
fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_get_the_nearest_setting() {
        for (name, suggestion) in [
            ("HEARTH_PROT", "HEARTH_PORT"),
            ("HEARTH_NODE__CONTXT", "HEARTH_NODE__CONTEXT_LENGTH"),
            ("HEARTH_NODE_SLOTS", "HEARTH_NODE__SLOTS"),
            ("HEARTH_LOGLEVEL", "HEARTH_LOG_LEVEL"),
            ("HEARTH_HUB_TOKEN", "HEARTH_HUB__TOKEN"),
        ] {
            let error = ConfigError::Message("unknown field `x`, expected `a`".to_owned());
            let told = in_variable(name, &error).to_string();
            assert!(told.contains(name) && told.contains(&format!("did you mean {suggestion}?")), "{told}");
        }
        let error = ConfigError::Message("unknown field `x`, expected `a`".to_owned());
        assert!(in_variable("HEARTH_QQQ", &error).to_string().contains("hearth config"));
    }

    #[test]
    fn names_of_settings_are_read_from_messages() {
        let name = |message: &str| first_name(message).map(|segments| segments.join("/"));
        assert_eq!(name("node.slots must be 1").as_deref(), Some("node/slots"));
        assert_eq!(name("models.\"a:b.c\".temperature: no").as_deref(), Some("models/a:b.c/temperature"));
        assert_eq!(name("selection.rules[0].model").as_deref(), Some("selection/rules"));
        assert_eq!(name("the model is bad"), None);
    }

    #[test]
    fn lines_are_those_of_the_key() {
        let text = "port = 1\n\n[node]\nslots = 4\nthreads = 2\n";
        let line = |name: &[&str]| line_of(text, &name.iter().map(|&s| s.to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["node", "threads"]), Some(5));
        assert_eq!(line(&["node", "memory"]), Some(3));
        assert_eq!(line(&["server"]), None);
    }
}
