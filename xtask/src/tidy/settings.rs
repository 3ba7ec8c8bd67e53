//! The documentation of the settings: every setting with its variable and its default, as the code has them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::tree::Tree;
use crate::shell;
use crate::workspace::Workspace;

const PAGE: &str = "docs/configuration.md";
const TEMPLATE: &str = "infra/template.yaml";
/// First cell of the header of a table of settings.
const HEADER: &str = "in `hearth.toml`";
/// Settings whose default differs from platform to platform.
const PLATFORM_DEFAULTS: [&str; 1] = ["data"];

/// Prints the settings by the binary, which must be built.
pub(super) fn list(workspace: &Workspace) -> Result<String> {
    let output = shell::output(workspace.command(workspace.binary("dev", "hearth")).arg("settings"))?;
    String::from_utf8(output).context("`hearth settings` did not print text")
}

/// Compares the page and the template with `list`, the JSON of `hearth settings`.
pub(super) fn check(tree: &Tree, list: &str) -> Vec<String> {
    let Some(settings) = Settings::parse(list) else {
        return vec!["`hearth settings`: prints no list of settings".to_owned()];
    };
    let Some(page) = tree.text(PAGE) else { return vec![format!("{PAGE}: not there")] };
    let rows = rows(page);
    let mut problems = cut_tables(page);
    for setting in &settings.settings {
        match rows.iter().find(|row| row.name == setting.name) {
            Some(row) => problems.extend(row.compare(setting)),
            None => problems.push(format!("{PAGE}: has no row for the setting {}", setting.name)),
        }
    }
    let unknown = rows.iter().filter(|row| settings.settings.iter().all(|setting| setting.name != row.name));
    problems.extend(unknown.map(|row| format!("{PAGE}:{}: there is no setting {}", row.line, row.name)));
    let missing = settings.variables.iter().filter(|name| !page.contains(&format!("`{name}`")));
    problems.extend(missing.map(|name| format!("{PAGE}: does not name the variable {name}")));
    let template = tree.text(TEMPLATE).unwrap_or_default();
    problems.extend(unknown_variables(template, &settings));
    problems
}

/// A setting as the code has it.
struct Setting {
    name: String,
    variable: String,
    default: Value,
}

/// The settings, and further variables: of tables, and of the Lambda functions.
struct Settings {
    settings: Vec<Setting>,
    variables: Vec<String>,
}

impl Settings {
    fn parse(list: &str) -> Option<Self> {
        let list: Value = serde_json::from_str(list).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let setting = |setting: &Value| {
            Some(Setting {
                name: text(&setting["name"])?,
                variable: text(&setting["variable"])?,
                default: setting["default"].clone(),
            })
        };
        let settings = list["settings"].as_array()?.iter().map(setting).collect::<Option<_>>()?;
        let variables = [&list["tables"], &list["cloud"]].into_iter().filter_map(Value::as_array).flatten();
        Some(Self { settings, variables: variables.map(text).collect::<Option<_>>()? })
    }
}

/// A row of a table of settings.
struct Row<'a> {
    /// Its line, counted from 1.
    line: usize,
    name: &'a str,
    cells: Vec<&'a str>,
    /// Index of the cell with the default.
    default: usize,
}

impl Row<'_> {
    fn compare(&self, setting: &Setting) -> Vec<String> {
        let Self { line, name, .. } = self;
        let mut problems = Vec::new();
        let variable = format!("`{}`", setting.variable);
        if !self.cells.iter().any(|cell| cell.contains(&variable)) {
            problems.push(format!("{PAGE}:{line}: the variable of {name} is {}", setting.variable));
        }
        let cell = self.cells.get(self.default).copied().unwrap_or_default();
        let is_documented = match &setting.default {
            Value::Null => !cell.is_empty(),
            default => {
                PLATFORM_DEFAULTS.contains(name) || code_spans(cell).any(|span| is_same(span, default))
            }
        };
        if !is_documented {
            problems.push(format!("{PAGE}:{line}: the default of {name} is {}", setting.default));
        }
        problems
    }
}

/// Reads the rows of the tables of settings. Tables of free names, such as `providers.NAME`, are left out.
fn rows(page: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut default = None;
    for (number, line) in page.lines().enumerate() {
        if !line.starts_with('|') {
            default = None;
            continue;
        }
        let cells = cells(line);
        let Some(first) = cells.first() else { continue };
        if *first == HEADER {
            default = cells.iter().position(|cell| *cell == "default");
            continue;
        }
        let name = first.trim_matches('`');
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'));
        if let Some(default) = default
            && is_name
        {
            rows.push(Row { line: number + 1, name, cells, default });
        }
    }
    rows
}

/// Finds rows that belong to no table: a blank line above them ends it.
fn cut_tables(page: &str) -> Vec<String> {
    let lines: Vec<&str> = page.lines().collect();
    let is_row = |at: usize| lines.get(at).is_some_and(|line| line.starts_with('|'));
    let is_rule = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("|--"));
    let begins = |at: &usize| is_row(*at) && (*at == 0 || !is_row(*at - 1));
    let cut = (0..lines.len()).filter(begins).filter(|at| !is_rule(at + 1));
    cut.map(|at| format!("{PAGE}:{}: this row has no header; join it to the table above", at + 1)).collect()
}

