//! `hearth signing-key`: the keys that sign access tokens, through a running gateway, or on the store itself ([`offline`]).

mod offline;

use std::path::PathBuf;

use anyhow::Result;
use hearth_wire::native::logins::{RotateSigningKey, SigningKeyList};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, table::Table, terminal},
    context::Context,
};

/// List and rotate the keys that sign access tokens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth signing-key list
  hearth signing-key rotate

A new key signs at once. The earlier one verifies until the last token that it signed has expired: nobody has to sign in again.")]
pub(crate) struct SigningKey {
    #[command(subcommand)]
    pub(crate) command: SigningKeyCommand,
    /// Work on the data folder itself, while the gateway is stopped
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Work on this DynamoDB table, with the AWS environment's credentials
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "data", requires = "kms_key")]
    pub(crate) table: Option<String>,
    /// The ARN of the stack's key of KMS: its resource KmsKey, or its parameter ExistingKmsKeyArn
    #[arg(long, global = true, value_name = "ARN", requires = "table")]
    pub(crate) kms_key: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for signing keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SigningKeyCommand {
    /// Show the keys
    List,
    /// Replace the key that signs
    Rotate {
        /// Also refuse the tokens of all earlier keys: for a key that may have been copied
        #[arg(long)]
        revoke: bool,
    },
}

impl SigningKey {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway or the store.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let list = match (self.data, self.table.zip(self.kms_key)) {
            (Some(data), _) => offline::in_folder(&self.command, &data).await?,
            (None, Some((table, kms_key))) => offline::in_table(&self.command, table, kms_key).await?,
            (None, None) => self.command.send(&GatewayClient::new(&context.connection)?).await?,
        };
        print(&list, context.connection.json)
    }
}

impl SigningKeyCommand {
    /// Sends the command to the gateway.
    async fn send(&self, gateway: &GatewayClient) -> Result<SigningKeyList> {
        let keys = ["v1", "admin", "signing-keys"];
        match self {
            Self::List => gateway.get(&keys, &[]).await,
            Self::Rotate { revoke } => {
                let request = RotateSigningKey { revoke: *revoke };
                gateway.post(&[&keys[..], &["rotate"]].concat(), &request).await
            }
        }
    }
}

fn print(list: &SigningKeyList, json: bool) -> Result<()> {
    if json {
        return terminal::print_json(list);
    }
    if list.keys.is_empty() {
        terminal::note("there is no key yet: the first sign-in makes one");
        return Ok(());
    }
    let mut table = Table::new(["KEY", "STATE", "CREATED", "VERIFIES UNTIL"]);
    for key in &list.keys {
        let until = key.verifies_until.clone().unwrap_or_default();
        table.push([key.kid.clone(), key.state.clone(), key.created_at.clone(), until]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}
