//! `hearth token`: API tokens, made and revoked through a running gateway.
//!
//! With `--data` or `--table` they are made in the store itself, which is how the first one comes
//! about; the caller does that, and prints with [`print_created`] and [`print_list`].

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hearth_domain::Scope;
use hearth_wire::native::tokens::{CreateToken, CreatedToken, TokenBody, TokenList};
use serde_json::json;

use super::{connection::Connection, http::Gateway, table::Table, terminal};

/// Make, list and revoke API tokens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth token create laptop
  export HEARTH_TOKEN=$(hearth token create ci --expires-in-days 30)
  hearth token create admin --scope generate,models:read,models:write,tokens
  hearth token list
  hearth token revoke ID

On the gateway's own machine no token is needed to make one. Where the gateway doesn't run, or runs elsewhere, --data \
and --table work on the store itself.")]
pub struct Token {
    #[command(subcommand)]
    pub command: TokenCommand,
    /// Work on the data folder itself, while the gateway is stopped
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Work on this DynamoDB table, with the AWS environment's credentials
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "data")]
    pub table: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token; its text is shown this once
    Create(Create),
    /// Show the tokens, without their texts
    List,
    /// End a token for good
    Revoke {
        /// The token's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// A token to make.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What the token is for
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it may do, several times or with commas; without it: generate and models:read, or every scope with --data and --table
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', value_parser = scopes())]
    pub scope: Vec<Scope>,
    /// When it ends, in days from now; without it: with the token that makes it, or never with --data and --table
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub expires_in_days: Option<u32>,
}

fn scopes() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|name| {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == name).ok_or("there is no such scope")
    })
}

impl Token {
    /// Asks the gateway.
    ///
    /// # Errors
    /// No gateway, or the gateway's own error.
    pub async fn run(self) -> anyhow::Result<()> {
        let gateway = Gateway::new(&self.connection)?;
        let json = self.connection.json;
        match self.command {
            TokenCommand::Create(create) => {
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
            TokenCommand::List => print_list(&gateway.get(&["v1", "users", "tokens"], &[]).await?, json),
            TokenCommand::Revoke { id } => {
                gateway.delete(&["v1", "users", "tokens", &id]).await?;
                print_revoked(&id, json)
            }
        }
    }
}

impl Create {
    /// The token as the API takes it.
    #[must_use]
    pub fn request(self) -> CreateToken {
        let scopes = (!self.scope.is_empty()).then_some(self.scope);
        CreateToken { name: self.name, scopes, expires_in_days: self.expires_in_days }
    }
}

/// Prints a token just made: at a terminal with a sentence, and the token on a line of its own.
///
/// # Errors
/// Nobody reads the output.
pub fn print_created(created: &CreatedToken, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(created);
    }
    let TokenBody { id, name, .. } = &created.record;
    // On standard error, so that `TOKEN=$(hearth token create ci)` gets the token alone.
    terminal::note(&format!("The token {name:?} ({id}) is shown this once; keep it where secrets are kept:"));
    Ok(terminal::print_line(&created.token)?)
}

/// Prints the tokens' records.
///
/// # Errors
/// Nobody reads the output.
pub fn print_list(list: &TokenList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    if list.tokens.is_empty() {
        terminal::note("there are no tokens; make one with `hearth token create NAME`");
        return Ok(());
    }
    Ok(terminal::print(&table(&list.tokens).fitted(terminal::columns()))?)
}

/// Prints that a token has ended.
///
/// # Errors
/// Nobody reads the output.
pub fn print_revoked(id: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&json!({"id": id, "revoked": true}));
    }
    Ok(terminal::print_line(&format!("{id} is revoked"))?)
}

fn table(tokens: &[TokenBody]) -> Table<6> {
    let mut table = Table::new(["ID", "NAME", "PREFIX", "SCOPES", "CREATED", "STATE"]);
    for token in tokens {
        let state = match (&token.revoked_at, &token.expires_at) {
            (Some(at), _) => format!("revoked {}", date(at)),
            (None, Some(at)) => format!("until {}", date(at)),
            (None, None) => "active".to_owned(),
        };
        let all = Scope::ALL.iter().all(|scope| token.scopes.contains(scope));
        let scopes = token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",");
        let scopes = if all { "all".to_owned() } else { scopes };
        let TokenBody { id, name, prefix, created_at, .. } = token.clone();
        table.push([id, name, prefix, scopes, date(&created_at), state]);
    }
    table
}

/// The date of an ISO 8601 time, in UTC as in the API.
fn date(time: &str) -> String {
    time.get(..10).unwrap_or(time).to_owned()
}

#[cfg(test)]
mod tests;
