//! `hearth requests`: the recorded runs of the caller.

mod list;
mod show;

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};
use hearth_wire::native::{request_list::RequestDeleted, requests::CancelResponse};
use serde_json::json;

use super::generate::print_answer;
use crate::{
    client::{
        connection::Connection,
        gateway_client::GatewayClient,
        terminal::{self, Printer, Screen},
    },
    context::Context,
};

/// List, show, cancel, repeat and delete requests
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth requests list
  hearth requests list --state failed --from 2026-01-31 --model tiny-chat
  hearth requests list --limit 20 --cursor CURSOR     # the page behind the one that has printed CURSOR
  hearth requests show req_01JZ0000000000000000000000
  hearth requests cancel req_01JZ0000000000000000000000
  hearth requests replay req_01JZ0000000000000000000000
  hearth requests delete req_01JZ0000000000000000000000

A request is listed for 30 days, unless the operator has set another time. Its prompt is stored only if it asks for that, as \
`hearth generate --store` does, or if the operator stores all prompts (requests.store): then it can be repeated.")]
pub(crate) struct Requests {
    #[command(subcommand)]
    command: RequestsCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for requests.
#[derive(Debug, Subcommand)]
enum RequestsCommand {
    /// Show one's requests, newest first
    List(list::List),
    /// Show a request with its output
    Show {
        /// The request's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Stop a request that waits or runs
    Cancel {
        /// The request's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Send a request again, as a new one, and print its answer
    Replay {
        /// The request's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// Another model than the request's
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
    },
    /// Delete a request that has ended, with its output, events, conversation and files
    Delete {
        /// The requests' ids, as `list` shows them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Requests {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let json = context.connection.json;
        match self.command {
            RequestsCommand::List(list) => list.run(&gateway, json).await,
            RequestsCommand::Show { id } => show::run(&gateway, &id, json).await,
            RequestsCommand::Cancel { id } => cancel(&gateway, &id, json).await,
            RequestsCommand::Replay { id, model } => {
                let mut query = vec![("stream", "true")];
                query.extend(model.as_deref().map(|model| ("model", model)));
                let segments = ["v1", "requests", &id, "replay"];
                let printer = Printer::new(Screen::Stdout, !json, false);
                print_answer(&gateway, gateway.stream_query(&segments, &query), printer, json).await.map(drop)
            }
            RequestsCommand::Delete { ids, yes } => delete(&gateway, &ids, yes, json).await,
        }
    }
}

async fn cancel(gateway: &GatewayClient, id: &str, json: bool) -> anyhow::Result<()> {
    let response: CancelResponse = gateway.post(&["v1", "requests", id, "cancel"], &json!({})).await?;
    if json {
        return terminal::print_json(&response);
    }
    let status = response.status.as_str();
    Ok(terminal::print_line(&match (response.cancelled, response.status.is_terminal()) {
        (true, true) => format!("{id} is cancelled"),
        (true, false) => format!("{id} is being stopped; it is {status} until then"),
        (false, _) => format!("{id} had ended before; it is {status}"),
    })?)
}

async fn delete(gateway: &GatewayClient, ids: &[String], yes: bool, json: bool) -> anyhow::Result<()> {
    let question = match ids {
        [id] => format!("Delete {id}, with its output, events, conversation and files?"),
        ids => format!("Delete {} requests, with their outputs, events, conversations and files?", ids.len()),
    };
    terminal::ensure_confirmed(&question, yes, "nothing was deleted")?;
    for id in ids {
        let deleted: RequestDeleted = gateway.delete_json(&["v1", "requests", id, "record"]).await?;
        if json {
            terminal::print_json(&deleted)?;
        } else {
            terminal::print_line(&format!("{id} is deleted"))?;
        }
    }
    Ok(())
}
