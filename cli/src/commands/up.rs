//! `hearth up`: the gateway, its stores and a node in one process.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use clap::Args;
use hearth_domain::{Action, Owner, UserId};
use hearth_gateway::{
    Gateway, Routing,
    tokens::{COMMANDS_TOKEN_NAME, NewToken},
};
use hearth_http::{AppState, body_budget::BodyBudget};
use hearth_node::{Node, NodeConfig, link::NodeIdentity};
use hearth_store::nodes::NodeRecord;
use hearth_telemetry::logs::LogLimits;
use hearth_wire::node::BackendState;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    api,
    client::{CommandsAccess, terminal},
    context::{Context, ContextFlags},
    home::{
        banner::{self, Progress},
        identity,
        listeners::Listeners,
        local_node,
        model::{self, DefaultModel},
        node_config::node_config,
        shutdown,
        stores::Stores,
        temporary,
    },
    settings::{Settings, SettingsFlags},
};

/// Time for which runs may continue after the first signal; then they are ended.
const RUN_STOP_GRACE: Duration = Duration::from_millis(800);
/// Time for the slices of jobs to end with their runs.
const JOB_STOP_GRACE: Duration = Duration::from_secs(2);
/// Time for storing the last records at the end: a few milliseconds, unless the disk is slow.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(5);

/// Start everything in one process: the gateway, its stores, and a node with a model
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth up
  hearth up --port 9000 --model Qwen3-0.6B-Q8_0
  hearth up --model ~/Downloads/model.gguf
  hearth up --host 0.0.0.0                # for the whole network: read docs/security.md first
  hearth up --no-node                     # for models of providers and of enrolled machines alone

Other settings are in hearth.toml and in HEARTH_ variables: `hearth config` prints them. `hearth service install` \
starts Hearth with the machine.")]
pub(crate) struct Up {
    #[command(flatten)]
    settings: SettingsFlags,
    /// Start no node: this machine runs no models; providers and enrolled machines do
    #[arg(long, conflicts_with = "model")]
    no_node: bool,
    /// Print one line of JSON when ready, instead of the banner
    #[arg(long)]
    json: bool,
    /// Print no banner, and create no first token: for a service, whose output is a log
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

impl Up {
    pub(crate) fn flags(&self) -> ContextFlags {
        self.settings.clone().into()
    }

    /// Starts everything, prints the banner, and runs until it is interrupted.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        // Before anything starts, so that Ctrl-C ends it in order.
        let interrupted = shutdown::listen()?;
        let progress = Progress::new(self.json || self.quiet);
        let settings = &context.settings;
        hearth_server::raise_descriptor_limit();
        // Shown before the store is opened, which may fail for lack of descriptors, and logged when there is a log.
        let low_limit = hearth_server::low_descriptor_limit();
        if let Some(warning) = low_limit.as_ref().filter(|_| !self.quiet) {
            terminal::note(&format!("warning: {warning}"));
        }
        progress.show("opening the stores");
        let stores = Stores::open_when_free(&settings.data, settings.durability).await;
        let stores = stores.map_err(explain_missing_home)?;
        let _logs = hearth_telemetry::logs::to_folder(
            &settings.data.join("logs"),
            &settings.log_level,
            LogLimits { max_bytes: settings.log_max_bytes.as_u64(), max_files: settings.log_max_files },
        )?;
        if let Some(warning) = low_limit {
            tracing::warn!("{warning}");
        }
        temporary::fall_back_to(&settings.data);
        hearth_telemetry::metrics::install();
        hearth_telemetry::traces::install(&settings.traces)?;
        let default = if self.no_node { None } else { Some(model::prepare(settings)?) };
        let listeners = Listeners::open(settings).await?;
        let url = listeners.url.clone();
        let gateway = stores.gateway(Routing::new(settings)?, settings.gateway()).await?;
        let operator = gateway.operator().await?;
        gateway.organisations().ensure_operators().await?;
        let interrupted_runs = gateway.end_interrupted_runs().await?;
        if interrupted_runs > 0 {
            tracing::warn!(interrupted_runs, "runs of an earlier process were ended");
        }
        let broken_uploads = gateway.end_broken_uploads().await?;
        if broken_uploads > 0 {
            tracing::warn!(broken_uploads, "uploads of an earlier process were deleted");
        }
        let erasures = gateway.resume_erasures().await?;
        if erasures > 0 {
            tracing::info!(erasures, "erasures of users go on");
        }
        let local = match default {
            Some(default) => Some(start_node(&gateway, operator, settings, default).await?),
            None => None,
        };
        gateway.refresh_model_lists().await;
        let budget = BodyBudget::new(settings.server.body_memory.as_u64());
        let router = api::router(AppState { gateway: gateway.clone() }, budget);
        // Before the first request, so that a command of this machine is authorised as soon as the gateway answers.
        CommandsAccess::grant(&gateway, operator, &settings.data, &listeners.commands_url).await?;
        let audit = Arc::clone(gateway.audit());
        let audit = AbortOnDropHandle::new(tokio::spawn(async move { audit.maintain().await }));
        let files = gateway.clone();
        let files = AbortOnDropHandle::new(tokio::spawn(async move { files.maintain_files().await }));
        let sessions = gateway.clone();
        let sessions =
            AbortOnDropHandle::new(tokio::spawn(async move { sessions.maintain_sessions().await }));
        let jobs = gateway.start_jobs().await?;
        let events = gateway.clone();
        let events = AbortOnDropHandle::new(tokio::spawn(async move { events.maintain_events().await }));
        let server = hearth_server::start(listeners.entrances(router), &settings.server)?;
        let failure = match &local {
            Some(local) => {
                progress.show(&format!("loading {}", local.model));
                tokio::select! {
                    failure = model::wait_until_loaded(&local.node, |percent| progress.percent(percent)) => failure,
                    () = interrupted.wait() => None,
                }
            }
            None => None,
        };
        progress.done();
        warn_of_enrolment(&settings.data, self.quiet);
        if !interrupted.is_requested() {
            // Create the token only now, since it will be shown.
            let token = if self.quiet { None } else { first_token(&gateway, operator).await? };
            let model = local.as_ref().map(|local| local.model.clone());
            let failed_backends = match &local {
                Some(local) => failed_backends(&local.node).await,
                None => Vec::new(),
            };
            let data = settings.data.clone();
            let ready = banner::Ready { url, token, model, failure, failed_backends, data };
            if self.quiet {
                banner::log(&ready);
            } else {
                banner::print(self.json, &ready);
            }
            interrupted.wait().await;
        }
        tracing::info!("stopping");
        CommandsAccess::withdraw(&gateway, operator, &settings.data).await;
        if let Some(sockets) = gateway.sockets().hub() {
            sockets.close_all();
        }
        // Runs and their responses end; new ones are refused.
        let runs_end = async {
            let jobs_end = async {
                if let Some(jobs) = jobs {
                    jobs.stop(JOB_STOP_GRACE).await;
                }
            };
            tokio::join!(gateway.stop_runs(RUN_STOP_GRACE), jobs_end);
            if let Some(HomeNode { node, ended, .. }) = local {
                node.shut_down();
                let _ = ended.await;
            }
        };
        let (_threads, ()) = tokio::join!(server.stop(), runs_end);
        if !gateway.settle(RECORDS_TIMEOUT).await {
            tracing::error!("the store is slow; the last runs aren't recorded");
        }
        drop((audit, events, files, sessions));
        gateway.audit().finish().await;
        stores.close().await;
        hearth_telemetry::traces::flush().await;
        Ok(())
    }
}

