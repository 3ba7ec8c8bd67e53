//! The tables of docs/cost.md about nodes: relayed answers, and idle nodes.

use crate::{
    meter::Usage,
    page::{Page, Prices, ROUNDING, number, table},
};

/// Requests in a row's costs.
const THOUSAND: f64 = 1e3;
const MILLION: f64 = 1e6;
/// Bytes in a gigabyte, as CloudWatch bills them.
const GIGABYTE: f64 = 1e9;

/// Usage of an answer, or of another request of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayUsage {
    pub(crate) units: Usage,
    /// Requests to the REST API.
    pub(crate) requests: u32,
}

/// A row: what one of a kind uses, and what a number of them cost.
#[derive(Debug, Clone)]
pub(crate) struct RelayRow {
    pub(crate) name: String,
    count: f64,
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
    pub(crate) requests: f64,
    messages: f64,
    /// Minutes for which a socket is open.
    minutes: f64,
    seconds: f64,
    log_bytes: f64,
    pub(crate) total: f64,
}

/// The rows of relayed answers, and those of an idle node in a month.
pub(crate) fn rows() -> (Vec<RelayRow>, Vec<RelayRow>) {
    let text = Page::text();
    let of = |heading: &str| table(&text, heading).map(|row| RelayRow::parse(&row)).collect();
    (of("## Per thousand relayed answers"), of("## An idle node in a month"))
}

impl RelayRow {
    fn parse(cells: &[String]) -> Self {
        let figures: Vec<f64> = cells[1..].iter().map(|cell| number(cell)).collect();
        let [count, write_units, read_units, requests, messages, minutes, seconds, log_bytes, total] =
            figures[..]
        else {
            panic!("docs/cost.md: {cells:?} has other columns")
        };
        let name = cells[0].clone();
        Self { name, count, write_units, read_units, requests, messages, minutes, seconds, log_bytes, total }
    }

    /// Returns the costs that the figures and the prices give, if the page has others.
    pub(crate) fn wrong_total(&self, prices: &Prices) -> Option<String> {
        let invocations = self.requests + self.messages;
        let lambda = invocations * prices.of("Lambda, million requests") / MILLION
            + self.seconds * prices.memory_gb() * prices.of("Lambda, million GB-seconds") / MILLION;
        let table = self.write_units * prices.of("DynamoDB, million write units") / MILLION
            + self.read_units * prices.of("DynamoDB, million read units") / MILLION;
        let api = self.requests * prices.of("REST API, million requests") / MILLION
            + self.messages * prices.of("WebSocket API, million messages") / MILLION
            + self.minutes * prices.of("WebSocket API, million connection minutes") / MILLION;
        let log_bytes = self.log_bytes + self.requests * prices.of("bytes of AWS' log lines");
        let logs = log_bytes / GIGABYTE * prices.of("CloudWatch Logs, GB");
        let total = self.count * (lambda + table + api + logs);
        ((total - self.total).abs() > ROUNDING)
            .then(|| format!("{}: ${total:.4}, not {}", self.name, self.total))
    }

    /// Costs of a thousand.
    pub(crate) fn is_of_a_thousand(&self) -> bool {
        self.count == THOUSAND
    }
}