/// Finds variables of the template that no function knows.
fn unknown_variables(template: &str, settings: &Settings) -> Vec<String> {
    let settings_variables = settings.settings.iter().map(|setting| &setting.variable);
    let known: BTreeSet<&str> = settings_variables.chain(&settings.variables).map(String::as_str).collect();
    let mut problems = Vec::new();
    for (number, line) in template.lines().enumerate() {
        let Some((name, _)) = line.trim_start().split_once(':') else { continue };
        // A setting of an entry of a table, whose entries have free names.
        let is_of_table = name.split_once("__").is_some_and(|(table, _)| known.contains(table));
        if name.starts_with("HEARTH_") && !known.contains(name) && !is_of_table {
            problems.push(format!("{TEMPLATE}:{}: there is no variable {name}", number + 1));
        }
    }
    problems
}

/// The cells of a row. `\|` is a character of a cell.
fn cells(row: &str) -> Vec<&str> {
    let row = row.strip_prefix('|').unwrap_or(row);
    let mut cells = Vec::new();
    let mut start = 0;
    for (at, _) in row.match_indices('|') {
        if !row[..at].ends_with('\\') {
            cells.push(row[start..at].trim());
            start = at + 1;
        }
    }
    cells
}

fn code_spans(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).map(|span| span.trim_matches('"'))
}

/// Compares a documented value with a default: a size may have a unit.
fn is_same(documented: &str, default: &Value) -> bool {
    match default {
        Value::String(text) => documented == text,
        Value::Number(number) => {
            number.to_string() == documented
                || number.as_u64().is_some_and(|bytes| size(documented) == Some(bytes))
        }
        other => format!("{other}") == documented,
    }
}

/// Parses a size such as `32MiB`.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (unit, shift) = units.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    text.strip_suffix(unit)?.trim().parse::<u64>().ok().map(|number| number << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{
        "settings": [
            {"name": "port", "variable": "HEARTH_PORT", "default": 8080},
            {"name": "log_max_bytes", "variable": "HEARTH_LOG_MAX_BYTES", "default": 33554432},
            {"name": "cache.enabled", "variable": "HEARTH_CACHE__ENABLED", "default": false},
            {"name": "model", "variable": "HEARTH_MODEL", "default": null}
        ],
        "tables": ["HEARTH_ROUTING"],
        "cloud": ["HEARTH_TABLE"]
    }"#;
    const PAGE_TEXT: &str = "\
| in `hearth.toml` | variable | default | meaning |
|---|---|---|---|
| `port` | `HEARTH_PORT` | `8080` | The port \\| its number. |
| `log_max_bytes` | `HEARTH_LOG_MAX_BYTES` | `\"32MiB\"` | A size. |
| `cache.enabled` | `HEARTH_CACHE__ENABLED` | `false` | Whether. |
| `model` | `HEARTH_MODEL` | none | A model. |
| `providers.NAME.*` | `HEARTH_ROUTING` | none | A table. |

In the cloud: `HEARTH_TABLE`.
";

    fn problems(page: &str, template: &str) -> Vec<String> {
        check(&Tree::of([(PAGE, page), (TEMPLATE, template)]), LIST)
    }

    #[test]
    fn complete_page_has_no_problem() {
        let template = "  HEARTH_CACHE__ENABLED: a\n  HEARTH_TABLE: b\n  HEARTH_ROUTING: c\n";
        assert_eq!(problems(PAGE_TEXT, template), [""; 0]);
    }

    #[test]
    fn each_difference_is_a_problem() {
        for (from, to, problem) in [
            ("`8080`", "`8081`", "docs/configuration.md:3: the default of port is 8080"),
            ("`\"32MiB\"`", "`\"32MB\"`", "docs/configuration.md:4: the default of log_max_bytes"),
            ("`HEARTH_CACHE__ENABLED`", "`HEARTH_CACHE_ENABLED`", "docs/configuration.md:5: the variable of"),
            ("| `model` |", "| `modle` |", "docs/configuration.md: has no row for the setting model"),
            ("| `model` |", "| `modle` |", "docs/configuration.md:6: there is no setting modle"),
            ("`HEARTH_TABLE`", "a table", "docs/configuration.md: does not name the variable HEARTH_TABLE"),
            ("| `model` |", "\n| `model` |", "docs/configuration.md:7: this row has no header"),
        ] {
            let problems = problems(&PAGE_TEXT.replace(from, to), "");
            assert!(problems.iter().any(|each| each.starts_with(problem)), "{to}: {problems:?}");
        }
        let template = problems(PAGE_TEXT, "Variables:\n  HEARTH_CACHE_ENABLED: x\n");
        assert_eq!(template, ["infra/template.yaml:2: there is no variable HEARTH_CACHE_ENABLED"]);
    }

    #[test]
    fn unreadable_list_is_a_problem() {
        assert_eq!(check(&Tree::of([]), "{}").len(), 1);
        assert_eq!(check(&Tree::of([]), LIST), ["docs/configuration.md: not there"]);
    }
}
