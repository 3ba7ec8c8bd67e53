//! Everybody's values beside each other.

use serde_json::{Value, json};

use crate::{statistics::Spread, table::number};

/// A row for each thing that is measured, a column for each server.
#[derive(Debug)]
pub(super) struct Matrix {
    servers: Vec<&'static str>,
    rows: Vec<Measured>,
}

#[derive(Debug)]
struct Measured {
    what: String,
    unit: &'static str,
    /// Of each server; none where it wasn't measured.
    spreads: Vec<Option<Spread>>,
}

impl Matrix {
    pub(super) fn new(servers: Vec<&'static str>) -> Self {
        Self { servers, rows: Vec::new() }
    }

    /// Adds the values of each server, by round, in the servers' order.
    pub(super) fn push(&mut self, what: impl Into<String>, unit: &'static str, values: &[Vec<f64>]) {
        let spread = |values: &Vec<f64>| {
            let measured: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
            (!measured.is_empty()).then(|| Spread::of(&measured))
        };
        self.rows.push(Measured { what: what.into(), unit, spreads: values.iter().map(spread).collect() });
    }

    /// In Markdown: medians, with the least and the greatest of them.
    pub(super) fn markdown(&self) -> String {
        let head =
            format!("| | {} |\n|---|{}\n", self.servers.join(" | "), "---|".repeat(self.servers.len()));
        let rows = self.rows.iter().map(|row| {
            let cells = row.spreads.iter().map(|spread| match spread {
                None => "-".to_owned(),
                Some(Spread { median, min, max }) if min == max => number(*median),
                Some(Spread { median, min, max }) => {
                    format!("{} ({}..{})", number(*median), number(*min), number(*max))
                }
            });
            format!("| {}, {} | {} |\n", row.what, row.unit, cells.collect::<Vec<_>>().join(" | "))
        });
        head + &rows.collect::<String>()
    }

    pub(super) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let servers = self.servers.iter().zip(&row.spreads);
            let values: serde_json::Map<String, Value> =
                servers.map(|(name, spread)| ((*name).to_owned(), json!(spread))).collect();
            json!({"what": row.what, "unit": row.unit, "servers": values})
        });
        json!({"rows": rows.collect::<Vec<_>>()})
    }
}
