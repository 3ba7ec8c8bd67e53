//! A server that is measured.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::time::{interval, timeout};

use super::{
    client::{Address, Connection},
    plan::WHOLE,
};
use crate::{process::Process, rounds::Named};

/// Time for a server's first answer.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// Interval between attempts: short, since the start is timed.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Time for one attempt: under callgrind the first answer takes seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(120);

/// A server that answers.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) address: Address,
    /// Features that are on and off.
    pub(super) setup: String,
    pub(super) process: Process,
    /// From its process' start to its first answer.
    pub(super) started: Duration,
}

impl Named for Subject {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Subject {
    /// Waits until `process`, which was started at `began`, answers.
    pub(super) async fn started(
        name: &'static str,
        setup: impl Into<String>,
        mut process: Process,
        address: Address,
        began: Instant,
    ) -> Result<Self> {
        let ask = address.ask(WHOLE)?;
        let (mut looks, mut last) = (interval(POLL_INTERVAL), None);
        while began.elapsed() < START_TIMEOUT {
            looks.tick().await;
            if let Some(how) = process.ended() {
                bail!(how);
            }
            let answer = async { Connection::open(&address).await?.ask(&ask).await };
            match timeout(ATTEMPT_TIMEOUT, answer).await {
                Ok(Ok(_)) => {
                    let started = began.elapsed();
                    return Ok(Self { name, address, setup: setup.into(), process, started });
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => bail!("it doesn't answer within {} s", ATTEMPT_TIMEOUT.as_secs()),
            }
        }
        let last = last.map(|error| format!("{error:#}")).unwrap_or_default();
        bail!("it doesn't answer ({last}); it wrote last:\n{}", process.written_last())
    }
}

/// The address in a URL like `http://127.0.0.1:8000`.
pub(super) fn address(url: &str) -> Result<SocketAddr> {
    let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
    address.with_context(|| format!("{url:?} is no address of this machine"))
}
