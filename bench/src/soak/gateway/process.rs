//! `hearth up`, started again and again on one data folder.

use std::{
    cell::OnceCell,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use reqwest::RequestBuilder;
use tempfile::TempDir;

use super::super::{Options, memory};
use crate::{client, hearth, process::Process};

/// Time for an answer to a request that is no generation.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The data folder, and the program.
pub(super) struct DataFolder {
    hearth: PathBuf,
    model: Option<PathBuf>,
    folder: TempDir,
    /// The token that the first start tells.
    token: OnceCell<String>,
}

/// A running gateway.
pub(super) struct Gateway {
    process: Process,
    pub(super) http: reqwest::Client,
    pub(super) url: String,
    pub(super) token: String,
}

impl DataFolder {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        Ok(Self {
            hearth: options.hearth.clone(),
            model: options.model.clone(),
            folder,
            token: OnceCell::new(),
        })
    }

    /// Starts the gateway; the seconds until it serves, too.
    pub(super) async fn start(&self) -> Result<(Gateway, f64)> {
        let began = Instant::now();
        let mut process = Process::start(&self.hearth, |command, _| {
            command.args(["up", "--json", "--port", "0", "--data"]).arg(self.folder.path().join("data"));
            if let Some(model) = &self.model {
                command.arg("--model").arg(model);
            }
        })?;
        let ready = process.ready().await?;
        let took = began.elapsed().as_secs_f64();
        if self.token.get().is_none() {
            // It was empty.
            let _ = self.token.set(hearth::text(&ready, "token")?);
        }
        let (url, token) = (hearth::text(&ready, "url")?, self.token.get().cloned().unwrap_or_default());
        Ok((Gateway { process, http: client::http()?, url, token }, took))
    }
}

impl Gateway {
    /// A request for the list of models.
    pub(super) fn models_request(&self) -> RequestBuilder {
        let request = self.http.get(format!("{}/v1/models", self.url)).bearer_auth(&self.token);
        request.timeout(REQUEST_TIMEOUT)
    }

    /// The time for an answer, in milliseconds; that of its timeout if there is none.
    pub(super) async fn latency(request: RequestBuilder) -> f64 {
        let began = Instant::now();
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let is_read = match answer {
            Ok(answer) => answer.bytes().await.is_ok(),
            Err(_) => false,
        };
        let took = if is_read { began.elapsed() } else { REQUEST_TIMEOUT };
        took.as_secs_f64() * 1e3
    }

    /// The resident memory of gateway and node.
    pub(super) fn resident_megabytes(&self) -> f64 {
        memory::sample(self.process.pid()).map_or(f64::NAN, |sample| sample.bytes as f64 / 1e6)
    }

    /// Stops it in order; the seconds that this takes.
    pub(super) async fn stop(self) -> Result<f64> {
        let began = Instant::now();
        self.process.stop().await?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Kills it, with `kill -9`.
    pub(super) async fn kill(self) -> Result<()> {
        self.process.kill().await
    }
}
