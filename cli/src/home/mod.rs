//! `hearth up`: the gateway, its stores and a node in one process.

mod banner;
pub(crate) mod commands_access;
mod identity;
pub(crate) mod model;
mod node;
pub(crate) mod offline;
pub(crate) mod serve;
pub(crate) mod shutdown;
mod stores;
pub(crate) mod temporary;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use hearth_domain::{NodeId, Scope, Timestamp, UserId};
use hearth_gateway::{Gateway, Options};
use hearth_http::{AppState, body_budget::BodyBudget};
use hearth_node::Node;
use hearth_store::nodes::NodeRecord;
use hearth_telemetry::logs::LogLimits;
use hearth_wire::node::BackendState;
use tokio::task::JoinHandle;

use crate::{
    api,
    node::{bind, config},
    settings::{Settings, Source},
};
use banner::Progress;
use commands_access::CommandsAccess;
use model::DefaultModel;
use stores::Stores;

/// How often the node's being there is noted.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How long runs may go on after the first signal; those that are left are ended then.
const RUN_STOP_GRACE: Duration = Duration::from_millis(800);
/// How long the records of what was answered may take at the end; that is a few milliseconds, unless the disk is slow.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(5);

/// Start everything in one process: the gateway, its stores, and a node with a model
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth up
  hearth up --port 9000 --model Qwen3-0.6B-Q8_0
  hearth up --model ~/Downloads/model.gguf
  hearth up --host 0.0.0.0                # for the whole network: read docs/security.md first
  hearth up --no-node                     # for providers' models alone

