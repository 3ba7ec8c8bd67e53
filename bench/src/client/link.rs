//! The node through its own port, as a gateway talks to it.

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use hearth_auth::LinkSigner;
use hearth_domain::{Delivery, Generation, Message, ModelId, NodeId, RunId, Sampling, TextTask};
use hearth_providers::{Call, EventStream, NodeLink, Provider as _};
use hearth_wire::RunEventBody;

use super::{Answer, Ask, TEMPERATURE, TOP_K, Watch};

/// A node, and its model.
#[derive(Debug)]
pub(crate) struct Link {
    link: NodeLink,
    model: ModelId,
}

impl Link {
    /// The node `id` at `url`, which trusts `signer`, and its model `model`.
    pub(crate) fn new(id: NodeId, url: &str, signer: LinkSigner, model: String) -> Result<Self> {
        Ok(Self { link: NodeLink::new(id, url, super::http()?, signer), model: ModelId::new(model) })
    }

    /// Begins a run, and gives its events.
    pub(crate) async fn begin(&self, ask: &Ask) -> Result<(RunId, EventStream)> {
        let run = RunId::new();
        let call = Call {
            run,
            model: self.model.clone(),
            generation: Generation::new(None, task(ask)).into(),
            delivery: Delivery::Stream,
            trace: Default::default(),
        };
        Ok((run, self.link.generate(call).await?))
    }

    /// Stops a run.
    pub(crate) async fn cancel(&self, run: RunId) -> Result<()> {
        if !self.link.cancel(run).await? {
            bail!("there was no run to cancel");
        }
        Ok(())
    }

    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer> {
        let mut watch = Watch::start();
        let (_, mut events) = self.begin(ask).await?;
        let mut taken = None;
        while let Some(event) = events.next().await {
            match event {
                RunEventBody::Delta { text, .. } => watch.text(&text),
                RunEventBody::Usage { usage } => taken = Some(usage),
                RunEventBody::Error { error } => bail!("a run failed: {error}"),
                _ => {}
            }
        }
        watch.answer(taken.context("a run doesn't tell its usage")?)
    }
}

fn task(ask: &Ask) -> TextTask {
    let messages = ask.turns.iter().map(|turn| Message::new(turn.role, turn.text.clone())).collect();
    let sampling = Sampling {
        temperature: Some(TEMPERATURE),
        top_k: Some(TOP_K),
        seed: Some(ask.seed),
        max_tokens: Some(ask.max_tokens),
        ignore_eos: true,
        ..Sampling::default()
    };
    TextTask::new(messages, sampling)
}