/// Explains the error of a data folder that follows from a missing HOME.
fn explain_missing_home(error: anyhow::Error) -> anyhow::Error {
    match dirs::home_dir() {
        Some(_) => error,
        None => error.context(
            "HOME isn't set and this user has no entry in /etc/passwd: name a folder with --data or HEARTH_DATA",
        ),
    }
}

/// Warns if the folder has an enrolment, which this command doesn't use.
fn warn_of_enrolment(data: &Path, quiet: bool) {
    let Ok(Some(identity)) = NodeIdentity::load(data) else { return };
    let warning = format!(
        "this machine is enrolled as the node {} of {}, which `hearth up` doesn't serve; `hearth node run` does",
        identity.node,
        identity.gateway.as_str().trim_end_matches('/')
    );
    tracing::warn!("{warning}");
    if !quiet {
        terminal::note(&format!("warning: {warning}"));
    }
}

/// Starts the node, which begins to load its default model, and registers it with the gateway.
async fn start_node(
    gateway: &Gateway,
    owner: UserId,
    settings: &Settings,
    default: DefaultModel,
) -> Result<HomeNode> {
    let model = default.id.clone();
    // A stream in this process doesn't break off, so that no log is read after its run's end.
    let config =
        NodeConfig { takes_files: true, keep_runs: Duration::ZERO, ..node_config(settings, default)? };
    let (node, ended) = Node::start(config);
    let id = identity::node_id(&settings.data)?;
    gateway.attach(local_node::connect(id, node.clone()));
    if let Some(energy) = settings.node.energy() {
        gateway.set_node_energy(energy);
    }
    let record = NodeRecord {
        region: settings.node.region.clone(),
        url: Some(local_node::ADDRESS.to_owned()),
        ..NodeRecord::new(id, Owner::of_record(owner, None), "this box")
    };
    gateway.register_node(&record).await?;
    Ok(HomeNode { node, ended, model })
}

/// Describes each backend that failed its self-test.
async fn failed_backends(node: &Node) -> Vec<String> {
    let backends = node.status().await.map(|status| status.backends).unwrap_or_default();
    let failed = backends.iter().filter(|backend| backend.state == BackendState::Failed);
    failed.map(hearth_node::backends::describe).collect()
}

/// Creates a token with every scope at the first start of a data folder.
async fn first_token(gateway: &Gateway, operator: UserId) -> Result<Option<String>> {
    let tokens = gateway.access().list_tokens(Owner::of_record(operator, None)).await?;
    if tokens.iter().any(|token| token.name != COMMANDS_TOKEN_NAME) {
        return Ok(None);
    }
    let (token, record) =
        gateway.access().issue_token(NewToken::of_operator(operator, "first token")).await?;
    gateway.audit().record_command("hearth up", Action::ManageTokens, operator, record.id).await?;
    Ok(Some(token.expose().to_owned()))
}
