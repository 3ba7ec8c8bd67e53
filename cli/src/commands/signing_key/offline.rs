//! Commands for signing keys on the store itself: in a data folder while the gateway is stopped, or in a cloud's table.

use std::path::Path;

use anyhow::Result;
use hearth_wire::native::logins::SigningKeyList;

use super::SigningKeyCommand;

/// Runs a command on the folder `data`.
#[cfg(not(feature = "engine"))]
pub(super) async fn in_folder(_: &SigningKeyCommand, _: &Path) -> Result<SigningKeyList> {
    Err(crate::commands::without_engine::unavailable("a data folder"))
}

/// Runs a command on the folder `data`.
#[cfg(feature = "engine")]
pub(super) async fn in_folder(command: &SigningKeyCommand, data: &Path) -> Result<SigningKeyList> {
    use hearth_gateway::Routing;
    use hearth_settings::{Durability, GatewaySettings};

    use crate::home::stores::Stores;

    let stores = Stores::open(data, Durability::Fsync)?;
    let gateway = stores.gateway(Routing::default(), GatewaySettings::default()).await?;
    let outcome = run(command, &gateway).await;
    gateway.audit().finish().await;
    stores.close().await;
    outcome
}

/// Runs a command on the DynamoDB table `table`, with the credentials of the AWS environment.
#[cfg(not(feature = "aws"))]
pub(super) async fn in_table(_: &SigningKeyCommand, _: String, _: String) -> Result<SigningKeyList> {
    anyhow::bail!(
        "this hearth was built without AWS; install one with it, from Hearth's source folder, by \
         `cargo install --path cli --locked --no-default-features --features aws`"
    )
}

/// Runs a command on the DynamoDB table `table`, with the credentials of the AWS environment.
#[cfg(feature = "aws")]
pub(super) async fn in_table(
    command: &SigningKeyCommand,
    table: String,
    kms_key: String,
) -> Result<SigningKeyList> {
    use hearth_gateway::{Gateway, HttpClients, Options, Routing};
    use hearth_store::{Clients, Names, Store};

    let clients = Clients::for_commands().await?;
    clients.check_table(&table).await?;
    let store = Store::new(clients, Names { table, kms_key, ..Names::default() });
    store.check_import().await?;
    run(command, &Gateway::new(store, HttpClients::new()?, Options::default(), Routing::default())).await
}

#[cfg(any(feature = "aws", feature = "engine"))]
async fn run(command: &SigningKeyCommand, gateway: &hearth_gateway::Gateway) -> Result<SigningKeyList> {
    Ok(match command {
        SigningKeyCommand::List => gateway.signing_keys().list().await?,
        SigningKeyCommand::Rotate { revoke } => {
            let list = gateway.rotate_signing_key(*revoke).await?;
            let operator = gateway.operator().await?;
            let (command, action) = ("hearth signing-key rotate", hearth_domain::Action::Administer);
            gateway.audit().record_command(command, action, operator, "signing-keys").await?;
            list
        }
    })
}
