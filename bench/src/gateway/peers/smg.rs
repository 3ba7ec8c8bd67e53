//! SMG, the Shepherd model gateway (<https://github.com/lightseekorg/smg>): Rust, started by a Python program.

use std::{path::Path, process::Stdio, time::Instant};

use anyhow::Result;

use super::free_port;
use crate::{
    gateway::{client::Address, subject::Subject, upstream::MODEL},
    process::Process,
};

const SETUP: &str = "as a router to an OpenAI server; authentication, records, rate limits, health checks and retries \
                     off; log at warnings";

pub(super) async fn start(program: &Path, upstream: &str) -> Result<Subject> {
    let (port, metrics) = (free_port()?, free_port()?);
    let began = Instant::now();
    let process = Process::start(program, |command, _| {
        command.stdout(Stdio::null()).args(["launch", "--backend", "openai", "--worker-urls", upstream]);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--prometheus-host", "127.0.0.1", "--prometheus-port", &metrics.to_string()]);
        command.args(["--history-backend", "none", "--disable-health-check", "--disable-retries"]);
        command.args(["--log-level", "warn"]);
    })?;
    let at = ([127, 0, 0, 1], port).into();
    let headers = vec![("authorization", "Bearer none".to_owned())];
    let address = Address { at, path: "/v1/chat/completions", model: MODEL.to_owned(), headers };
    Subject::started("SMG", SETUP, process, address, began).await
}
