//! `hearth models load`.

use std::time::Duration;

use hearth_domain::RuntimeState;
use hearth_wire::native::models::ModelStatus;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::client::{gateway_client::GatewayClient, terminal};

/// Interval of requests for the model's state.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Polls in a row without a load in progress after which the command gives up.
const IDLE_POLLS_MAX_COUNT: u32 = 20;

/// The model to load, and whether to wait for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The model's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Wait until it is loaded; the default at a terminal
    #[arg(long, overrides_with = "no_wait")]
    pub(crate) wait: bool,
    /// Return at once
    #[arg(long)]
    pub(crate) no_wait: bool,
}

impl Load {
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let started: Value =
            gateway.post(&["v1", "models", &self.id, "load"], &serde_json::json!({})).await?;
        if !self.waits() {
            return print(&started, json, &format!("{} is being loaded", self.id));
        }
        let spinner = terminal::spinner(format!("loading {}", self.id));
        let status = wait_until_loaded(gateway, &self.id, &spinner).await;
        spinner.finish_and_clear();
        print(&status?, json, &format!("{} is loaded", self.id))?;
        terminal::next_steps(json, &[&format!("hearth chat --model {}", self.id)]);
        Ok(())
    }

    fn waits(&self) -> bool {
        self.wait || (!self.no_wait && terminal::stdout_is_terminal())
    }
}

fn print(answer: &impl serde::Serialize, json: bool, sentence: &str) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(answer);
    }
    Ok(terminal::print_line(sentence)?)
}

/// Polls the gateway until the model is loaded.
async fn wait_until_loaded(
    gateway: &GatewayClient,
    id: &str,
    spinner: &ProgressBar,
) -> anyhow::Result<ModelStatus> {
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    let mut idle = 0;
    loop {
        polls.tick().await;
        let answer: ModelStatus = gateway.get(&["v1", "models", id, "status"], &[]).await?;
        let status = answer.runtime_status.as_ref();
        match status.map(|status| status.state) {
            Some(RuntimeState::Loaded | RuntimeState::Busy) => return Ok(answer),
            Some(RuntimeState::Failed) => {
                let why =
                    status.and_then(|status| status.error.as_deref()).unwrap_or("no reason is reported");
                anyhow::bail!("{id} can't be loaded: {why}");
            }
            Some(RuntimeState::Loading) => {
                let progress = status.and_then(|status| status.progress).unwrap_or(0.0);
                spinner.set_message(format!("loading {id}, {:.0} %", progress * 100.0));
                idle = 0;
            }
            // The load may not have begun yet, or the model may have been unloaded meanwhile.
            Some(RuntimeState::Unloaded | RuntimeState::Downloading) | None => idle += 1,
        }
        anyhow::ensure!(idle < IDLE_POLLS_MAX_COUNT, "{id} isn't being loaded; is its node running?");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{Json, Router, routing::get};
    use serde_json::json;

    use super::*;
    use crate::client::testing::{gateway, serve};

    fn status(state: &str, error: Option<&str>) -> Value {
        json!({"model": "m", "runtime_status": {
            "state": state, "progress": 0.5, "default": false, "active": 0, "queue_depth": 0, "slots": 4,
            "memory_bytes": null, "pid": null, "loaded_at": null, "last_used_at": null, "error": error}})
    }

    async fn wait_for(answers: Vec<Value>) -> anyhow::Result<ModelStatus> {
        let polls = Arc::new(AtomicUsize::new(0));
        let answer =
            async move || Json(answers[polls.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)].clone());
        let url = serve(Router::new().route("/v1/models/m/status", get(answer))).await;
        wait_until_loaded(&gateway(&url), "m", &ProgressBar::hidden()).await
    }

    #[tokio::test]
    async fn wait_ends_when_the_model_is_loaded() {
        let answers = vec![status("unloaded", None), status("loading", None), status("loaded", None)];
        assert_eq!(wait_for(answers).await.unwrap().runtime_status.unwrap().state, RuntimeState::Loaded);
    }

    #[tokio::test]
    async fn failed_load_is_an_error_with_its_reason() {
        let error = wait_for(vec![status("loading", None), status("failed", Some("out of memory"))]).await;
        assert_eq!(error.unwrap_err().to_string(), "m can't be loaded: out of memory");
    }
}
