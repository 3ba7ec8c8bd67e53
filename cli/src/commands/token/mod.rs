//! `hearth token`: creates, lists and revokes API tokens through a running gateway.
//!
//! With `--data` or `--table` the command works on the store itself ([`offline`]), which creates the first token of a
//! cloud stack.

mod offline;
mod output;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hearth_domain::Scope;
use hearth_wire::native::tokens::CreateToken;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};
use output::{print_created, print_list, print_revoked};

/// Create, list and revoke API tokens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth token create laptop
  export HEARTH_TOKEN=$(hearth token create ci --expires-in-days 30)
  hearth token create admin --scope generate,models:read,models:write,tokens
  hearth token list
  hearth token revoke ID

On the gateway's own machine no token is needed to create one. Where the gateway doesn't run, or runs elsewhere, --data \
and --table work on the store itself.")]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
    /// Work on the data folder itself, while the gateway is stopped
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Work on this DynamoDB table, with the AWS environment's credentials
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "data")]
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token; its text is shown only this once
    Create(Create),
    /// Show the tokens, without their texts
    List,
    /// Revoke a token for good
    Revoke {
        /// The token's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// A token to create.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// A name for the token, such as the program that uses it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A scope of the token, several times or with commas; without it: generate and models:read, or every scope with --data and --table
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', value_parser = scopes())]
    pub(crate) scope: Vec<Scope>,
    /// Days until it expires; without it: with the token that creates it, or never with --data and --table
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) expires_in_days: Option<u32>,
}

fn scopes() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|name| {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == name).ok_or("there is no such scope")
    })
}

impl Token {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway or the store.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let json = context.connection.json;
        match (self.data, self.table) {
            (Some(data), _) => offline::in_folder(self.command, &data, json).await,
            (None, Some(table)) => offline::in_table(self.command, &table, json).await,
            (None, None) => self.command.run(&GatewayClient::new(&context.connection)?, json).await,
        }
    }
}

impl TokenCommand {
    /// Sends the command to the gateway.
    async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => {
                let created = gateway.post(&["v1", "users", "tokens"], &create.request()).await?;
                print_created(&created, json)?;
                let url = gateway.address();
                terminal::next_steps(
                    json,
                    &[&format!(
                        "give it to a program as its API key, with the base URL {url}/v1 (OpenAI) or {url} (Anthropic)"
                    )],
                );
                Ok(())
            }
            Self::List => print_list(&gateway.get(&["v1", "users", "tokens"], &[]).await?, json),
            Self::Revoke { id } => {
                gateway.delete(&["v1", "users", "tokens", &id]).await?;
                print_revoked(&id, json)
            }
        }
    }
}

impl Create {
    /// The request of the API.
    #[must_use]
    pub(crate) fn request(self) -> CreateToken {
        let scopes = (!self.scope.is_empty()).then_some(self.scope);
        CreateToken { name: self.name, scopes, expires_in_days: self.expires_in_days }
    }
}

#[cfg(test)]
mod tests;
