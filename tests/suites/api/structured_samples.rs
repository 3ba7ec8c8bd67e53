//! 200 schemas of ten kinds against the small model: every answer that ends fits its schema, or is marked.

use std::{collections::BTreeMap, fmt::Write as _};

use futures::{StreamExt as _, stream};
use hearth_schema::{
    AnswerSchema,
    samples::{SchemaSample, samples},
};
use hearth_tests::{Client, Home};
use serde_json::{Value, json};

/// Number of requests at the same time.
const CONCURRENCY: usize = 8;

/// The end of one answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    /// Cut at the limit of tokens, and marked as failed.
    cut: usize,
}

async fn request(client: &Client, model: &str, sample: &SchemaSample) -> Value {
    let format = json!({"name": "sample", "schema": sample.schema});
    let body = json!({
        "model": model, "messages": [{"role": "user", "content": "Give me JSON."}], "temperature": 0.8,
        "seed": sample.number, "max_tokens": 150, "max_attempts": 2,
        "response_format": {"type": "json_schema", "json_schema": format},
    });
    let answer = client.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{} {}: {answer:?}", sample.kind, sample.number);
    answer.json()
}

/// Checks the answer's report against the schema.
fn check(sample: &SchemaSample, answer: &Value) -> Counts {
    let name = format!("{} {}: {answer}", sample.kind, sample.number);
    let choice = &answer["choices"][0];
    let (text, structured) =
        (choice["message"]["content"].as_str().unwrap_or_else(|| panic!("{name}")), &choice["structured"]);
    let checker = AnswerSchema::parse(&sample.schema).and_then(|schema| schema.checker());
    let checker = checker.unwrap_or_else(|error| panic!("{name}: {error}"));
    let fits = checker.check(text).valid;
    assert_eq!((&structured["valid"], &structured["how"]), (&json!(fits), &json!("grammar")), "{name}");
    assert_eq!(structured["violations"] == json!([]), fits, "{name}");
    assert_eq!(structured["status"], if fits { "passed" } else { "failed" }, "{name}");
    // The grammar of a schema that it enforces wholly leaves no other answer.
    let is_cut = choice["finish_reason"] == "length";
    assert!(fits || is_cut || structured["enforced"] == "grammar+validated", "{name}");
    Counts {
        passed: usize::from(fits),
        failed: usize::from(!fits && !is_cut),
        cut: usize::from(!fits && is_cut),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_200_schemas_fit_or_are_marked() {
    let home = Home::start().await;
    let client = home.client();
    let mut kinds: BTreeMap<&str, Counts> = BTreeMap::new();
    let answers = stream::iter(samples())
        .map(|sample| {
            let (client, model) = (&client, &home.model);
            async move { (request(client, model, &sample).await, sample) }
        })
        .buffer_unordered(CONCURRENCY);
    let answers: Vec<(Value, SchemaSample)> = answers.collect().await;
    assert_eq!(answers.len(), 200);
    for (answer, sample) in &answers {
        let counts = check(sample, answer);
        let sum = kinds.entry(sample.kind).or_default();
        sum.passed += counts.passed;
        sum.failed += counts.failed;
        sum.cut += counts.cut;
    }
    let mut table = String::from("| kind | passed | failed | cut |\n|---|---|---|---|\n");
    for (kind, Counts { passed, failed, cut }) in &kinds {
        let _ = writeln!(table, "| {kind} | {passed} | {failed} | {cut} |");
    }
    println!("{table}");
    let passed: usize = kinds.values().map(|counts| counts.passed).sum();
    assert!(passed >= 150, "{table}");
    home.stop().await;
}
