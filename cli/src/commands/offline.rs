//! Commands on the stores themselves, without a running gateway: on a data folder while its gateway is stopped, or on a cloud
//! stack's table, with the credentials of the AWS environment.

use std::path::Path;

use anyhow::Result;
use hearth_gateway::Gateway;
use hearth_store::Names;

/// Runs a command on the folder `data`.
#[cfg(feature = "engine")]
pub(super) async fn in_folder<T>(data: &Path, command: impl AsyncFnOnce(&Gateway) -> Result<T>) -> Result<T> {
    use hearth_gateway::Routing;
    use hearth_settings::{Durability, GatewaySettings};

    use crate::home::stores::Stores;

    let stores = Stores::open(data, Durability::Fsync)?;
    let gateway = stores.gateway(Routing::default(), GatewaySettings::default()).await?;
    let outcome = command(&gateway).await;
    gateway.audit().finish().await;
    stores.close().await;
    outcome
}

/// Runs a command on the folder `data`.
#[cfg(not(feature = "engine"))]
pub(super) async fn in_folder<T>(_: &Path, _: impl AsyncFnOnce(&Gateway) -> Result<T>) -> Result<T> {
    Err(super::without_engine::unavailable("a data folder"))
}

/// Runs a command on the table of these names.
#[cfg(feature = "aws")]
pub(super) async fn in_table<T>(names: Names, command: impl AsyncFnOnce(&Gateway) -> Result<T>) -> Result<T> {
    use hearth_gateway::{HttpClients, Options, Routing};
    use hearth_store::{Clients, Store};

    let store = Store::new(Clients::for_commands().await?, names);
    store.check_import().await?;
    command(&Gateway::new(store, HttpClients::new()?, Options::default(), Routing::default())).await
}

/// Runs a command on the table of these names.
#[cfg(not(feature = "aws"))]
pub(super) async fn in_table<T>(_: Names, _: impl AsyncFnOnce(&Gateway) -> Result<T>) -> Result<T> {
    Err(without_aws())
}

/// The error of a command on a cloud stack.
#[cfg(not(feature = "aws"))]
pub(super) fn without_aws() -> anyhow::Error {
    anyhow::anyhow!(
        "this hearth was built without AWS; install one with it, from Hearth's source folder, by \
         `cargo install --path cli --locked --no-default-features --features aws`"
    )
}
