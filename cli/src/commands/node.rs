//! `hearth node`: the node alone, for a gateway that reaches it directly.

use anyhow::Result;
use clap::Args;
use hearth_auth::LinkVerifier;
use hearth_domain::NodeId;
use hearth_node::Node;

use crate::{
    context::{Context, ContextFlags},
    home::{model, node_config::node_config, serve, shutdown, temporary},
    settings::SettingsFlags,
};

/// Start a node alone, for a gateway that reaches it directly
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hearth node --id node_01JDB4T6ZW3Q8N5XKM2C7V9RHF --gateway-key BASE64 --host 0.0.0.0 --port 9090

Usually `hearth up` is enough, which contains a node. The id and the key come from the gateway: see \
docs/bring-your-own-box.md.")]
pub(crate) struct NodeCommand {
    #[command(flatten)]
    settings: SettingsFlags,
    /// The node's id, as the gateway knows it
    #[arg(long)]
    id: NodeId,
    /// The gateway's public key, in base64: the node accepts calls signed with it
    #[arg(long)]
    gateway_key: String,
    /// Print one line of JSON when ready
    #[arg(long)]
    json: bool,
}

impl NodeCommand {
    pub(crate) fn flags(&self) -> ContextFlags {
        self.settings.clone().into()
    }

    /// Runs a node until it is interrupted.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let settings = &context.settings;
        hearth_telemetry::logs::to_stderr(&settings.log_level)?;
        hearth_telemetry::traces::install(&settings.traces)?;
        serve::raise_descriptor_limit();
        let verifier = LinkVerifier::new(&self.id.to_string(), &self.gateway_key)?;
        let default = model::prepare(settings)?;
        temporary::fall_back_to(&settings.data);
        let listener = serve::bind(settings.host, settings.port).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (node, ended) = Node::start(node_config(settings, default)?);
        let router = hearth_node::server::router(node.clone(), verifier);
        let server = serve::start(listener, router, &settings.server)?;
        model::wait_until_loaded(&node, |_| ()).await;
        if self.json {
            println!("{}", serde_json::json!({"url": url, "node": self.id}));
        } else {
            println!("The node {} listens on {url}. Ctrl-C stops it.", self.id);
        }
        shutdown::requested().await;
        node.shut_down();
        let _threads = server.stop().await;
        let _ = ended.await;
        hearth_telemetry::traces::flush().await;
        Ok(())
    }
}
