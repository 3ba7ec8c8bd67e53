//! `hearth key`: the keys of providers.

use std::io::{IsTerminal as _, Read as _};

use anyhow::Context as _;
use hearth_wire::native::providers::{ProviderBody, ProviderList};
use serde_json::json;

use crate::{
    client::{
        connection::Connection, error::GatewayError, gateway_client::GatewayClient, table::Table, terminal,
    },
    context::Context,
};

/// Set, list and remove the keys of providers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth key set openai                  # asks for the key, which is not shown
  hearth key set anthropic < key.txt
  hearth key list
  hearth key remove openai

A key is stored as a secret of the gateway, in place of one in the settings. It is never shown again.")]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Store a provider's key, read from standard input
    Set {
        /// The provider: a vendor such as openai, or one of hearth.toml
        #[arg(value_name = "PROVIDER")]
        provider: String,
    },
    /// Show the providers, and whether each has a key
    List,
    /// Remove a provider's key
    Remove {
        /// The provider
        #[arg(value_name = "PROVIDER")]
        provider: String,
    },
}

impl Key {
    /// Sends the command to the gateway.
    ///
    /// # Errors
    /// No key, no gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let json = context.connection.json;
        match self.command {
            KeyCommand::Set { provider } => {
                if std::io::stdin().is_terminal() {
                    // Before the user types a key that can't be stored.
                    check_gateway(&gateway).await?;
                }
                let key = read_key(&provider)?;
                gateway.put(&["v1", "providers", &provider, "key"], &json!({"key": key})).await?;
                print_done(json, &provider, "set")?;
                let list = format!("hearth models list --provider {provider}");
                let chat = format!("hearth chat --model {provider}:MODEL");
                terminal::next_steps(json, &[&list, &chat]);
                Ok(())
            }
            KeyCommand::List => list(&gateway.get(&["v1", "providers"], &[]).await?, json),
            KeyCommand::Remove { provider } => {
                gateway.delete(&["v1", "providers", &provider, "key"]).await?;
                print_done(json, &provider, "removed")
            }
        }
    }
}

/// Checks that a gateway answers and accepts the token. Whether the token permits the command shows later.
async fn check_gateway(gateway: &GatewayClient) -> anyhow::Result<()> {
    match gateway.get::<serde_json::Value>(&["v1", "providers"], &[]).await {
        Err(error) if !is_forbidden(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    error.downcast_ref::<GatewayError>().is_some_and(|GatewayError(body)| body.code == "forbidden")
}

/// Reads the key from standard input: an argument would be visible in the list of processes and in the shell's history.
fn read_key(provider: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    if std::io::stdin().is_terminal() {
        let prompt = format!("The key of {provider}, then Enter (it is not shown): ");
        text = rpassword::prompt_password(prompt).context("the key can't be read")?;
    } else {
        std::io::stdin().take(64 << 10).read_to_string(&mut text).context("the key can't be read")?;
    }
    let key = text.trim();
    anyhow::ensure!(
        !key.is_empty(),
        "the key is empty; send it to standard input: echo $KEY | hearth key set {provider}"
    );
    Ok(key.to_owned())
}

fn print_done(json: bool, provider: &str, what: &str) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&json!({"provider": provider, what: true}));
    }
    Ok(terminal::print_line(&format!("the key of {provider} is {what}"))?)
}

fn list(list: &ProviderList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    if list.providers.is_empty() {
        terminal::note("no provider is set up; set one up with `hearth key set openai`");
        return Ok(());
    }
    let mut table = Table::new(["PROVIDER", "KIND", "KEY", "MODELS"]);
    for ProviderBody { name, kind, configured, models, .. } in list.providers.clone() {
        let key = if configured { "set" } else { "missing" };
        table.push([name, kind, key.to_owned(), models.join(",")]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}
