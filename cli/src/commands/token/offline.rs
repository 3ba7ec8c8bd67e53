//! Token commands on the store itself, without a running gateway: in a data folder while the gateway is stopped, when the
//! first token is lost; in a cloud's table, to create the first one.

use std::path::Path;

use anyhow::Result;
use hearth_domain::Scope;
use hearth_gateway::{
    Gateway, Routing,
    tokens::{end_after, token_body},
};
use hearth_wire::native::tokens::{CreatedToken, TokenList};

use super::{
    TokenCommand,
    output::{print_created, print_list, print_revoked},
};

/// Runs a token command on the folder `data`.
#[cfg(not(feature = "engine"))]
pub(super) async fn in_folder(_: TokenCommand, _: &Path, _: bool) -> Result<()> {
    Err(crate::commands::without_engine::unavailable("a data folder"))
}

/// Runs a token command on the folder `data`.
#[cfg(feature = "engine")]
pub(super) async fn in_folder(command: TokenCommand, data: &Path, json: bool) -> Result<()> {
    use hearth_settings::{Durability, GatewaySettings};

    use crate::home::stores::Stores;

    let stores = Stores::open(data, Durability::Fsync)?;
    let gateway = stores.gateway(Routing::default(), GatewaySettings::default()).await?;
    let outcome = run(command, &gateway, json).await;
    stores.close().await;
    outcome
}

/// Runs a token command on the DynamoDB table `table`, with the credentials of the AWS environment.
#[cfg(not(feature = "aws"))]
pub(super) async fn in_table(_: TokenCommand, _: &str, _: bool) -> Result<()> {
    anyhow::bail!(
        "this hearth was built without AWS; install one with it, from Hearth's source folder, by \
         `cargo install --path cli --locked --no-default-features --features aws`"
    )
}

/// Runs a token command on the DynamoDB table `table`, with the credentials of the AWS environment.
#[cfg(feature = "aws")]
pub(super) async fn in_table(command: TokenCommand, table: &str, json: bool) -> Result<()> {
    use hearth_gateway::{HttpClients, Options};
    use hearth_store::{Clients, Names, Store};

    let names = Names { table: table.to_owned(), ..Names::default() };
    let store = Store::new(Clients::for_commands().await?, names);
    store.check_import().await?;
    let gateway = Gateway::new(store, HttpClients::new()?, Options::default(), Routing::default());
    run(command, &gateway, json).await
}

async fn run(command: TokenCommand, gateway: &Gateway, json: bool) -> Result<()> {
    let owner = gateway.operator().await?;
    match command {
        TokenCommand::Create(create) => {
            let request = create.request();
            let scopes = request.scopes.unwrap_or_else(|| Scope::ALL.to_vec());
            let expires_at = end_after(request.expires_in_days)?;
            let (token, record) =
                gateway.access().issue_token(owner, &request.name, scopes, expires_at).await?;
            print_created(
                &CreatedToken { token: token.expose().to_owned(), record: token_body(record) },
                json,
            )
        }
        TokenCommand::List => {
            let tokens = gateway.access().list_tokens(owner).await?.into_iter().map(token_body).collect();
            print_list(&TokenList { tokens }, json)
        }
        TokenCommand::Revoke { id } => {
            gateway.access().revoke_token_of(owner, id.parse()?).await?;
            print_revoked(&id, json)
        }
    }
}
