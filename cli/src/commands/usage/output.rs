//! Output of `hearth usage`.

use hearth_wire::native::usage::{UsageBody, UsageSums};

use crate::client::{table::Table, terminal};

/// Prints a table of the sums, with their total in the last line.
///
/// # Errors
/// The output can't be written.
pub(super) fn print(usage: &UsageBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(usage);
    }
    if usage.data.is_empty() {
        let UsageBody { from, to, .. } = usage;
        terminal::note(&format!("nothing was used from {from} to {to}"));
        return Ok(());
    }
    Ok(terminal::print(&table(usage).fitted(terminal::columns()))?)
}

fn table(usage: &UsageBody) -> Table<7> {
    let mut table = Table::new([
        "USED BY",
        "REQUESTS",
        "CACHED",
        "PROMPT TOKENS",
        "ANSWER TOKENS",
        "DOLLARS",
        "UNPRICED",
    ]);
    for sums in &usage.data {
        let group: Vec<&str> = usage.by.iter().map(|dimension| shown(sums.value(dimension))).collect();
        table.push(row(group.join("  "), sums));
    }
    table.push(row("total".to_owned(), &usage.total));
    table
}

fn row(name: String, sums: &UsageSums) -> [String; 7] {
    [
        name,
        sums.requests.to_string(),
        sums.cache_hits.to_string(),
        sums.prompt_tokens.to_string(),
        sums.completion_tokens.to_string(),
        sums.cost.clone(),
        sums.unpriced_requests.to_string(),
    ]
}

/// A value of a dimension; a dash for none, as of users without a team.
fn shown(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_row_for_each_group_and_the_total() {
        let sums = |team: &str, requests| UsageSums {
            day: Some("2026-11-29".to_owned()),
            team: Some(team.to_owned()),
            requests,
            cost: "0.25".to_owned(),
            ..UsageSums::default()
        };
        let usage = UsageBody {
            from: "2026-11-01".to_owned(),
            to: "2026-11-29".to_owned(),
            by: vec!["day".to_owned(), "team".to_owned()],
            data: vec![sums("", 1), sums("team_1", 2)],
            total: UsageSums { requests: 3, cost: "0.5".to_owned(), ..UsageSums::default() },
        };
        let text = table(&usage).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].starts_with("2026-11-29  -") && lines[2].contains("team_1"), "{text}");
        assert!(lines[3].starts_with("total") && lines[3].contains("0.5"), "{text}");
    }
}
