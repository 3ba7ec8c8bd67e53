//! LiteLLM's proxy (<https://docs.litellm.ai/docs/simple_proxy>), one worker, as it starts by itself.

use std::{fs, path::Path, process::Stdio, time::Instant};

use anyhow::Result;
use serde_json::json;

use super::free_port;
use crate::{
    gateway::{client::Address, subject::Subject, upstream::MODEL},
    process::Process,
};

const SETUP: &str = "one worker; authentication, records, rate limits and retries off; log at warnings";

pub(super) async fn start(program: &Path, upstream: &str) -> Result<Subject> {
    let port = free_port()?;
    // YAML takes JSON.
    let config = json!({
        "model_list": [{
            "model_name": MODEL,
            "litellm_params": {"model": format!("openai/{MODEL}"), "api_base": format!("{upstream}/v1"), "api_key": "none"},
        }],
        "litellm_settings": {"telemetry": false, "num_retries": 0},
    });
    let began = Instant::now();
    let process = Process::start(program, |command, folder| {
        let path = folder.join("config.yaml");
        let _ = fs::write(&path, config.to_string());
        command.stdout(Stdio::null()).arg("--config").arg(path);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--num_workers", "1"]);
        // Else it asks GitHub for prices.
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "WARNING");
    })?;
    let at = ([127, 0, 0, 1], port).into();
    let address = Address { at, path: "/v1/chat/completions", model: MODEL.to_owned(), headers: Vec::new() };
    Subject::started("LiteLLM", SETUP, process, address, began).await
}
