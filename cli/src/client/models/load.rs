//! `hearth models load`.

use std::time::Duration;

use hearth_domain::RuntimeState;
use hearth_wire::native::models::ModelStatus;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::client::{http::Gateway, terminal};

const POLL: Duration = Duration::from_millis(500);

/// How many answers may say that nothing is loading before it is believed.
const IDLE_POLLS: u32 = 20;

/// Which model to load, and whether to wait until it is.
#[derive(Debug, clap::Args)]
pub struct Load {
    /// The model's id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Come back when it is loaded; the default at a terminal
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Come back at once
    #[arg(long)]
    pub no_wait: bool,
}

impl Load {
    pub(super) async fn run(self, gateway: &Gateway, json: bool) -> anyhow::Result<()> {
        let started: Value =
            gateway.post(&["v1", "models", &self.id, "load"], &serde_json::json!({})).await?;
        if !self.waits() {
            return told(&started, json, &format!("{} is being loaded", self.id));
        }
        let spinner = terminal::spinner(format!("loading {}", self.id));
        let status = loaded(gateway, &self.id, &spinner).await;
        spinner.finish_and_clear();
        told(&status?, json, &format!("{} is loaded", self.id))?;
        terminal::next_steps(json, &[&format!("hearth chat --model {}", self.id)]);
        Ok(())
    }

    fn waits(&self) -> bool {
        self.wait || (!self.no_wait && terminal::stdout_is_terminal())
    }
}

fn told(answer: &impl serde::Serialize, json: bool, sentence: &str) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(answer);
    }
    Ok(terminal::print_line(sentence)?)
}

/// Asks until the model is loaded.
async fn loaded(gateway: &Gateway, id: &str, spinner: &ProgressBar) -> anyhow::Result<ModelStatus> {
    let mut polls = tokio::time::interval(POLL);
    let mut idle = 0;
    loop {
        polls.tick().await;
        let answer: ModelStatus = gateway.get(&["v1", "models", id, "status"], &[]).await?;
        let status = answer.runtime_status.as_ref();
        match status.map(|status| status.state) {
            Some(RuntimeState::Loaded | RuntimeState::Busy) => return Ok(answer),
            Some(RuntimeState::Failed) => {
                let why = status.and_then(|status| status.error.as_deref()).unwrap_or("no reason was given");
                anyhow::bail!("{id} can't be loaded: {why}");
            }
            Some(RuntimeState::Loading) => {
                let progress = status.and_then(|status| status.progress).unwrap_or(0.0);
                spinner.set_message(format!("loading {id}, {:.0} %", progress * 100.0));
                idle = 0;
            }
            // Its turn may be yet to come; then again, someone may have unloaded it.
            Some(RuntimeState::Unloaded) | None => idle += 1,
        }
        anyhow::ensure!(idle < IDLE_POLLS, "{id} isn't being loaded; is its node running?");
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
        let asked = Arc::new(AtomicUsize::new(0));
        let answer =
            async move || Json(answers[asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)].clone());
        let url = serve(Router::new().route("/v1/models/m/status", get(answer))).await;
        loaded(&gateway(&url), "m", &ProgressBar::hidden()).await
    }

    #[tokio::test]
    async fn waits_until_loaded() {
        let answers = vec![status("unloaded", None), status("loading", None), status("loaded", None)];
        assert_eq!(wait_for(answers).await.unwrap().runtime_status.unwrap().state, RuntimeState::Loaded);
    }

    #[tokio::test]
    async fn a_failed_load_tells_why() {
        let error = wait_for(vec![status("loading", None), status("failed", Some("out of memory"))]).await;
        assert_eq!(error.unwrap_err().to_string(), "m can't be loaded: out of memory");
    }
}
