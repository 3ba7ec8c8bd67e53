//! Tokens made and revoked in the store itself, without a gateway in between: in a data folder while
//! the gateway is stopped, when the first token is lost; in a cloud's table, to make the first one.

use std::path::Path;

use anyhow::Result;
use hearth_domain::Scope;
use hearth_gateway::{
    Gateway, Options, Routing,
    tokens::{end_after, shown},
};
use hearth_store::database::Durability;
use hearth_wire::native::tokens::{CreatedToken, TokenList};

use super::stores::Stores;
use crate::client::token::{Token, TokenCommand, print_created, print_list, print_revoked};

/// Carries a token command out on the folder `data`.
pub(crate) async fn in_folder(token: Token, data: &Path) -> Result<()> {
    let stores = Stores::open(data, Durability::Fsync)?;
    let gateway = stores.gateway(Routing::default(), Options::default()).await?;
    let done = carry_out(token, &gateway).await;
    stores.close().await;
    done
}

/// Carries a token command out on the DynamoDB table `table`, with the AWS environment's credentials.
#[cfg(not(feature = "aws"))]
pub(crate) async fn in_table(_: Token, _: &str) -> Result<()> {
    anyhow::bail!(
        "this hearth was built without AWS: build one with it, in Hearth's source folder, by `cargo run --features aws -- \
         token ... --table NAME`"
    )
}

/// Carries a token command out on the DynamoDB table `table`, with the AWS environment's credentials.
#[cfg(feature = "aws")]
pub(crate) async fn in_table(token: Token, table: &str) -> Result<()> {
    use hearth_gateway::HttpClients;
    use hearth_store::{Clients, Names, Store};

    let names = Names { table: table.to_owned(), ..Names::default() };
    let store = Store::new(Clients::from_environment().await, names);
    let gateway = Gateway::new(store, HttpClients::new()?, Options::default(), Routing::default());
    carry_out(token, &gateway).await
}

async fn carry_out(token: Token, gateway: &Gateway) -> Result<()> {
    let json = token.connection.json;
    let owner = gateway.store().operator().await?;
    match token.command {
        TokenCommand::Create(create) => {
            let ask = create.request();
            let scopes = ask.scopes.unwrap_or_else(|| Scope::ALL.to_vec());
            let expires_at = end_after(ask.expires_in_days)?;
            let (token, record) = gateway.issue_token(owner, &ask.name, scopes, expires_at).await?;
            print_created(&CreatedToken { token: token.expose().to_owned(), record: shown(record) }, json)
        }
        TokenCommand::List => {
            let tokens = gateway.list_tokens(owner).await?.into_iter().map(shown).collect();
            print_list(&TokenList { tokens }, json)
        }
        TokenCommand::Revoke { id } => {
            gateway.revoke_token_of(owner, id.parse()?).await?;
            print_revoked(&id, json)
        }
    }
}
