//! `hearth access-key`: creates, lists and revokes access keys through a running gateway.

use hearth_domain::UserId;
use hearth_wire::native::tokens::{AccessKeyBody, AccessKeyList, CreateAccessKey, CreatedAccessKey};

use super::token::{
    give_to_program,
    output::{date, last_use, print_revoked, state},
    path_of, segments,
};
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, table::Table, terminal},
    context::Context,
};

/// Segment of the paths of access keys.
const KIND: &str = "access-keys";

/// Create, list and revoke access keys, which run named local models and do nothing else
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth access-key create kiosk --model tiny-chat
  hearth access-key list
  hearth access-key revoke ID")]
pub(crate) struct AccessKey {
    #[command(subcommand)]
    command: AccessKeyCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for access keys.
#[derive(Debug, clap::Subcommand)]
enum AccessKeyCommand {
    /// Create a key; its text is shown only this once
    Create {
        /// A name for the key, such as the device that uses it
        #[arg(value_name = "NAME")]
        name: String,
        /// The id of a local model that it runs, several times or with commas
        #[arg(long = "model", value_name = "ID", value_delimiter = ',', required = true)]
        models: Vec<String>,
        /// Days until it expires; without it: with the token that creates it
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
        expires_in_days: Option<u32>,
    },
    /// Show the keys, without their texts
    List {
        /// A member of the organisation whose keys to show, as `hearth org members` shows them; without it: yours
        #[arg(long, value_name = "USER")]
        user: Option<UserId>,
    },
    /// Revoke a key for good
    Revoke {
        /// The key's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// The member of the organisation whose key it is; without it: you
        #[arg(long, value_name = "USER")]
        user: Option<UserId>,
    },
}

impl AccessKey {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (gateway, json) = (GatewayClient::new(&context.connection)?, context.connection.json);
        match self.command {
            AccessKeyCommand::Create { name, models, expires_in_days } => {
                let request = CreateAccessKey { name, models, expires_in_days };
                let created: CreatedAccessKey = gateway.post(&["v1", "users", KIND], &request).await?;
                if json {
                    return terminal::print_json(&created);
                }
                let AccessKeyBody { id, name, .. } = &created.record;
                // On standard error, so that `KEY=$(hearth access-key create kiosk)` gets the key alone.
                terminal::note(&format!(
                    "The access key {name:?} ({id}) is shown only this once; store it where secrets belong:"
                ));
                terminal::print_line(&created.key)?;
                terminal::next_steps(json, &[&give_to_program(gateway.address())]);
                Ok(())
            }
            AccessKeyCommand::List { user } => {
                let path = path_of(&gateway, KIND, user).await?;
                let list: AccessKeyList = gateway.get(&segments(&path), &[]).await?;
                if json {
                    return terminal::print_json(&list);
                }
                if list.access_keys.is_empty() {
                    terminal::note(
                        "there are no access keys; create one with `hearth access-key create NAME`",
                    );
                    return Ok(());
                }
                Ok(terminal::print(&table(list.access_keys).fitted(terminal::columns()))?)
            }
            AccessKeyCommand::Revoke { id, user } => {
                let path = path_of(&gateway, KIND, user).await?;
                gateway.delete(&[&segments(&path)[..], &[&id]].concat()).await?;
                print_revoked(&id, json)
            }
        }
    }
}

fn table(keys: Vec<AccessKeyBody>) -> Table<7> {
    let mut table = Table::new(["ID", "NAME", "PREFIX", "MODELS", "CREATED", "LAST USED", "STATE"]);
    for key in keys {
        let state = state(key.revoked_at.as_deref(), key.expires_at.as_deref());
        let last_used = last_use(key.last_used_at.as_deref());
        table.push([
            key.id,
            key.name,
            key.prefix,
            key.models.join(","),
            date(&key.created_at),
            last_used,
            state,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use axum::{
        Json, Router,
        http::StatusCode,
        routing::{delete, post},
    };
    use clap::Parser;
    use serde_json::Value;

    use super::*;
    use crate::client::testing::{context, serve};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        key: AccessKey,
    }

    fn parse(line: &str) -> Result<AccessKey, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.key)
    }

    fn record() -> AccessKeyBody {
        AccessKeyBody {
            id: "ak_1".to_owned(),
            name: "kiosk".to_owned(),
            prefix: "hak_ab".to_owned(),
            models: vec!["tiny".to_owned()],
            created_at: "2026-01-01T00:00:00Z".to_owned(),
            expires_at: Some("2027-01-01T00:00:00Z".to_owned()),
            revoked_at: None,
            last_used_at: Some("2026-02-01T00:00:00Z".to_owned()),
        }
    }

    #[tokio::test]
    async fn keys_are_created_listed_and_revoked() {
        let create = async |Json(body): Json<Value>| {
            assert_eq!(body["models"], serde_json::json!(["tiny", "other"]));
            Json(CreatedAccessKey { key: "hak_abc".to_owned(), record: record() })
        };
        let list = async || Json(AccessKeyList { access_keys: vec![record()] });
        let router = Router::new()
            .route("/v1/users/access-keys", post(create).get(list))
            .route("/v1/users/access-keys/ak_1", delete(async || StatusCode::NO_CONTENT));
        let url = serve(router).await;
        for line in ["create kiosk --model tiny,other", "list", "revoke ak_1"] {
            parse(&format!("hearth {line} --url {url}")).unwrap().run(&context(&url)).await.unwrap();
        }
        parse("hearth create kiosk").unwrap_err();
    }

    #[test]
    fn table_shows_no_key() {
        assert_eq!(
            table(vec![record()]).to_string(),
            "ID    NAME   PREFIX  MODELS  CREATED     LAST USED   STATE\n\
             ak_1  kiosk  hak_ab  tiny    2026-01-01  2026-02-01  until 2027-01-01\n"
        );
    }
}
