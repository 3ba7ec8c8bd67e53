//! `hearth webhook`: subscriptions to events, and the log of their deliveries.

mod create;
mod output;

use std::time::Duration;

use hearth_domain::{DeliveryState, EventId, WebhookId, WebhookState};
use hearth_wire::native::webhooks::{
    DeliveryBody, DeliveryList, ReplayResult, WebhookBody, WebhookList, WebhookWithSecret,
};
use serde_json::{Map, Value, json};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// Deliveries of one page, the maximum of the API.
const PAGE_SIZE: &str = "200";
/// Interval at which the result of a test is looked up.
const TEST_POLL_INTERVAL: Duration = Duration::from_millis(300);
/// Time after which a test is left alone: the log has its result later.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Create, list, show, update, test, pause and delete webhooks, and read and replay their deliveries
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth webhook create https://example.org/hooks/hearth --event 'run.failed' --event 'job.*'
  hearth webhook create ops@example.org --target email --event node.offline
  hearth webhook test wh_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth webhook deliveries wh_01J9ZX5V2QH8N4T6W0C3M7K1RB --state failed
  hearth webhook replay wh_01J9ZX5V2QH8N4T6W0C3M7K1RB --since 2026-11-29T00:00:00Z")]
pub(crate) struct Webhook {
    #[command(subcommand)]
    command: WebhookCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for webhooks.
#[derive(Debug, clap::Subcommand)]
enum WebhookCommand {
    /// Subscribe to events; the secret that verifies them is shown only this once
    Create(create::Create),
    /// Show the webhooks
    List,
    /// Show a webhook
    Show {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
    },
    /// Change a webhook
    Update(create::Update),
    /// Send a test event, and wait for its result
    Test {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
    },
    /// Replace the secret; the earlier one signs too for a time
    Rotate {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
        /// Seconds for which the earlier secret signs too; without it: a day
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=604_800))]
        overlap: Option<u32>,
        /// Read the new secret from standard input; without it: it is generated
        #[arg(long)]
        secret_stdin: bool,
    },
    /// Store events, and deliver them later
    Pause {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
    },
    /// Deliver again, first the events that wait
    Resume {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
    },
    /// Show the latest deliveries
    Deliveries {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
        /// Only deliveries in this state
        #[arg(long, value_parser = ["pending", "delivered", "failed", "suppressed"])]
        state: Option<String>,
        /// The number of deliveries
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Send one event again, or those of a time
    Replay {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
        /// The event's id; without it: the failed deliveries of the last day, or of the time that is named
        #[arg(value_name = "EVENT")]
        event: Option<EventId>,
        /// Time of the first event, such as 2026-11-29T00:00:00Z
        #[arg(long, value_name = "TIME", conflicts_with = "event")]
        since: Option<String>,
        /// Time of the last event
        #[arg(long, value_name = "TIME", conflicts_with = "event")]
        until: Option<String>,
        /// Deliveries in this state; without it: failed
        #[arg(long, value_parser = ["delivered", "failed", "suppressed"], conflicts_with = "event")]
        state: Option<String>,
    },
    /// Delete a webhook
    Delete {
        /// The webhook's id
        #[arg(value_name = "ID")]
        id: WebhookId,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Webhook {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (gateway, json) = (GatewayClient::new(&context.connection)?, context.connection.json);
        match self.command {
            WebhookCommand::Create(create) => {
                let created = gateway.post(&["v1", "webhooks"], &create.body()?).await?;
                show_secret(&created, json)?;
                terminal::next_steps(json, &[&format!("hearth webhook test {}", created.webhook.id)]);
                Ok(())
            }
            WebhookCommand::List => list(&gateway, json).await,
            WebhookCommand::Show { id } => {
                show(&gateway.get(&["v1", "webhooks", &id.to_string()], &[]).await?, json)
            }
            WebhookCommand::Update(update) => {
                let (id, body) = update.body()?;
                show(&gateway.patch(&["v1", "webhooks", &id.to_string()], &body).await?, json)
            }
            WebhookCommand::Test { id } => test(&gateway, id, json).await,
            WebhookCommand::Rotate { id, overlap, secret_stdin } => {
                let mut body = Map::new();
                body.extend(overlap.map(|seconds| ("overlap_seconds".to_owned(), seconds.into())));
                if secret_stdin {
                    body.insert("secret".to_owned(), create::read_line()?.into());
                }
                let rotated = gateway.post(&["v1", "webhooks", &id.to_string(), "rotate"], &body).await?;
                show_secret(&rotated, json)
            }
            WebhookCommand::Pause { id } => change(&gateway, id, "pause", json).await,
            WebhookCommand::Resume { id } => change(&gateway, id, "resume", json).await,
            WebhookCommand::Deliveries { id, state, limit } => {
                deliveries(&gateway, id, state.as_deref(), limit, json).await
            }
            WebhookCommand::Replay { id, event: Some(event), .. } => {
                let path = ["v1", "webhooks", &id.to_string(), "deliveries", &event.to_string(), "replay"];
                let delivery: DeliveryBody = gateway.post(&path, &json!({})).await?;
                if json {
                    return terminal::print_json(&delivery);
                }
                let webhook: WebhookBody = gateway.get(&["v1", "webhooks", &id.to_string()], &[]).await?;
                let when =
                    if webhook.state == WebhookState::Paused { " when the webhook is resumed" } else { "" };
                Ok(terminal::print_line(&format!("{event} is sent again{when}"))?)
            }
            WebhookCommand::Replay { id, event: None, since, until, state } => {
                let mut body = Map::new();
                for (name, value) in [("since", since), ("until", until), ("state", state)] {
                    body.extend(value.map(|value| (name.to_owned(), Value::from(value))));
                }
                let path = ["v1", "webhooks", &id.to_string(), "replay"];
                let result: ReplayResult = gateway.post(&path, &body).await?;
                if json {
                    return terminal::print_json(&result);
                }
                let more = if result.has_more { "; there are more, replay again for them" } else { "" };
                Ok(terminal::print_line(&format!("{} events are sent again{more}", result.replayed))?)
            }
            WebhookCommand::Delete { id, yes } => {
                let question = format!("Delete {id}? Its waiting events are not delivered.");
                terminal::ensure_confirmed(&question, yes, "nothing was deleted")?;
                gateway.delete(&["v1", "webhooks", &id.to_string()]).await?;
                if json {
                    return terminal::print_json(&json!({ "id": id, "deleted": true }));
                }
                Ok(terminal::print_line(&format!("{id} is deleted"))?)
            }
        }
    }
}

fn show_secret(created: &WebhookWithSecret, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(created);
    }
    let id = created.webhook.id;
    let Some(secret) = &created.secret else { return show(&created.webhook, false) };
    // On standard error, so that `SECRET=$(hearth webhook create ...)` gets the secret alone.
    terminal::note(&format!(
        "The secret of {id} is shown only this once; its receiver verifies the events by it:"
    ));
    Ok(terminal::print_line(secret)?)
}

