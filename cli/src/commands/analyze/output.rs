//! Output of an analysis: its data, and notes about it on standard error.

use hearth_wire::native::analyze::{AnalyzeResponse, ValidationStatus};
use serde_json::Value;

use super::OutputFormat;
use crate::client::{table::Table, terminal};

/// The data in the chosen format, with the end of its last line.
pub(super) fn data(response: &AnalyzeResponse, format: OutputFormat) -> anyhow::Result<String> {
    if let Some(text) = &response.text {
        return Ok(with_end_of_line(text));
    }
    Ok(match (&response.data, format) {
        (Value::String(text), OutputFormat::Yaml | OutputFormat::Xml) => with_end_of_line(text),
        (data, OutputFormat::Table) => {
            let mut table = Table::new(["FIELD", "VALUE"]);
            collect_rows("", data, &mut table);
            table.fitted(terminal::columns())
        }
        (data, _) => with_end_of_line(&serde_json::to_string_pretty(data)?),
    })
}

fn with_end_of_line(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// Adds a row for each value, with its place.
fn collect_rows(place: &str, value: &Value, table: &mut Table<2>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                collect_rows(&place, value, table);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for (index, value) in values.iter().enumerate() {
                collect_rows(&format!("{place}[{index}]"), value, table);
            }
        }
        Value::String(text) => table.push([place.to_owned(), text.replace('\n', " ")]),
        plain => table.push([place.to_owned(), plain.to_string()]),
    }
}

/// One line about the analysis, and warnings.
pub(super) fn notes(response: &AnalyzeResponse) -> Vec<String> {
    let mut facts = vec![
        response.validation_status.as_str().to_owned(),
        format!("confidence {}", response.confidence),
        format!("{} ({})", response.model, response.provider),
    ];
    if response.attempts > 1 {
        facts.push(format!("{} attempts", response.attempts));
    }
    if let Some(cost) = response.cost {
        facts.push(format!("{} dollars", cost.usd));
    }
    if response.cached {
        facts.push("cached".to_owned());
    }
    facts.push(format!("{} ms", response.time_ms));
    let mut notes = vec![facts.join(", ")];
    if response.low_confidence {
        notes.push("warning: the confidence is below the threshold; check the data".to_owned());
    }
    if response.validation_status == ValidationStatus::Relaxed {
        let places =
            response.validation_errors.iter().map(|error| format!("{} {}", error.path, error.reason));
        notes.push(format!(
            "warning: the data fits the relaxed schema only: {}",
            places.collect::<Vec<_>>().join("; ")
        ));
    }
    if !response.suspicious.is_empty() {
        let patterns = response.suspicious.iter().map(|suspicion| suspicion.pattern.as_str());
        notes.push(format!(
            "warning: the text has patterns of attacks: {}",
            patterns.collect::<Vec<_>>().join(", ")
        ));
    }
    notes
}
