//! `hearth-bench soak`: a mixed load for a while, with clients that leave, runs that are cancelled and workers
//! that are killed. Every request must end, once, and with what happened. `gateway` kills the gateway itself.

mod gateway;
mod judge;
mod kill;
mod load;
mod memory;
mod report;
mod stream;

use std::{
    cell::RefCell,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::time::interval;

use crate::{client, hearth, process::Process};
use report::Tally;

/// The program under test, and the duration
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The built `hearth`
    #[arg(long, value_name = "FILE")]
    hearth: PathBuf,
    /// Duration of the load [default: 10, or 1 with --kill-gateway]
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
    /// The model that serves them [default: the tiny one in the binary]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Requests at once [default: 12, or 50 with --kill-gateway]
    #[arg(long, value_name = "N")]
    concurrency: Option<u64>,
    /// Chooses the requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Stop and kill the gateway under load instead of its workers, and compare its records with what clients have received
    #[arg(long)]
    kill_gateway: bool,
    /// Number of kills of the gateway
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: u32,
}

const MINUTES: f64 = 10.0;
const CONCURRENCY: u64 = 12;

/// Time for a request, with its wait in the queue and a worker's restart.
const DEADLINE: Duration = Duration::from_secs(120);
/// Time until a state that has been reached must be visible.
const STATE_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of polling.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A running `hearth up` and what has happened to it.
struct Soak {
    http: reqwest::Client,
    url: String,
    token: String,
    model: String,
    /// The process of gateway and node.
    pid: u32,
    end: Instant,
    tally: RefCell<Tally>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    if options.kill_gateway {
        return tokio::task::LocalSet::new().run_until(gateway::run(&options)).await;
    }
    let (minutes, concurrency) =
        (options.minutes.unwrap_or(MINUTES), options.concurrency.unwrap_or(CONCURRENCY));
    let (soak, process) = Soak::start(&options, minutes).await?;
    eprintln!("{minutes:.1} minutes of {concurrency} requests at once");
    let clients = (0..concurrency).map(|client| load::client(&soak, options.seed << 32 | client));
    let pause = Duration::from_secs(60).min(Duration::from_secs_f64(minutes * 60.0 / 3.0));
    tokio::join!(join_all(clients), kill::each(&soak, pause), memory::watch(&soak));
    soak.check_that_nothing_is_left().await;
    process.stop().await?;
    let tally = soak.tally.into_inner();
    println!("{}", tally.report());
    if !tally.faults.is_empty() {
        bail!("{} things went wrong", tally.faults.len());
    }
    Ok(())
}

impl Soak {
    async fn start(options: &Options, minutes: f64) -> Result<(Self, Process)> {
        let mut process = Process::start(&options.hearth, |command, folder| {
            command.args(["up", "--json", "--port", "0", "--data"]).arg(folder.join("data"));
            // It is full within a worker's minute: what grows then grows for another reason.
            command.env("HEARTH_NODE__PREFIX_CACHE", "16MB");
            if let Some(model) = &options.model {
                command.arg("--model").arg(model);
            }
        })?;
        let ready = process.ready().await?;
        let soak = Self {
            http: client::http()?,
            url: hearth::text(&ready, "url")?,
            token: hearth::text(&ready, "token")?,
            model: hearth::text(&ready, "model")?,
            pid: process.pid(),
            end: Instant::now() + Duration::from_secs_f64(minutes * 60.0),
            tally: RefCell::default(),
        };
        Ok((soak, process))
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        Ok(self
            .request(Method::GET, path)
            .timeout(STATE_TIMEOUT)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    /// State of the model.
    async fn runtime(&self) -> Result<Value> {
        let models = self.get("/v1/models").await?;
        let all = models["data"].as_array().context("no list of models")?;
        let model = all.iter().find(|model| model["id"] == self.model.as_str());
        Ok(model.context("the model is gone from the list")?["runtime_status"].clone())
    }

    /// Asks again until there is an answer.
    async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> Result<T> {
        let (mut looks, deadline) = (interval(POLL_INTERVAL), Instant::now() + STATE_TIMEOUT);
        while Instant::now() < deadline {
            looks.tick().await;
            if let Some(answer) = ask().await {
                return Ok(answer);
            }
        }
        bail!("{what}: not within {} s", STATE_TIMEOUT.as_secs())
    }

    /// After the last request no run may have a slot or a place in the queue.
    async fn check_that_nothing_is_left(&self) {
        let idle = self.until("every slot free and the queue empty at the end", async || {
            let runtime = self.runtime().await.ok()?;
            (runtime["active"] == 0 && runtime["queue_depth"] == 0).then_some(())
        });
        if let Err(error) = idle.await {
            self.tally.borrow_mut().fault(error.to_string());
        }
    }
}
