//! `hearth node`: the node alone, for a gateway that reaches it directly.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use hearth_auth::LinkVerifier;
use hearth_domain::{Modality, NodeId};
use hearth_node::{Node, NodeConfig, scheduler::Limits};
use tokio::net::TcpListener;

use crate::{
    home::{model, serve, shutdown, temporary},
    settings::{Settings, Source},
};

/// Start a node alone, for a gateway that reaches it directly
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hearth node --id node_01JDB4T6ZW3Q8N5XKM2C7V9RHF --gateway-key BASE64 --host 0.0.0.0 --port 9090

Most people want `hearth up`, which has a node inside. The id and the key come from the gateway: see \
docs/bring-your-own-box.md.")]
pub(crate) struct NodeCommand {
    #[command(flatten)]
    source: Source,
    /// The node's id, as the gateway knows it
    #[arg(long)]
    id: NodeId,
    /// The gateway's public key, in base64: the node takes calls signed with it
    #[arg(long)]
    gateway_key: String,
    /// Print one line of JSON when ready
    #[arg(long)]
    json: bool,
}

/// How a node is set up by settings: with its default model, and the files beside its folder.
pub(crate) fn config(settings: &Settings, default: model::DefaultModel) -> Result<NodeConfig> {
    let mut config = NodeConfig::new(settings.models_folder(), own_executable()?);
    config.default_models.insert(Modality::Text, default.id);
    if let Some(id) = &settings.embedding_model {
        config.default_models.insert(Modality::Embedding, id.clone());
    }
    config.embedded_model = Some(model::TINY_ID.to_owned());
    config.extra_models = default.extra;
    config.backends.cache = settings.data.join("backends.json");
    config.storage = settings.storage.policy();
    config.context_length = settings.node.context_length;
    config.parse_special_in_user_text = settings.node.parse_special_in_user_text;
    config.gpu_layers = settings.node.gpu_layers;
    config.threads = settings.node.threads.unwrap_or(config.threads);
    config.saved_prefix_bytes =
        settings.node.prefix_cache.map_or(config.saved_prefix_bytes, |size| size.as_u64());
    config.prefixes_on_disk = settings.node.prefix_cache_on_disk;
    config.worker_environment = Settings::worker_environment();
    config.worker_memory = settings.node.worker_memory.map(|size| size.as_u64());
    config.worker_sandbox = settings.node.worker_sandbox;
    config.limits = Limits {
        loaded_models: settings.node.max_loaded_models,
        slots: settings.node.slots,
        queue_depth: settings.node.queue_depth,
        queue_total: settings.node.queue_total,
        memory_bytes: settings.node.memory,
        idle_timeout: settings.node.idle_seconds.map(Duration::from_secs),
        ..config.limits
    };
    config.load_timeout = Duration::from_secs(settings.node.load_seconds);
    config.stall_timeout = Duration::from_secs(settings.node.stall_seconds);
    config.queue_timeout = Duration::from_secs(settings.node.queue_seconds);
    Ok(config)
}

/// This program, as a child can be started from it. Linux has a name for it that stays good when the
/// file is replaced by a newer one.
pub(crate) fn own_executable() -> Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Ok(running);
    }
    if let Ok(path) = std::env::current_exe() {
        return Ok(path);
    }
    // Without /proc: as it was called, by a path or by a name that the shell looked up.
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let path = if called.components().count() > 1 { Some(called) } else { Settings::program(&called) };
    path.and_then(|path| path.canonicalize().ok())
        .context("this program's own file can't be found: /proc isn't mounted; call it by its whole path")
}

/// Runs a node until it is interrupted.
pub(crate) async fn run(command: NodeCommand) -> Result<()> {
    let settings = Settings::read(&command.source)?;
    hearth_telemetry::logs::to_stderr(&settings.log_level)?;
    serve::raise_descriptor_limit();
    let verifier = LinkVerifier::new(&command.id.to_string(), &command.gateway_key)?;
    let default = model::prepare(&settings)?;
    temporary::fall_back_to(&settings.data);
    let listener = bind(settings.host, settings.port).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (node, ended) = Node::start(config(&settings, default)?);
    let router = hearth_node::server::router(node.clone(), verifier);
    let server = serve::start(listener, router, &settings.server)?;
    model::wait_until_loaded(&node, |_| ()).await;
    if command.json {
        println!("{}", serde_json::json!({"url": url, "node": command.id}));
    } else {
        println!("The node {} listens on {url}. Ctrl-C stops it.", command.id);
    }
    shutdown::requested().await;
    node.shut_down();
    let _threads = server.stop().await;
    let _ = ended.await;
    Ok(())
}

/// Takes the port.
pub(crate) async fn bind(host: IpAddr, port: u16) -> Result<TcpListener> {
    match TcpListener::bind((host, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => anyhow::bail!(
            "port {port} on {host} is in use by another program; choose another with --port, or any free one with --port 0"
        ),
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => anyhow::bail!(
            "{host} is no address of this machine; choose one of its own with --host, such as ::1 where there is IPv6 \
             alone"
        ),
        Err(error) => Err(error).with_context(|| format!("{host}:{port} can't be listened on")),
    }
}
