//! Tokens made and revoked in the data folder itself, while the gateway is stopped: the way back in
//! when the first token is lost.

use std::path::Path;

use anyhow::Result;
use hearth_domain::Scope;
use hearth_gateway::tokens::shown;
use hearth_wire::native::tokens::{CreatedToken, TokenList};

use super::{identity::Identity, stores::Stores};
use crate::client::token::{Token, TokenCommand, print_created, print_list, print_revoked};

/// Carries a token command out on the folder `data`.
pub(crate) async fn token(token: Token, data: &Path) -> Result<()> {
    let json = token.connection.json;
    let gateway = Stores::open(data)?.gateway("http://localhost").await?;
    let owner = Identity::load_or_create(data)?.user;
    match token.command {
        TokenCommand::Create(create) => {
            let ask = create.request();
            let scopes = ask.scopes.unwrap_or_else(|| Scope::ALL.to_vec());
            let expires_at = ask.expires_in_days.map(|days| {
                hearth_domain::Timestamp::now().plus(std::time::Duration::from_secs(86_400) * days)
            });
            let (token, record) = gateway.issue_token(owner, &ask.name, scopes, expires_at).await?;
            print_created(&CreatedToken { token: token.expose().to_owned(), record: shown(record) }, json)
        }
        TokenCommand::List => {
            let tokens = gateway.list_tokens(owner).await?.into_iter().map(shown).collect();
            print_list(&TokenList { tokens }, json)
        }
        TokenCommand::Revoke { id } => {
            gateway.revoke_token(owner, id.parse()?).await?;
            print_revoked(&id, json)
        }
    }
}
