//! Checks that a request ended correctly: the client's view, and the gateway's record.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::Soak;

/// Permitted end of a request. Any other end is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Completed,
    Cancelled,
    /// The client went away before the end.
    Left,
    /// With an error of this code, in the middle of the run or before it.
    Failed(String),
}

/// A run that ended by itself has all its tokens, and its record the same text.
pub(super) async fn completed(
    soak: &Soak,
    id: &str,
    text: &str,
    usage: &Value,
    tokens: u64,
) -> Result<Outcome> {
    ensure!(usage["completion_tokens"] == tokens, "{tokens} tokens were requested, and the usage is {usage}");
    let record = record(soak, id).await?;
    ensure!(record["status"] == "completed", "{id} has ended, and its record is {}", record["status"]);
    let stored = record["output"]["text"].as_str().unwrap_or_default();
    ensure!(stored == text, "{id}: the answer has {} bytes, and the record {}", text.len(), stored.len());
    Ok(Outcome::Completed)
}

/// A run that was stopped or has failed says so, and so does its record.
pub(super) async fn failed(soak: &Soak, id: &str, error: &Value) -> Result<Outcome> {
    let code = code(error)?;
    let record = record(soak, id).await?;
    let expected = if code == "cancelled" { "cancelled" } else { "failed" };
    ensure!(record["status"] == expected, "{id} ended with {code}, and its record is {}", record["status"]);
    Ok(if code == "cancelled" { Outcome::Cancelled } else { Outcome::Failed(code) })
}

/// A request that was answered with an error has one that says what happened.
pub(super) fn refused(body: &Value) -> Result<Outcome> {
    Ok(Outcome::Failed(code(&body["error"])?))
}

/// The record of a run that has ended, or is about to.
pub(super) async fn record(soak: &Soak, id: &str) -> Result<Value> {
    let path = format!("/v1/requests/{id}");
    let what = format!("the end of {id} in its record");
    soak.until(&what, async || {
        let record = soak.get(&path).await.ok()?;
        record["finished_at"].is_string().then_some(record)
    })
    .await
}

fn code(error: &Value) -> Result<String> {
    match (error["code"].as_str(), error["message"].as_str()) {
        (Some(code), Some(message)) if !code.is_empty() && !message.is_empty() => Ok(code.to_owned()),
        _ => bail!("an error doesn't say what happened: {error}"),
    }
}
