//! A server under test.

use anyhow::Result;

use crate::{client::Client, process::Process, random::Random, rounds::Named};

/// Resources of a server, the same for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Threads that compute.
    pub(crate) threads: u32,
    /// Requests at once.
    pub(crate) slots: u32,
    /// Tokens of each slot.
    pub(crate) context: u32,
}

/// A running server, and a way to ask it. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    pub(crate) process: Process,
}

impl Named for Server {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Server {
    /// Asks something, so that what is done once is done.
    pub(crate) async fn warm_up(self) -> Result<Self> {
        let ask = crate::client::Ask::random(&mut Random::new(0), 8, 4);
        self.client.ask(&ask).await?;
        Ok(self)
    }
}
