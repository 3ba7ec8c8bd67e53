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

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(180);
/// How often it is asked whether it does: finely, since the time is measured.
const LOOK: Duration = Duration::from_millis(2);
/// How long one such answer may take: under callgrind the first one takes seconds.
const ANSWER: Duration = Duration::from_secs(120);

/// A server that answers.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) address: Address,
    /// What it does for each request, and what it doesn't.
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
    /// What `process` becomes once it answers; it was started at `began`.
    pub(super) async fn started(
        name: &'static str,
        setup: impl Into<String>,
        mut process: Process,
        address: Address,
        began: Instant,
    ) -> Result<Self> {
        let ask = address.ask(WHOLE)?;
        let (mut looks, mut last) = (interval(LOOK), None);
        while began.elapsed() < START {
            looks.tick().await;
            if let Some(how) = process.ended() {
                bail!(how);
            }
            let answer = async { Connection::open(&address).await?.ask(&ask).await };
            match timeout(ANSWER, answer).await {
                Ok(Ok(_)) => {
                    let started = began.elapsed();
                    return Ok(Self { name, address, setup: setup.into(), process, started });
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => bail!("it doesn't answer within {} s", ANSWER.as_secs()),
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
