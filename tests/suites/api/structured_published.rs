//! Schemas that others have published, against the small model: most are served, and each answer fits or is marked.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, stream};
use hearth_tests::{Answer, Client, Home};
use serde_json::{Value, json};

/// Folder of the files `*.json` in `src/schemas/json` of <https://github.com/SchemaStore/schemastore>, each a schema of configuration
/// files. They are no part of this project.
const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/schemastore");
/// Number of requests at the same time.
const CONCURRENCY: usize = 2;
const MAX_TOKENS: u32 = 60;
/// Lowest share of the schemas without references to other documents that is served.
const SERVED_MIN_PERCENT: usize = 95;

/// The outcome of one request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Fits,
    /// Cut at the limit of tokens, and marked as failed.
    Cut,
    /// Broke what the grammar leaves to the validation, and marked as failed.
    Failed,
    RefusedForReference,
    /// With the message.
    Refused(String),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs SchemaStore's schemas in target/schemastore"]
async fn published_schemas_are_served_and_their_answers_fit_or_are_marked() {
    let files = schemas(Path::new(SCHEMAS));
    assert!(!files.is_empty(), "{SCHEMAS} has no schema");
    let home = Home::start().await;
    let client = home.client();
    let outcomes = stream::iter(&files)
        .map(async |(path, schema)| {
            let answer = request(&client, &home.model, schema).await;
            (path, outcome(path, schema, &answer))
        })
        .buffer_unordered(CONCURRENCY);
    let outcomes: Vec<(&PathBuf, Outcome)> = outcomes.collect().await;
    report(&outcomes);
    let (mut served, mut refused) = (0, 0);
    for (_, outcome) in &outcomes {
        match outcome {
            Outcome::Fits | Outcome::Cut | Outcome::Failed => served += 1,
            Outcome::Refused(_) => refused += 1,
            Outcome::RefusedForReference => {}
        }
    }
    assert!(served * 100 >= (served + refused) * SERVED_MIN_PERCENT, "{served} served, {refused} refused");
    home.stop().await;
}

/// The schemas of a folder, by their files.
fn schemas(folder: &Path) -> Vec<(PathBuf, Value)> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let parse = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let schema = serde_json::from_str(&text);
        let schema = schema.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, schema)
    };
    paths.into_iter().map(parse).collect()
}

async fn request(client: &Client, model: &str, schema: &Value) -> Answer {
    let format = json!({"name": "published", "schema": schema});
    let body = json!({
        "model": model, "messages": [{"role": "user", "content": "Give me JSON."}], "temperature": 0.8, "seed": 1,
        "max_tokens": MAX_TOKENS, "max_attempts": 1, "response_format": {"type": "json_schema", "json_schema": format},
    });
    client.post("/v1/chat/completions", &body).await
}

/// The outcome; compares the report of a served answer with the verdict of a validator.
fn outcome(path: &Path, schema: &Value, answer: &Answer) -> Outcome {
    let name = path.display();
    if answer.status != 200 {
        let error = answer.error(400, "invalid_request");
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        return match message.contains("another document") {
            true => Outcome::RefusedForReference,
            false => Outcome::Refused(message),
        };
    }
    let body = answer.json();
    let choice = &body["choices"][0];
    let is_valid = choice["structured"]["valid"].as_bool().unwrap_or_else(|| panic!("{name}: {body}"));
    let text = choice["message"]["content"].as_str().unwrap_or_default();
    // Patterns are of JavaScript, and the validator's of Rust. Formats are no part of the contract.
    let validator = jsonschema::options().should_validate_formats(false).build(schema);
    if let Ok(validator) = validator
        && !schema.to_string().contains("\"pattern")
    {
        let fits = serde_json::from_str::<Value>(text).is_ok_and(|value| validator.is_valid(&value));
        assert_eq!(is_valid, fits, "{name}: {text}");
    }
    match (is_valid, choice["finish_reason"] == "length") {
        (true, _) => Outcome::Fits,
        (false, true) => Outcome::Cut,
        (false, false) => Outcome::Failed,
    }
}

/// Prints the number of each outcome, and the files that are refused for another reason than a reference.
#[expect(clippy::print_stdout, reason = "the counts are read in the test's output")]
fn report(outcomes: &[(&PathBuf, Outcome)]) {
    let mut counts = BTreeMap::<&str, usize>::new();
    for (path, outcome) in outcomes {
        let kind = match outcome {
            Outcome::Fits => "served: the answer fits",
            Outcome::Cut => "served: cut at the token limit, and marked as failed",
            Outcome::Failed => {
                "served: broke what the grammar leaves to the validation, and marked as failed"
            }
            Outcome::RefusedForReference => "refused: a reference to another document",
            Outcome::Refused(message) => {
                println!("{}: {message}", path.display());
                "refused for another reason"
            }
        };
        *counts.entry(kind).or_default() += 1;
    }
    for (kind, count) in counts {
        println!("| {kind} | {count} |");
    }
}
