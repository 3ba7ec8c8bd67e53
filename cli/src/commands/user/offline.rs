//! Commands for users on the store itself, without a running gateway: the operator's first sign-in, and lost passwords.

use anyhow::Result;
use hearth_domain::Action;
use hearth_gateway::Gateway;

use super::{
    UserCommand,
    output::{print_bootstrap_code, print_reset_code},
};

/// Runs a command.
pub(super) async fn run(command: UserCommand, gateway: &Gateway, json: bool) -> Result<()> {
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
