//! Kills the model's worker now and then, and sees that the next request is served.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant as Deadline, sleep_until, timeout};

use super::{DEADLINE, Soak};
use crate::process::signal;

/// Kills a worker after each pause, until the time is over.
pub(super) async fn each(soak: &Soak, pause: Duration) {
    loop {
        let next = Instant::now() + pause;
        // There must be time left in which it recovers.
        if next + pause / 2 > soak.end {
            return;
        }
        sleep_until(Deadline::from_std(next)).await;
        let recovered = one(soak).await.context("after a kill");
        let mut tally = soak.tally.borrow_mut();
        match recovered {
            Ok(took) => tally.recoveries.push(took),
            Err(error) => tally.fault(format!("{error:#}")),
        }
    }
}

/// Kills the worker; gives the time until a request is served again.
async fn one(soak: &Soak) -> Result<Duration> {
    let pid = soak.runtime().await?["pid"].as_u64().context("the model has no process")?;
    let killed = Instant::now();
    soak.tally.borrow_mut().kills.push(killed);
    signal("KILL", u32::try_from(pid)?).await?;
    soak.until("the worker's end is seen", async || {
        (soak.runtime().await.ok()?["pid"].as_u64() != Some(pid)).then_some(())
    })
    .await?;
    // What an operator does: else the third crash within ten minutes would be the model's last.
    let load = soak.request(Method::POST, &format!("/v1/models/{}/load", soak.model)).send().await?;
    ensure!(load.status().is_success(), "a load is answered with {}", load.status());
    let body = json!({
        "model": "auto",
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": 4,
        "ignore_eos": true,
    });
    let request = soak.request(Method::POST, "/v1/chat/completions").json(&body);
    let answer = timeout(DEADLINE, request.send()).await.context("the next request has no answer")??;
    ensure!(answer.status().is_success(), "the next request is answered with {}", answer.status());
    Ok(killed.elapsed())
}
