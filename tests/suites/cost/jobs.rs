//! Cost of a job: its submission to the function `models`, and its execution by `worker`.

use serde_json::{Value, json};

use crate::{
    meter::Usage,
    page::{Page, Prices, ROUNDING, number, table},
    world::{Function, World},
};

const THOUSAND: f64 = 1e3;
const MILLION: f64 = 1e6;
/// Bytes in a gigabyte, as CloudWatch bills them.
const GIGABYTE: f64 = 1e9;
/// The queues, by name of their variables.
const QUEUES: [(&str, &str); 3] = [
    ("HEARTH_JOB_QUEUE_HIGH", "JobsHigh"),
    ("HEARTH_JOB_QUEUE", "JobsNormal"),
    ("HEARTH_JOB_QUEUE_LOW", "JobsLow"),
];

/// A row: what a part of a job uses, and what a thousand cost.
#[derive(Debug, Clone)]
pub(crate) struct JobRow {
    pub(crate) name: String,
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
    requests: f64,
    /// Requests to SQS, Lambda's among them.
    messages: f64,
    seconds: f64,
    log_bytes: f64,
    pub(crate) total: f64,
}

/// The rows of the page.
pub(crate) fn rows() -> Vec<JobRow> {
    table(&Page::text(), "## Per thousand jobs").map(|row| JobRow::parse(&row)).collect()
}

impl JobRow {
    fn parse(cells: &[String]) -> Self {
        let figures: Vec<f64> = cells[1..].iter().map(|cell| number(cell)).collect();
        let [write_units, read_units, requests, messages, seconds, log_bytes, total] = figures[..] else {
            panic!("docs/cost.md: {cells:?} has other columns")
        };
        Self {
            name: cells[0].clone(),
            write_units,
            read_units,
            requests,
            messages,
            seconds,
            log_bytes,
            total,
        }
    }

    /// Returns the costs that the figures and the prices give, if the page has others.
    pub(crate) fn wrong_total(&self, prices: &Prices) -> Option<String> {
        let lambda = prices.of("Lambda, million requests") / MILLION
            + self.seconds * prices.memory_gb() * prices.of("Lambda, million GB-seconds") / MILLION;
        let table = self.write_units * prices.of("DynamoDB, million write units") / MILLION
            + self.read_units * prices.of("DynamoDB, million read units") / MILLION;
        let api = self.requests * prices.of("REST API, million requests") / MILLION;
        let queue = self.messages * prices.of("SQS, million requests") / MILLION;
        let log_bytes = self.log_bytes + prices.of("bytes of AWS' log lines");
        let logs = log_bytes / GIGABYTE * prices.of("CloudWatch Logs, GB");
        let total = THOUSAND * (lambda + table + api + queue + logs);
        ((total - self.total).abs() > ROUNDING)
            .then(|| format!("{}: ${total:.4}, not {}", self.name, self.total))
    }
}

/// Submits jobs and has them carried out; the usage of each part of the last one.
pub(crate) async fn measure(world: &World) -> [(&'static str, Usage); 2] {
    let urls = QUEUES
        .map(|(variable, name)| (variable, aws_emulator::AwsEmulator::queue_url("http://sqs.test", name)));
    let variables: Vec<(&str, &str)> = urls.iter().map(|(variable, url)| (*variable, url.as_str())).collect();
    let models = world.function("hearth-fn-models", &variables).await;
    let worker = world.function("hearth-fn-worker", &variables).await;
    let job = json!({"kind": "generate", "input": {"model": "rig:big", "input": {"prompt": "Hello"}}});
    let mut last = None;
    // The first request of a process reads what later ones find in its memory.
    for _ in 0..3 {
        let submitted = models.submit("post_v1.jobs.json", &job).await;
        last = Some([("submission", submitted), ("execution", carry_out(world, &worker).await)]);
    }
    last.unwrap()
}

async fn carry_out(world: &World, worker: &Function) -> Usage {
    let message = world.receive("JobsNormal").remove(0);
    let arn = aws_emulator::AwsEmulator::queue_arn("JobsNormal");
    let record = json!({
        "messageId": message.id, "receiptHandle": message.receipt, "body": message.body, "attributes": {},
        "messageAttributes": {}, "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": "us-east-1",
    });
    let (usage, answer) = worker.answer(&json!({"Records": [record]})).await;
    assert_eq!(answer["batchItemFailures"], Value::Array(Vec::new()), "{answer}");
    usage
}
