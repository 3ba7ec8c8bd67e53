//! Compares an earlier and a later content: whether each answer, or each set of variables, that fits the earlier one fits the
//! later one.
//!
//! Inclusion of JSON Schemas can't be decided in general. The comparison follows both schemas keyword by keyword: it knows the
//! keywords of types, objects, lists, texts, numbers and enumerations, and local references. Another keyword that has changed
//! counts as breaking, so that no breaking change passes for a compatible one.

mod keywords;
mod schemas;

use hearth_domain::VersionChange;
use hearth_wire::native::definitions::{Finding, TemplateContent};
use serde_json::Value;

use super::content::Content;
use schemas::compare_schemas;

/// Limit of the findings of each list.
pub(super) const FINDING_MAX_COUNT: usize = 100;

/// The result of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Changes that earlier answers or variables may not satisfy.
    pub(super) breaking: Vec<Finding>,
    /// Other changes that need attention.
    pub(super) warnings: Vec<Finding>,
    /// The size of the change; none if the contents are equal.
    pub(super) change: Option<VersionChange>,
}

impl Comparison {
    fn breaks(&mut self, path: &str, problem: impl Into<String>) {
        push(&mut self.breaking, path, problem);
        self.note(VersionChange::Major);
    }

    fn warns(&mut self, path: &str, problem: impl Into<String>) {
        push(&mut self.warnings, path, problem);
        self.note(VersionChange::Minor);
    }

    /// Notes a change of at least this size.
    fn note(&mut self, change: VersionChange) {
        self.change = self.change.max(Some(change));
    }
}

fn push(findings: &mut Vec<Finding>, path: &str, problem: impl Into<String>) {
    if findings.len() < FINDING_MAX_COUNT {
        findings.push(Finding { path: path.to_owned(), problem: problem.into() });
    }
}

/// Compares two contents of one definition.
pub(super) fn compare(before: &Content, after: &Content) -> Comparison {
    let mut comparison = Comparison::default();
    match (before, after) {
        (Content::Schema(before), Content::Schema(after)) => {
            compare_schemas("", before, after, &mut comparison);
        }
        (Content::Template(before), Content::Template(after)) => {
            let (from, to) = (before.variables_schema(), after.variables_schema());
            compare_schemas("/variables", from, to, &mut comparison);
            compare_open_variables(from, to, &mut comparison);
            compare_templates(&before.content, &after.content, &mut comparison);
        }
        _ => comparison.breaks("", "it is of another kind"),
    }
    comparison
}

/// A template refuses unknown variables, also where its schema allows them by saying nothing.
fn compare_open_variables(before: &Value, after: &Value, comparison: &mut Comparison) {
    let names =
        |schema: &Value| schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let after_names = names(after);
    if after.get("additionalProperties").is_some() {
        return;
    }
    for name in names(before).keys().filter(|name| !after_names.contains_key(*name)) {
        comparison.breaks(
            "/variables/properties",
            format!("{name:?} is no variable any more: requests that send it are refused"),
        );
    }
}

fn compare_templates(before: &TemplateContent, after: &TemplateContent, comparison: &mut Comparison) {
    let roles =
        |content: &TemplateContent| content.messages.iter().map(|message| message.role).collect::<Vec<_>>();
    if roles(before) != roles(after) {
        comparison.note(VersionChange::Minor);
    } else if before.messages != after.messages {
        comparison.note(VersionChange::Patch);
    }
    if before.schema_id != after.schema_id {
        comparison.warns(
            "/schema_id",
            "the schema of the answer is another one: readers of answers may depend on it",
        );
    }
    if before.model != after.model {
        comparison.warns("/model", "the model for requests that name none is another one");
    }
    if before.parameters != after.parameters {
        comparison.note(VersionChange::Minor);
    }
}

#[cfg(test)]
mod tests;
