//! Tables of results, as Markdown for people and as JSON for programs.

use serde::Serialize;
use serde_json::{Value, json};

use crate::statistics::Spread;

/// Goal for a value.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// Comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Ratio,
    Difference,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    ours: f64,
    theirs: Option<f64>,
    compared_by: Option<By>,
    /// Of what was compared in each round; without a comparison, of our own values.
    spread: Spread,
    goal: Option<Goal>,
}

impl Row {
    /// Our value over theirs. The values of a round stand at the same place in both.
    pub(crate) fn ratio(what: impl Into<String>, unit: &'static str, ours: &[f64], theirs: &[f64]) -> Self {
        Self::compared(what.into(), unit, ours, theirs, By::Ratio)
    }

    /// Our value less theirs.
    pub(crate) fn difference(
        what: impl Into<String>,
        unit: &'static str,
        ours: &[f64],
        theirs: &[f64],
    ) -> Self {
        Self::compared(what.into(), unit, ours, theirs, By::Difference)
    }

    /// A value that is compared with nothing.
    pub(crate) fn alone(what: impl Into<String>, unit: &'static str, values: &[f64]) -> Self {
        let spread = Spread::of(values);
        Self {
            what: what.into(),
            unit,
            ours: spread.median,
            theirs: None,
            compared_by: None,
            spread,
            goal: None,
        }
    }

    /// With what it should be: the comparison if there is one, else the value itself.
    pub(crate) fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    fn compared(what: String, unit: &'static str, ours: &[f64], theirs: &[f64], by: By) -> Self {
        let compare = |(ours, theirs): (&f64, &f64)| match by {
            By::Ratio => ours / theirs,
            By::Difference => ours - theirs,
        };
        let rounds: Vec<f64> = ours.iter().zip(theirs).map(compare).collect();
        let (ours, theirs) = (Spread::of(ours).median, Spread::of(theirs).median);
        let spread = Spread::of(&rounds);
        Self { what, unit, ours, theirs: Some(theirs), compared_by: Some(by), spread, goal: None }
    }

    /// Returns whether the goal is met, if there is one.
    pub(crate) fn met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::AtLeast(bound) => self.spread.median >= bound,
            Goal::AtMost(bound) => self.spread.median <= bound,
        })
    }

    /// Distance from the goal.
    fn missed_by(&self) -> f64 {
        match self.goal {
            Some(Goal::AtLeast(bound) | Goal::AtMost(bound)) => (self.spread.median - bound).abs(),
            None => 0.0,
        }
    }

    fn cells(&self) -> [String; 6] {
        let range = format!("{}..{}", number(self.spread.min), number(self.spread.max));
        let compared = match self.compared_by {
            None => range,
            Some(By::Ratio) => format!("**{}** ({range})", number(self.spread.median)),
            Some(By::Difference) => format!("**{:+.2}** ({range})", self.spread.median),
        };
        let goal = match self.goal {
            None => String::new(),
            Some(Goal::AtLeast(bound)) => format!("≥ {bound:.2}"),
            Some(Goal::AtMost(bound)) => format!("≤ {bound:.2}"),
        };
        let met = match self.met() {
            None => String::new(),
            Some(true) => "yes".to_owned(),
            Some(false) => format!("**no**, by {}", number(self.missed_by())),
        };
        let what =
            if self.unit.is_empty() { self.what.clone() } else { format!("{}, {}", self.what, self.unit) };
        let theirs = self.theirs.map(number).unwrap_or_default();
        [what, number(self.ours), theirs, compared, goal, met]
    }
}

/// Measurements of the same two things.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    ours: &'static str,
    /// Name of the other side; empty without a comparison.
    theirs: &'static str,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(ours: &'static str, theirs: &'static str) -> Self {
        Self { ours, theirs, rows: Vec::new() }
    }

    /// Adds a row, and shows it at once: the whole table is a while off.
    pub(crate) fn push(&mut self, row: Row) {
        let [what, ours, theirs, compared, ..] = row.cells();
        let theirs = if theirs.is_empty() { theirs } else { format!(" {} {theirs},", self.theirs) };
        eprintln!("  {what}: {} {ours},{theirs} {compared}", self.ours);
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The measurements that don't meet their goals, each with the value and the goal.
    pub(crate) fn missed(&self) -> Vec<String> {
        let missed = self.rows.iter().filter(|row| row.met() == Some(false));
        let line = |row: &Row| {
            let [what, ours, _, _, goal, _] = row.cells();
            format!("{what}: {ours}, and the goal is {goal}")
        };
        missed.map(line).collect()
    }

    /// In Markdown, with columns that line up.
    pub(crate) fn markdown(&self) -> String {
        let compared = if self.theirs.is_empty() { "min..max" } else { "compared (min..max)" };
        let head = ["", self.ours, self.theirs, compared, "goal", "met"].map(str::to_owned);
        let cells: Vec<[String; 6]> = std::iter::once(head).chain(self.rows.iter().map(Row::cells)).collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        let line = |row: &[String; 6]| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let rule = format!("|{}|\n", widths.map(|width| "-".repeat(width + 2)).join("|"));
        let mut lines = cells.iter().map(line);
        let head = lines.next().unwrap_or_default();
        head + &rule + &lines.collect::<String>()
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut value = json!(row);
            value["met"] = json!(row.met());
            value
        });
        json!({"ours": self.ours, "theirs": self.theirs, "rows": rows.collect::<Vec<_>>()})
    }
}

/// With three digits that tell something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "?".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_with_each_other_and_the_middle_one_counts() {
        let row = Row::ratio("speed", "tok/s", &[100.0, 120.0, 90.0], &[100.0, 100.0, 100.0]);
        assert_eq!(row.spread, Spread { median: 1.0, min: 0.9, max: 1.2 });
        for (goal, met) in [
            (Goal::AtLeast(1.0), true),
            (Goal::AtLeast(1.05), false),
            (Goal::AtMost(1.0), true),
            (Goal::AtMost(0.99), false),
        ] {
            assert_eq!(row.clone().goal(goal).met(), Some(met), "{goal:?}");
        }
        assert_eq!(row.met(), None);
        let row = Row::difference("wait", "ms", &[5.0, 6.0], &[4.0, 4.0]);
        assert_eq!(row.spread.median, 1.5);
    }

    #[test]
    fn table_is_markdown() {
        let mut table = Table::new("node", "peer");
        table.push(Row::ratio("speed", "tok/s", &[150.0], &[100.0]).goal(Goal::AtLeast(1.05)));
        table.push(Row::alone("step", "ms", &[7.0]));
        let expected = "\
|              | node | peer | compared (min..max)   | goal   | met |
|--------------|------|------|-----------------------|--------|-----|
| speed, tok/s | 150  | 100  | **1.50** (1.50..1.50) | ≥ 1.05 | yes |
| step, ms     | 7.00 |      | 7.00..7.00            |        |     |
";
        assert_eq!(table.markdown(), expected);
        assert_eq!(table.json()["rows"][0]["met"], json!(true));
        assert_eq!(table.missed(), Vec::<String>::new());
        table.push(Row::alone("start", "s", &[2.5]).goal(Goal::AtMost(2.0)));
        table.push(Row::alone("memory", "MB", &[f64::NAN]).goal(Goal::AtMost(2.0)));
        assert_eq!(
            table.missed(),
            ["start, s: 2.50, and the goal is ≤ 2.00", "memory, MB: ?, and the goal is ≤ 2.00"]
        );
    }
}
