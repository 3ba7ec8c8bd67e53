//! Commands for users on the store itself, without a running gateway: the operator's first sign-in, and lost passwords.

use std::path::Path;

use anyhow::Result;
use hearth_domain::Action;
use hearth_gateway::Gateway;

use super::{
    UserCommand,
    output::{print_bootstrap_code, print_reset_code},
};

/// Runs a command on the folder `data`.
#[cfg(not(feature = "engine"))]
pub(super) async fn in_folder(_: UserCommand, _: &Path, _: bool) -> Result<()> {
    Err(crate::commands::without_engine::unavailable("a data folder"))
}

/// Runs a command on the folder `data`.
#[cfg(feature = "engine")]
pub(super) async fn in_folder(command: UserCommand, data: &Path, json: bool) -> Result<()> {
    use hearth_gateway::Routing;
    use hearth_settings::{Durability, GatewaySettings};

    use crate::home::stores::Stores;

    let stores = Stores::open(data, Durability::Fsync)?;
    let gateway = stores.gateway(Routing::default(), GatewaySettings::default()).await?;
    let outcome = run(command, &gateway, json).await;
    gateway.audit().finish().await;
    stores.close().await;
    outcome
}

/// Runs a command on the DynamoDB table `table`, with the credentials of the AWS environment.
#[cfg(not(feature = "aws"))]
pub(super) async fn in_table(_: UserCommand, _: &str, _: bool) -> Result<()> {
    anyhow::bail!(
        "this hearth was built without AWS; install one with it, from Hearth's source folder, by \
         `cargo install --path cli --locked --no-default-features --features aws`"
    )
}

/// Runs a command on the DynamoDB table `table`, with the credentials of the AWS environment.
#[cfg(feature = "aws")]
pub(super) async fn in_table(command: UserCommand, table: &str, json: bool) -> Result<()> {
    use hearth_gateway::{HttpClients, Options, Routing};
    use hearth_store::{Clients, Names, Store};

    let names = Names { table: table.to_owned(), ..Names::default() };
    let store = Store::new(Clients::for_commands().await?, names);
    store.check_import().await?;
    let gateway = Gateway::new(store, HttpClients::new()?, Options::default(), Routing::default());
    run(command, &gateway, json).await
}

async fn run(command: UserCommand, gateway: &Gateway, json: bool) -> Result<()> {
    match command {
        UserCommand::Bootstrap => {
            let code = gateway.create_bootstrap_code().await?;
            let operator = gateway.operator().await?;
            let command = "hearth user bootstrap";
            gateway.audit().record_command(command, Action::Administer, operator, operator).await?;
            print_bootstrap_code(&code, json)
        }
        UserCommand::ResetPassword { id } => {
            let user = id.parse()?;
            let code = gateway.create_password_reset_of(user).await?;
            let operator = gateway.operator().await?;
            let command = "hearth user reset-password";
            gateway.audit().record_command(command, Action::ManageMembers, operator, user).await?;
            print_reset_code(&code, json)
        }
        _ => anyhow::bail!(
            "only `bootstrap` and `reset-password` work on the store itself; leave --data and --table out, and use a \
             running gateway"
        ),
    }
}
