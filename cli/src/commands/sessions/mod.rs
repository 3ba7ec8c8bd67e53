//! `hearth sessions`: conversations that the gateway stores.

mod files;
mod list;
mod show;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hearth_wire::native::sessions::{ChangeSession, CreateSession, SessionBody, SessionClosed};
use serde_json::json;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// List, create, show, rename, search, export and import sessions
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth sessions list
  hearth chat --session $(hearth sessions new --title 'A poem about rain')
  hearth sessions show sess_01JZ0000000000000000000000
  hearth sessions search rain poem
  hearth sessions export --format markdown --out poem.md sess_01JZ0000000000000000000000
  hearth sessions import conversations.json      # of ChatGPT, of Open WebUI, or of `hearth sessions export`
  hearth sessions close sess_01JZ0000000000000000000000

A session has the messages of a conversation, which `hearth chat --session` continues. A closed one can be read for a while, and \
is deleted then.")]
pub(crate) struct Sessions {
    #[command(subcommand)]
    command: SessionsCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for sessions.
#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// Show one's sessions, the last used one first
    List(list::List),
    /// Create a session, and print its id
    New(New),
    /// Show a session with its latest messages
    Show(show::Show),
    /// Change the title of a session
    Rename {
        /// The session's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// Its new title
        #[arg(value_name = "TITLE")]
        title: String,
    },
    /// Move sessions out of the list of open ones
    Archive {
        /// The sessions' ids, as `list` shows them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Close sessions: they can be read for a while, and not be continued
    Close {
        /// The sessions' ids, as `list` shows them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Delete sessions with their messages, at once
    Delete {
        /// The sessions' ids, as `list` shows them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Write a session as JSON or Markdown
    Export(files::Export),
    /// Create sessions from a file of ChatGPT, of Open WebUI, or of `hearth sessions export`
    Import {
        /// The file; `-` for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Find words in the titles and messages of one's sessions
    Search(list::Search),
}

/// A session to create.
#[derive(Debug, Args)]
struct New {
    /// Its title; without it one is generated after the first turn
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
    /// Instructions before the messages
    #[arg(long, short, value_name = "TEXT")]
    system: Option<String>,
    /// Model of the turns that name none
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
}

impl Sessions {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, an error of the gateway, or a file that can't be read or written.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let json = context.connection.json;
        match self.command {
            SessionsCommand::List(list) => list.run(&gateway, json).await,
            SessionsCommand::New(new) => new.run(&gateway, json).await,
            SessionsCommand::Show(show) => show.run(&gateway, json).await,
            SessionsCommand::Rename { id, title } => rename(&gateway, &id, title, json).await,
            SessionsCommand::Archive { ids } => archive(&gateway, &ids, json).await,
            SessionsCommand::Close { ids } => end(&gateway, &ids, false, json).await,
            SessionsCommand::Delete { ids, yes } => {
                let question = match ids.as_slice() {
                    [id] => format!("Delete {id} with all of its messages?"),
                    ids => format!("Delete {} sessions with all of their messages?", ids.len()),
                };
                terminal::ensure_confirmed(&question, yes, "nothing was deleted")?;
                end(&gateway, &ids, true, json).await
            }
            SessionsCommand::Export(export) => export.run(&gateway).await,
            SessionsCommand::Import { file } => files::import(&gateway, &file, json).await,
            SessionsCommand::Search(search) => search.run(&gateway, json).await,
        }
    }
}

impl New {
    /// Creates the session, and prints its id alone, so that a script can use it.
    async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let Self { title, system, model } = self;
        let body = CreateSession { title, system_prompt: system, model, ..CreateSession::default() };
        let session = create(gateway, &body).await?;
        if json {
            return terminal::print_json(&session);
        }
        Ok(terminal::print_line(&session.id)?)
    }
}

/// Creates a session.
pub(super) async fn create(gateway: &GatewayClient, body: &CreateSession) -> anyhow::Result<SessionBody> {
    gateway.post(&["v1", "sessions"], body).await
}

async fn rename(gateway: &GatewayClient, id: &str, title: String, json: bool) -> anyhow::Result<()> {
    let change = ChangeSession { title: Some(Some(title)), ..ChangeSession::default() };
    let session: SessionBody = gateway.put_json(&["v1", "sessions", id], &change).await?;
    if json {
        return terminal::print_json(&session);
    }
    Ok(terminal::print_line(&format!("{id} is now {:?}", session.title.unwrap_or_default()))?)
}

async fn archive(gateway: &GatewayClient, ids: &[String], json: bool) -> anyhow::Result<()> {
    for id in ids {
        let session: SessionBody = gateway.post(&["v1", "sessions", id, "archive"], &json!({})).await?;
        if json {
            terminal::print_json(&session)?;
        } else {
            terminal::print_line(&format!(
                "{id} is archived; `hearth sessions list --status archived` shows it"
            ))?;
        }
    }
    Ok(())
}

/// Closes or deletes sessions.
async fn end(gateway: &GatewayClient, ids: &[String], permanent: bool, json: bool) -> anyhow::Result<()> {
    for id in ids {
        let permanent = if permanent { "true" } else { "false" };
        let query = [("permanent", permanent)];
        let closed: SessionClosed = gateway.delete_query(&["v1", "sessions", id], &query).await?;
        if json {
            terminal::print_json(&closed)?;
            continue;
        }
        terminal::print_line(&match (closed.deleted, closed.expires_at) {
            (true, _) => format!("{id} is deleted"),
            (false, Some(at)) => format!("{id} is closed; it can be read until {at}"),
            (false, None) => format!("{id} is closed"),
        })?;
    }
    Ok(())
}