Other settings stand in hearth.toml and in HEARTH_ variables: `hearth config` prints them. `hearth service install` \
starts it with the machine.")]
pub(crate) struct Up {
    #[command(flatten)]
    source: Source,
    /// Start no node: requests go to providers alone
    #[arg(long, conflicts_with = "model")]
    no_node: bool,
    /// Print one line of JSON when ready, instead of the banner
    #[arg(long)]
    json: bool,
    /// Print no banner, and make no first token: for a service, whose output is a log
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

/// The node in this process.
struct HomeNode {
    node: Node,
    ended: JoinHandle<()>,
    /// The default model's id.
    model: String,
}

/// Starts everything, says so, and runs until it is interrupted.
pub(crate) async fn up(command: Up) -> Result<()> {
    // Before anything starts: from here on Ctrl-C ends it in order.
    let interrupted = shutdown::listen()?;
    let progress = Progress::new(command.json || command.quiet);
    let settings = Settings::read(&command.source)?;
    serve::raise_descriptor_limit();
    progress.say("opening the stores");
    let stores = Stores::open(&settings.data, settings.durability).map_err(without_home)?;
    let _logs = hearth_telemetry::logs::to_folder(
        &settings.data.join("logs"),
        &settings.log_level,
        LogLimits { max_bytes: settings.log_max_bytes.as_u64(), max_files: settings.log_max_files },
    )?;
    temporary::fall_back_to(&settings.data);
    hearth_telemetry::metrics::install();
    let default = if command.no_node { None } else { Some(model::prepare(&settings)?) };
    let listener = bind(settings.host, settings.port).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let artifact_links = Some(Duration::from_secs(settings.artifact_link_seconds));
    let answer_max_bytes = Some(settings.answer_max_bytes.as_u64());
    let options = Options { artifact_links, cache: settings.cache, answer_max_bytes, ..Options::default() };
    let gateway = stores.gateway(settings.routing()?, options).await?;
    let operator = gateway.store().operator().await?;
    let interrupted_runs = gateway.end_interrupted_runs().await?;
    if interrupted_runs > 0 {
        tracing::warn!(interrupted_runs, "runs of an earlier process were ended");
    }
    let local = match default {
        Some(default) => Some(start_node(&gateway, operator, &settings, default).await?),
        None => None,
    };
    gateway.begin_discovery().await;
    let budget = BodyBudget::new(settings.server.body_memory.as_u64());
    let router = api::router(AppState { gateway: gateway.clone() }, budget);
    let server = serve::start(listener, router, &settings.server)?;
    let failure = match &local {
        Some(local) => {
            progress.say(&format!("loading {}", local.model));
            tokio::select! {
                failure = model::wait_until_loaded(&local.node, |percent| progress.percent(percent)) => failure,
                () = interrupted.wait() => None,
            }
        }
        None => None,
    };
    progress.done();
    if !interrupted.already() {
        // Made only now that it will be shown.
        let token = if command.quiet { None } else { first_token(&gateway, operator).await? };
        CommandsAccess::grant(&gateway, operator, &settings.data, &url).await?;
        let model = local.as_ref().map(|local| local.model.clone());
        let failed_backends = match &local {
            Some(local) => failed_backends(&local.node).await,
            None => Vec::new(),
        };
        let data = settings.data.clone();
        let ready = banner::Ready { url, token, model, failure, failed_backends, data };
        if command.quiet {
            banner::log(&ready);
        } else {
            banner::print(command.json, &ready);
        }
        interrupted.wait().await;
    }
    tracing::info!("stopping");
    CommandsAccess::withdraw(&gateway, operator, &settings.data).await;
    // The runs end, and so do the answers that wait for them; new ones are refused.
    let runs_end = async {
        gateway.stop_runs(RUN_STOP_GRACE).await;
        if let Some(HomeNode { node, ended, .. }) = local {
            node.shut_down();
            let _ = ended.await;
        }
    };
    let (_threads, ()) = tokio::join!(server.stop(), runs_end);
    if !gateway.settle(RECORDS_TIMEOUT).await {
        tracing::error!("the store is late; what ended last isn't recorded");
    }
    stores.close().await;
    Ok(())
}

/// Says why the data folder is where it is, if nobody chose it.
fn without_home(error: anyhow::Error) -> anyhow::Error {
    match dirs::home_dir() {
        Some(_) => error,
        None => error.context(
            "HOME isn't set and this user has no entry in /etc/passwd: name a folder with --data or HEARTH_DATA",
        ),
    }
}

/// Starts the node, which loads its default model meanwhile, and enrols it with the gateway.
async fn start_node(
    gateway: &Gateway,
    owner: UserId,
    settings: &Settings,
    default: DefaultModel,
) -> Result<HomeNode> {
    let model = default.id.clone();
    let (node, ended) = Node::start(config(settings, default)?);
    let id = identity::node_id(&settings.data)?;
    gateway.attach(node::local(id, node.clone()));
    let (name, url) = ("this box".to_owned(), node::ADDRESS.to_owned());
    gateway.store().nodes().put(&NodeRecord { id, owner, name, url, created_at: Timestamp::now() }).await?;
    tokio::spawn(beat(gateway.clone(), id));
    Ok(HomeNode { node, ended, model })
}

/// A line for each backend that failed its self-test.
async fn failed_backends(node: &Node) -> Vec<String> {
    let backends = node.status().await.map(|status| status.backends).unwrap_or_default();
    let failed = backends.iter().filter(|backend| backend.state == BackendState::Failed);
    failed.map(hearth_node::backends::describe).collect()
}

/// A token with every scope, made at the first start of a data folder; later ones have it already.
async fn first_token(gateway: &Gateway, operator: UserId) -> Result<Option<String>> {
    if !gateway.list_tokens(operator).await?.is_empty() {
        return Ok(None);
    }
    let (token, _) = gateway.issue_token(operator, "first token", Scope::ALL.to_vec(), None).await?;
    Ok(Some(token.expose().to_owned()))
}

async fn beat(gateway: Gateway, node: NodeId) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        if let Err(error) = gateway.store().nodes().beat(node, Timestamp::now()).await {
            tracing::warn!(%error, "the node's heartbeat can't be stored");
        }
    }
}
