//! Commands for signing keys on the store itself: in a data folder while the gateway is stopped, or in a cloud's table.

use std::path::Path;

use anyhow::Result;
use hearth_domain::Action;
use hearth_gateway::Gateway;
use hearth_store::Names;
use hearth_wire::native::logins::SigningKeyList;

use super::SigningKeyCommand;
use crate::commands::offline;

/// Runs a command on the folder `data`.
pub(super) async fn in_folder(command: &SigningKeyCommand, data: &Path) -> Result<SigningKeyList> {
    offline::in_folder(data, async |gateway: &Gateway| run(command, gateway).await).await
}

/// Runs a command on the DynamoDB table `table`.
pub(super) async fn in_table(
    command: &SigningKeyCommand,
    table: String,
    kms_key: String,
) -> Result<SigningKeyList> {
    #[cfg(feature = "aws")]
    hearth_store::Clients::for_commands().await?.check_table(&table).await?;
    let names = Names { table, kms_key, ..Names::default() };
    offline::in_table(names, async |gateway: &Gateway| run(command, gateway).await).await
}

async fn run(command: &SigningKeyCommand, gateway: &Gateway) -> Result<SigningKeyList> {
    Ok(match command {
        SigningKeyCommand::List => gateway.signing_keys().list().await?,
        SigningKeyCommand::Rotate { revoke } => {
            let list = gateway.rotate_signing_key(*revoke).await?;
            let operator = gateway.operator().await?;
            let (command, action) = ("hearth signing-key rotate", Action::Administer);
            gateway.audit().record_command(command, action, operator, "signing-keys").await?;
            list
        }
    })
}
