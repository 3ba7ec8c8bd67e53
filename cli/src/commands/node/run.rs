//! `hearth node run`: the node alone. An enrolled node connects to its gateway; any node may be connected to.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use hearth_auth::LinkVerifier;
use hearth_domain::NodeId;
use hearth_node::{
    Node,
    link::{LinkConfig, LinkState, NodeIdentity, RunningLink},
    wake::own_mac,
};
use hearth_server::Server;

use crate::{
    context::{Context, ContextFlags},
    home::{
        data_lock::{DataLock, when_free},
        listeners::Listeners,
        model,
        node_config::node_config,
        shutdown, temporary,
    },
    settings::{Settings, SettingsFlags},
};

/// Time for the runs of the gateway to end when the node is stopped.
const RUN_STOP_GRACE: Duration = Duration::from_secs(8);
/// Time to wait for the gateway's first answer before the node says that it runs.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Run this machine's node, for the gateway that it is enrolled at
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth node run
  hearth node run --host 0.0.0.0 --port 9090

An enrolled node (hearth node enroll) connects to its gateway, and needs no open port. With --host or --port it also listens, so \
that the gateway can connect to it directly. A node that isn't enrolled only listens: its id and the gateway's key are given by \
--id and --gateway-key. See docs/node-link.md.")]
pub(crate) struct Run {
    #[command(flatten)]
    settings: SettingsFlags,
    /// The node's id, as the gateway knows it, where the node isn't enrolled
    #[arg(long, requires = "gateway_key")]
    id: Option<NodeId>,
    /// The gateway's public key, in base64, where the node isn't enrolled: the node accepts calls signed with it
    #[arg(long, requires = "id")]
    gateway_key: Option<String>,
    /// Print one line of JSON when ready
    #[arg(long)]
    json: bool,
}

/// The node's id, the key of its gateway, and its identity if it is enrolled.
struct Membership {
    node: NodeId,
    gateway_key: String,
    identity: Option<NodeIdentity>,
}

impl Run {
    pub(crate) fn flags(&self) -> ContextFlags {
        self.settings.clone().into()
    }

    /// Runs a node until it is interrupted.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        // Before anything starts, so that Ctrl-C ends it in order.
        let interrupted = shutdown::listen()?;
        let settings = &context.settings;
        hearth_telemetry::logs::to_stderr(&settings.log_level)?;
        hearth_telemetry::traces::install(&settings.traces)?;
        hearth_server::raise_descriptor_limit();
        if let Some(warning) = hearth_server::low_descriptor_limit() {
            tracing::warn!("{warning}");
        }
        // Two processes of one node would both take its runs.
        let _lock = when_free(|| DataLock::take(&settings.data)).await?;
        let membership = self.membership(settings)?;
        let default = model::prepare(settings)?;
        temporary::fall_back_to(&settings.data);
        let listeners = match self.listens(settings, &membership) {
            true => Some(Listeners::open(settings).await?),
            false => None,
        };
        let url = listeners.as_ref().map(|listeners| listeners.url.clone());
        let (node, ended) = Node::start(node_config(settings, default)?);
        let link = match membership.identity.clone() {
            Some(identity) => Some(RunningLink::start(node.clone(), link_config(identity, settings))?),
            None => None,
        };
        let server = match listeners {
            Some(listeners) => Some(serve_directly(listeners, &node, &membership, settings)?),
            None => None,
        };
        let ready = async {
            model::wait_until_loaded(&node, |_| ()).await;
            match &link {
                Some(link) => first_answer(link).await,
                None => LinkState::Connecting,
            }
        };
        tokio::select! {
            state = ready => self.announce(&membership, url.as_deref(), &state),
            () = interrupted.wait() => {}
        }
        interrupted.wait().await;
        if let Some(link) = &link {
            link.drain(RUN_STOP_GRACE).await;
        }
        node.shut_down();
        if let Some(server) = server {
            let _threads = server.stop().await;
        }
        let _ = ended.await;
        if let Some(link) = link {
            link.stop().await;
        }
        hearth_telemetry::traces::flush().await;
        Ok(())
    }

    fn membership(&self, settings: &Settings) -> Result<Membership> {
        if let (Some(node), Some(gateway_key)) = (self.id, self.gateway_key.clone()) {
            return Ok(Membership { node, gateway_key, identity: None });
        }
        let Some(identity) = NodeIdentity::load(&settings.data)? else {
            bail!(
                "this node isn't enrolled at a gateway: make a code there (hearth node code), and run `hearth node enroll GATEWAY \
                 CODE` here; or name the gateway with --id and --gateway-key. For gateway and node on one machine, `hearth up` \
                 is enough"
            )
        };
        let (node, gateway_key) = (identity.node, identity.gateway_key.clone());
        Ok(Membership { node, gateway_key, identity: Some(identity) })
    }

    /// Returns whether the gateway can connect to the node.
    fn listens(&self, settings: &Settings, membership: &Membership) -> bool {
        let flags = &self.settings;
        membership.identity.is_none() || settings.node.listen || flags.host.is_some() || flags.port.is_some()
    }

    fn announce(&self, membership: &Membership, url: Option<&str>, state: &LinkState) {
        let gateway = membership.identity.as_ref().map(|identity| identity.gateway.as_str());
        if self.json {
            let connected = *state == LinkState::Connected;
            let ready = serde_json::json!({
                "url": url, "node": membership.node, "gateway": gateway, "connected": connected,
            });
            println!("{ready}");
            return;
        }
        if let Some(gateway) = gateway {
            match state {
                LinkState::Connected => {
                    println!("The node {} serves {gateway}. Ctrl-C stops it.", membership.node);
                }
                LinkState::Failing(reason) => {
                    println!("The node {} runs and tries again: {reason}. Ctrl-C stops it.", membership.node);
                }
                LinkState::Connecting => {
                    println!(
                        "The node {} waits for an answer of {gateway}. Ctrl-C stops it.",
                        membership.node
                    );
                }
            }
        }
        if let Some(url) = url {
            println!("The node {} listens on {url}. Ctrl-C stops it.", membership.node);
        }
    }
}

fn link_config(identity: NodeIdentity, settings: &Settings) -> LinkConfig {
    LinkConfig {
        runs_max_count: settings.node.runs_max_count,
        energy: settings.node.energy(),
        mac: own_mac(&settings.node),
        ..LinkConfig::new(identity)
    }
}

/// Serves the gateway's own connections.
fn serve_directly(
    listeners: Listeners,
    node: &Node,
    membership: &Membership,
    settings: &Settings,
) -> Result<Server> {
    let verifier = LinkVerifier::new(&membership.node.to_string(), &membership.gateway_key)?;
    let router = hearth_node::server::router(node.clone(), verifier, membership.identity.clone());
    Ok(hearth_server::start(listeners.entrances(router), &settings.server)?)
}

/// Waits until the gateway has answered, or can't be reached.
async fn first_answer(link: &RunningLink) -> LinkState {
    let mut state = link.state();
    let answer = state.wait_for(|state| *state != LinkState::Connecting);
    match tokio::time::timeout(FIRST_ANSWER_TIMEOUT, answer).await {
        Ok(Ok(state)) => state.clone(),
        _ => LinkState::Connecting,
    }
}
