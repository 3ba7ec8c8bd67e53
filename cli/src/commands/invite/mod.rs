//! `hearth invite`: invitations into an organisation.

use hearth_domain::{MemberRole, Secret};
use hearth_wire::native::{
    invites::{CreateInvite, CreatedInvite, InviteList},
    users::{MembershipBody, UserBody},
};
use serde_json::json;

use super::user::{ask, new_password, print_own, read_secret_line, roles};
use crate::{
    client::{
        connection::{Connection, secret},
        gateway_client::GatewayClient,
        table::Table,
        terminal,
    },
    context::Context,
};

/// Invite people into an organisation, and accept invitations
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth invite create --role developer --email ada@example.org
  hearth invite list
  hearth invite revoke ID
  hearth invite accept CODE --register     # as somebody new: asks for an address and a password
  hearth invite accept CODE                # as a user who is signed in: joins the organisation")]
pub(crate) struct Invite {
    #[command(subcommand)]
    pub(crate) command: InviteCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for invitations.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum InviteCommand {
    /// Make an invitation; its code is shown only this once
    Create(Create),
    /// Show the invitations that can still be accepted
    List,
    /// Revoke an invitation
    Revoke {
        /// The invitation's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Accept an invitation
    Accept(Accept),
}

/// An invitation to make.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The role of the new member; at most your own
    #[arg(long, value_name = "ROLE", default_value = "developer", value_parser = roles())]
    pub(crate) role: MemberRole,
    /// The id of a team that the new member joins, several times or with commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) team: Vec<String>,
    /// The only address that may accept it; without it: any
    #[arg(long, value_name = "EMAIL")]
    pub(crate) email: Option<String>,
    /// Days until it expires
    #[arg(long, value_name = "DAYS", default_value = "7", value_parser = clap::value_parser!(u32).range(1..=30))]
    pub(crate) expires_in_days: u32,
}

/// An invitation to accept.
#[derive(Debug, clap::Args)]
pub(crate) struct Accept {
    /// The code; `-` reads it from the first line of standard input, and with --register the password from the second
    #[arg(value_name = "CODE", value_parser = secret)]
    pub(crate) code: Secret,
    /// Register a new user, whose password is read from the terminal or from standard input
    #[arg(long)]
    pub(crate) register: bool,
    /// The address of the new user
    #[arg(long, value_name = "EMAIL", requires = "register")]
    pub(crate) email: Option<String>,
    /// The name of the new user; without it: the part of the address before the @
    #[arg(long, value_name = "NAME", requires = "register")]
    pub(crate) name: Option<String>,
}

impl Invite {
    /// Sends the command to the gateway.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let json = context.connection.json;
        match self.command {
            InviteCommand::Create(create) => create.run(&gateway, json).await,
            InviteCommand::List => list(&gateway.get(&["v1", "users", "invites"], &[]).await?, json),
            InviteCommand::Revoke { id } => {
                gateway.delete(&["v1", "users", "invites", &id]).await?;
                if json {
                    return terminal::print_json(&json!({"id": id, "revoked": true}));
                }
                Ok(terminal::print_line(&format!("the invitation {id} is revoked"))?)
            }
            InviteCommand::Accept(accept) => accept.run(&gateway, context.is_url_set, json).await,
        }
    }
}

impl Create {
    async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let request = CreateInvite {
            role: self.role,
            teams: self.team,
            email: self.email,
            expires_in_days: Some(self.expires_in_days),
        };
        let created: CreatedInvite = gateway.post(&["v1", "users", "invites"], &request).await?;
        if json {
            return terminal::print_json(&created);
        }
        terminal::note(&format!(
            "The code of the invitation {} is shown only this once, and ends at {}. The new member accepts it with \
             `hearth invite accept CODE --register --url {}`:",
            created.record.id,
            created.record.expires_at,
            gateway.address()
        ));
        Ok(terminal::print_line(&created.code)?)
    }
}

impl Accept {
    async fn run(self, gateway: &GatewayClient, is_url_set: bool, json: bool) -> anyhow::Result<()> {
        let code = match self.code.expose() {
            "-" => Secret::new(read_secret_line()?.expose().trim()),
            _ => self.code,
        };
        if self.register {
            let email = match self.email {
                Some(email) => email,
                None => ask("Your address: ")?,
            };
            let name = self.name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
            let password = new_password()?;
            let body =
                json!({"code": code.expose(), "email": email, "name": name, "password": password.expose()});
            let user: UserBody = gateway.with_token(None).post(&["v1", "users", "register"], &body).await?;
            print_own(&user, json)?;
            let address = if is_url_set { format!("{} ", gateway.address()) } else { String::new() };
            terminal::next_steps(json, &[&format!("hearth login {address}--email {email}")]);
            return Ok(());
        }
        let body = json!({"code": code.expose()});
        let member: MembershipBody = gateway.post(&["v1", "users", "me", "invites", "accept"], &body).await?;
        if json {
            return terminal::print_json(&member);
        }
        Ok(terminal::print_line(&format!(
            "you are a member of {} with the role {}",
            member.organisation,
            member.role.as_str()
        ))?)
    }
}

fn list(list: &InviteList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    if list.invites.is_empty() {
        terminal::note("there are no open invitations; make one with `hearth invite create`");
        return Ok(());
    }
    let mut table = Table::new(["ID", "ROLE", "EMAIL", "EXPIRES"]);
    for invite in list.invites.clone() {
        table.push([
            invite.id,
            invite.role.as_str().to_owned(),
            invite.email.unwrap_or_default(),
            invite.expires_at,
        ]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}
