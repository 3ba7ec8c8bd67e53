//! Token commands on the store itself, without a running gateway: in a data folder while the gateway is stopped, when the
//! first token is lost; in a cloud's table, to create the first one.

use anyhow::Result;
use hearth_domain::{Action, ModelLimits, Owner, Scope, UserId};
use hearth_gateway::{
    Gateway,
    tokens::{NewToken, check_models, end_after, token_body},
};
use hearth_wire::native::tokens::{CreatedToken, TokenList};

use super::{
    TokenCommand,
    output::{print_created, print_list, print_revoked},
};

/// A member of the operator's organisation as the owner of tokens; without one, the operator.
fn of_member(operator: Owner, user: Option<UserId>) -> Owner {
    Owner { user: user.unwrap_or(operator.user), ..operator }
}

/// Runs a command.
pub(super) async fn run(command: TokenCommand, gateway: &Gateway, json: bool) -> Result<()> {
    let operator = gateway.operator().await?;
    let owner = Owner::of_record(operator, None);
    match command {
        TokenCommand::Create(create) => {
            let request = create.request();
            let scopes = request.scopes.unwrap_or_else(|| Scope::ALL.to_vec());
            let expires_at = end_after(request.expires_in_days)?;
            request.models.as_deref().map_or(Ok(()), check_models)?;
            let models = request.models.map(ModelLimits::new);
            let new = NewToken { owner, name: request.name, scopes, models, expires_at };
            let (token, record) = gateway.access().issue_token(new).await?;
            let command = "hearth token create";
            gateway.audit().record_command(command, Action::ManageTokens, operator, record.id).await?;
            print_created(
                &CreatedToken { token: token.expose().to_owned(), record: token_body(record) },
                json,
            )
        }
        TokenCommand::List { user } => {
            let owner = of_member(owner, user);
            print_list(&TokenList { tokens: gateway.access().list_tokens(owner).await? }, json)
        }
        TokenCommand::Rename { .. } | TokenCommand::Rotate { .. } => {
            anyhow::bail!("a running gateway renames and rotates tokens; leave --data and --table out")
        }
        TokenCommand::Revoke { id, user } => {
            gateway.access().revoke_token_of(of_member(owner, user), id.parse()?).await?;
            let command = "hearth token revoke";
            gateway.audit().record_command(command, Action::ManageTokens, operator, &id).await?;
            print_revoked(&id, json)
        }
    }
}
