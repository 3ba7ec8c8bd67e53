//! Definitions, versions and differences as text.

use hearth_wire::native::definitions::{
    CompatibilityBody, DefinitionEntry, DiffBody, Difference, DifferenceKind, VersionBody,
};
use serde::Serialize;
use serde_json::Value;

use super::Format;
use crate::client::{table::Table, terminal};

/// Characters of a value in a difference.
const VALUE_MAX_CHARS: usize = 100;

/// Prints a value as JSON or YAML; returns false for a table, which the command prints itself.
pub(super) fn print_as(format: Format, value: &impl Serialize) -> anyhow::Result<bool> {
    match format {
        Format::Json => terminal::print_json(value).map(|()| true),
        Format::Yaml => {
            let value = serde_json::to_value(value)?;
            terminal::print(&serde_saphyr::to_string(&value)?)?;
            Ok(true)
        }
        Format::Table => Ok(false),
    }
}

pub(super) fn entries(entries: &[DefinitionEntry]) -> Table<5> {
    let mut table = Table::new(["NAME", "LATEST", "VISIBILITY", "ID", "DESCRIPTION"]);
    for entry in entries {
        let visibility = if entry.built_in { "built-in" } else { entry.visibility.as_str() };
        table.push([
            entry.name.clone(),
            entry.latest_version.to_string(),
            visibility.to_owned(),
            entry.id.clone(),
            entry.description.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table
}

pub(super) fn versions(versions: &[VersionBody]) -> Table<4> {
    let mut table = Table::new(["VERSION", "LABELS", "STORED AT", "NOTE"]);
    for version in versions {
        let labels = if version.labels.is_empty() { "-".to_owned() } else { version.labels.join(", ") };
        table.push([
            version.version.to_string(),
            labels,
            version.created_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            version.message.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table
}

/// A definition without its content.
pub(super) fn entry(entry: &DefinitionEntry) -> String {
    let mut text = format!("{} {} ({})\n", entry.object.as_str(), entry.name, entry.id);
    text.extend(entry.description.as_ref().map(|description| format!("{description}\n")));
    let visibility = if entry.built_in { "built-in" } else { entry.visibility.as_str() };
    text += &format!("latest version {}, {visibility}", entry.latest_version);
    if !entry.tags.is_empty() {
        text += &format!(", tags: {}", entry.tags.join(", "));
    }
    for (label, version) in &entry.labels {
        text += &format!("\n{label} -> {version}");
    }
    text
}

/// The differences of two versions, and their comparison.
pub(super) fn diff(diff: &DiffBody) -> String {
    let mut text = format!("{} -> {}\n", diff.from, diff.to);
    if diff.differences.is_empty() {
        text += "no difference\n";
    }
    for difference in &diff.differences {
        text += &difference_line(difference);
    }
    if diff.truncated {
        text += "... and more\n";
    }
    text + &compatibility(&diff.compatibility)
}

fn difference_line(difference: &Difference) -> String {
    let value = |value: &Option<Value>| {
        let text = value.as_ref().map(Value::to_string).unwrap_or_default();
        let mut shown: String = text.chars().take(VALUE_MAX_CHARS).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        shown
    };
    let path = if difference.path.is_empty() { "/" } else { &difference.path };
    match difference.kind {
        DifferenceKind::Added => format!("+ {path}: {}\n", value(&difference.to)),
        DifferenceKind::Removed => format!("- {path}: {}\n", value(&difference.from)),
        DifferenceKind::Changed => {
            format!("~ {path}: {} -> {}\n", value(&difference.from), value(&difference.to))
        }
    }
}

/// The comparison of two contents.
pub(super) fn compatibility(body: &CompatibilityBody) -> String {
    let mut text = match (body.change, body.compatible) {
        (None, _) => "equal".to_owned(),
        (Some(change), true) => format!("compatible: a {} change", change.as_str()),
        (Some(change), false) => format!("not compatible: a {} change", change.as_str()),
    };
    text.extend(body.next_version.map(|version| format!(", the next version is {version}")));
    for finding in &body.breaking {
        text += &format!("\n  breaking {}: {}", finding.path, finding.problem);
    }
    for finding in &body.warnings {
        text += &format!("\n  warning {}: {}", finding.path, finding.problem);
    }
    text
}
