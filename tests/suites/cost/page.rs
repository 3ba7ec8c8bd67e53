//! The tables of docs/cost.md.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Cents are compared: half of one is the rounding.
pub(crate) const ROUNDING: f64 = 0.005_001;
/// Bytes in a gigabyte, as CloudWatch bills them, over requests in a million.
const BYTES_PER_MILLION: f64 = 1e6 / 1e9;

/// The page's figures.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) prices: Prices,
    pub(crate) rows: Vec<Row>,
}

/// Prices in dollars, and the assumptions that hold for every request.
#[derive(Debug)]
pub(crate) struct Prices {
    by_name: BTreeMap<String, f64>,
    memory_gb: f64,
}

/// A kind of request: what one uses, and what a million cost.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
    /// Bytes of the function's own log lines.
    pub(crate) log_bytes: f64,
    /// Seconds that the function runs.
    pub(crate) seconds: f64,
    /// Dollars of API Gateway, Lambda, DynamoDB and CloudWatch.
    costs: [f64; 4],
    pub(crate) total: f64,
}

impl Page {
    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    pub(crate) fn text() -> String {
        fs::read_to_string(Self::root().join("docs/cost.md")).unwrap()
    }

    pub(crate) fn read() -> Self {
        let (root, text) = (Self::root(), Self::text());
        let template = fs::read_to_string(root.join("infra/template.yaml")).unwrap();
        let memory = template.lines().find_map(|line| line.trim().strip_prefix("MemorySize: ")).unwrap();
        let memory_gb = memory.parse::<f64>().unwrap() / 1024.0;
        let by_name = table(&text, "## Prices").map(|row| (row[0].clone(), number(&row[1]))).collect();
        let rows = table(&text, "## Per million requests").map(|row| Row::parse(&row)).collect();
        Self { prices: Prices { by_name, memory_gb }, rows }
    }

    /// The names of the rows, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

impl Prices {
    pub(crate) fn memory_gb(&self) -> f64 {
        self.memory_gb
    }

    pub(crate) fn of(&self, name: &str) -> f64 {
        *self.by_name.get(name).unwrap_or_else(|| panic!("docs/cost.md has no price {name:?}"))
    }
}

impl Row {
    fn parse(cells: &[String]) -> Self {
        let figures: Vec<f64> = cells[1..].iter().map(|cell| number(cell)).collect();
        let [write_units, read_units, log_bytes, seconds, api, lambda, table, logs, total] = figures[..]
        else {
            panic!("docs/cost.md: {cells:?} has other columns")
        };
        let costs = [api, lambda, table, logs];
        Self { name: cells[0].clone(), write_units, read_units, log_bytes, seconds, costs, total }
    }

    /// Returns the row that the figures and the prices give, if the page has other costs.
    pub(crate) fn wrong_costs(&self, prices: &Prices) -> Option<String> {
        let log_bytes = self.log_bytes + prices.of("bytes of AWS' log lines");
        let costs = [
            prices.of("REST API, million requests"),
            prices.of("Lambda, million requests")
                + self.seconds * prices.memory_gb * prices.of("Lambda, million GB-seconds"),
            self.write_units * prices.of("DynamoDB, million write units")
                + self.read_units * prices.of("DynamoDB, million read units"),
            log_bytes * BYTES_PER_MILLION * prices.of("CloudWatch Logs, GB"),
        ];
        let sum: f64 = costs.iter().sum();
        let is_right = costs.iter().zip(self.costs).all(|(cost, shown)| (cost - shown).abs() < ROUNDING)
            && (sum - self.total).abs() < ROUNDING;
        let [api, lambda, table, logs] = costs;
        (!is_right)
            .then(|| format!("{} | {api:.2} | {lambda:.2} | {table:.2} | {logs:.2} | {sum:.2} |", self.name))
    }
}

/// The cells of the rows of the first table behind a heading, without the table's head.
pub(crate) fn table<'a>(text: &'a str, heading: &str) -> impl Iterator<Item = Vec<String>> + 'a {
    let section = text.split_once(heading).unwrap_or_else(|| panic!("docs/cost.md has no {heading:?}")).1;
    let lines =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    lines.skip(2).map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
}

pub(crate) fn number(cell: &str) -> f64 {
    let digits = cell.trim_start_matches('$').replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("docs/cost.md: {cell:?} is no number"))
}
