//! `hearth token`: creates, lists, renames, rotates and revokes API tokens through a running gateway.
//!
//! With `--data` or `--table` the command works on the store itself ([`offline`]), which creates the first token of a
//! cloud stack.

mod offline;
pub(crate) mod output;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hearth_domain::{Scope, UserId};
use hearth_gateway::Gateway;
use hearth_store::Names;
use hearth_wire::native::tokens::{ChangeToken, CreateToken, RotateToken, TokenBody};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    commands::{
        offline::{in_folder, in_table},
        org,
    },
    context::Context,
};
use output::{print_created, print_list, print_renamed, print_revoked};

/// Create, list, rename, rotate and revoke API tokens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth token create laptop
  export HEARTH_TOKEN=$(hearth token create ci --expires-in-days 30)
  hearth token create admin --scope generate,models:read,models:write,tokens
  hearth token create notebook --models local,openai:gpt-5*
  hearth token list
  hearth token rename ID \"old laptop\"
  hearth token rotate ID --grace-seconds 3600
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
    List {
        /// A member of the organisation whose tokens to show, as `hearth org members` shows them; without it: yours
        #[arg(long, value_name = "USER")]
        user: Option<UserId>,
    },
    /// Change the name of a token
    Rename {
        /// The token's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// Its new name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Replace the text of a token; the new one is shown only this once
    Rotate {
        /// The token's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// Seconds for which the old text stays valid, at most 604800 (7 days); without it the old text is refused at once
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        grace_seconds: u32,
    },
    /// Revoke a token for good
    Revoke {
        /// The token's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// The member of the organisation whose token it is; without it: you
        #[arg(long, value_name = "USER")]
        user: Option<UserId>,
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
    /// A pattern of the models that it may use, several times or with commas: `local` for every model of the nodes, `local:MODEL`,
    /// `PROVIDER:MODEL`, or `MODEL`; `*` stands for any text; without it: the models of the token that creates it, or all with --data and --table
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
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
            (Some(data), _) => {
                in_folder(&data, async |gateway: &Gateway| offline::run(self.command, gateway, json).await)
                    .await
            }
            (None, Some(table)) => {
                let names = Names { table, ..Names::default() };
                in_table(names, async |gateway: &Gateway| offline::run(self.command, gateway, json).await)
                    .await
            }
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
                terminal::next_steps(json, &[&give_to_program(gateway.address())]);
                Ok(())
            }
            Self::List { user } => {
                let path = path_of(gateway, "tokens", user).await?;
                print_list(&gateway.get(&segments(&path), &[]).await?, json)
            }
            Self::Rename { id, name } => {
                let request = ChangeToken { name };
                let token: TokenBody = gateway.patch(&["v1", "users", "tokens", &id], &request).await?;
                print_renamed(&token, json)
            }
            Self::Rotate { id, grace_seconds } => {
                let request = RotateToken { grace_seconds };
                print_created(&gateway.post(&["v1", "users", "tokens", &id, "rotate"], &request).await?, json)
            }
            Self::Revoke { id, user } => {
                let path = path_of(gateway, "tokens", user).await?;
                gateway.delete(&[&segments(&path)[..], &[&id]].concat()).await?;
                print_revoked(&id, json)
            }
        }
    }
}

/// The step after the creation of a token or an access key. `url`: the gateway's address.
pub(crate) fn give_to_program(url: &str) -> String {
    format!("give it to a program as its API key, with the base URL {url}/v1 (OpenAI) or {url} (Anthropic)")
}

/// The path of the tokens or access keys of the caller, or of a member of the organisation in which the caller acts.
pub(crate) async fn path_of(
    gateway: &GatewayClient,
    kind: &str,
    user: Option<UserId>,
) -> anyhow::Result<Vec<String>> {
    let path = match user {
        None => vec!["v1", "users", kind].into_iter().map(str::to_owned).collect(),
        Some(user) => {
            let (organisation, user) = (org::current(gateway).await?, user.to_string());
            let path = ["v1", "organisations", &organisation, "members", &user, kind];
            path.map(str::to_owned).to_vec()
        }
    };
    Ok(path)
}

/// The segments of a path.
pub(crate) fn segments(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

impl Create {
    /// The request of the API.
    #[must_use]
    pub(crate) fn request(self) -> CreateToken {
        let scopes = (!self.scope.is_empty()).then_some(self.scope);
        let models = (!self.models.is_empty()).then_some(self.models);
        CreateToken { name: self.name, scopes, models, expires_in_days: self.expires_in_days, limits: None }
    }
}

#[cfg(test)]
mod tests;