fn show(webhook: &WebhookBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(webhook);
    }
    Ok(terminal::print(&output::lines(webhook))?)
}

async fn list(gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
    let list: WebhookList = gateway.get(&["v1", "webhooks"], &[]).await?;
    if json {
        return terminal::print_json(&list);
    }
    if list.webhooks.is_empty() {
        terminal::note("there are no webhooks; `hearth webhook create URL --event 'run.*'` creates one");
        return Ok(());
    }
    Ok(terminal::print(&output::table(&list.webhooks).fitted(terminal::columns()))?)
}

async fn change(gateway: &GatewayClient, id: WebhookId, change: &str, json: bool) -> anyhow::Result<()> {
    let webhook: WebhookBody = gateway.post(&["v1", "webhooks", &id.to_string(), change], &json!({})).await?;
    if json {
        return terminal::print_json(&webhook);
    }
    Ok(terminal::print_line(&format!("{id} is {}", webhook.state.as_str()))?)
}

/// Sends a test event, and waits for the end of its first try.
async fn test(gateway: &GatewayClient, id: WebhookId, json: bool) -> anyhow::Result<()> {
    let id = id.to_string();
    let mut delivery: DeliveryBody = gateway.post(&["v1", "webhooks", &id, "test"], &json!({})).await?;
    let event = delivery.event;
    let tried = async {
        while delivery.state == DeliveryState::Pending && delivery.tries.is_empty() {
            tokio::time::sleep(TEST_POLL_INTERVAL).await;
            let list: DeliveryList = gateway.get(&["v1", "webhooks", &id, "deliveries"], &[]).await?;
            let latest = list.deliveries.into_iter().find(|one| one.event == event);
            delivery = latest.ok_or_else(|| anyhow::anyhow!("the delivery of the test is gone"))?;
        }
        anyhow::Ok(())
    };
    if let Ok(result) = tokio::time::timeout(TEST_TIMEOUT, tried).await {
        result?;
    }
    if json {
        return terminal::print_json(&delivery);
    }
    let result = delivery.tries.last().map(|one| one.result.clone()).unwrap_or_default();
    match delivery.state {
        DeliveryState::Delivered => Ok(terminal::print_line("the test was delivered")?),
        DeliveryState::Pending if delivery.tries.is_empty() => Ok(terminal::print_line(&format!(
            "{event} isn't delivered yet; `hearth webhook deliveries {id}` shows it"
        ))?),
        state => {
            let reason = delivery.reason.unwrap_or(result);
            anyhow::bail!("the test is {}: {reason}", state.as_str())
        }
    }
}

async fn deliveries(
    gateway: &GatewayClient,
    id: WebhookId,
    state: Option<&str>,
    limit: usize,
    json: bool,
) -> anyhow::Result<()> {
    let (mut deliveries, mut cursor) = (Vec::new(), None);
    while deliveries.len() < limit {
        let mut query = vec![("limit", PAGE_SIZE)];
        query.extend(state.map(|state| ("state", state)));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: DeliveryList =
            gateway.get(&["v1", "webhooks", &id.to_string(), "deliveries"], &query).await?;
        deliveries.extend(page.deliveries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    deliveries.truncate(limit);
    if json {
        return terminal::print_json(&json!({ "deliveries": deliveries }));
    }
    if deliveries.is_empty() {
        terminal::note(&match state {
            Some(state) => {
                format!("no delivery is {state}; `hearth webhook deliveries {id}` shows all of them")
            }
            None => format!("there are no deliveries; `hearth webhook test {id}` sends one"),
        });
        return Ok(());
    }
    Ok(terminal::print(&output::deliveries(&deliveries).fitted(terminal::columns()))?)
}
