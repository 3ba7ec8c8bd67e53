//! `hearth user`: users, through a running gateway; and on the store itself, for the operator of the data ([`offline`]).

mod offline;
mod output;
mod own;
mod password;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hearth_domain::{MemberRole, Secret};
use hearth_gateway::Gateway;
use hearth_store::Names;
use hearth_wire::native::{
    administration::{AdminUserDetails, AdminUserList},
    users::{CreatedCode, ErasureBody, ErasureStatus, UserBody},
};
use serde_json::{Value, json};

pub(super) use output::print_own;
pub(super) use password::{ask, new_password, read_secret_line};

use crate::{
    client::{
        connection::{Connection, secret},
        gateway_client::GatewayClient,
        terminal,
    },
    commands::offline::{in_folder, in_table},
    context::Context,
};

/// Create, list, show, disable and erase users
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth user create --owner                      # a sign-in for yourself, the operator; asks for a password
  hearth user create ada@example.org --role developer < password.txt
  hearth user bootstrap --table TABLE             # in the cloud: a code for the operator's registration
  hearth user list
  hearth user show                                # yourself
  hearth user disable ID
  hearth user reset-password ID                   # a code by which the user sets another password
  hearth user password --code CODE                # ... like this
  hearth user export my-data.zip
  hearth user erase ID

People who aren't there yet are invited: `hearth invite create`.")]
pub(crate) struct User {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
    /// Work on the data folder itself, while the gateway is stopped: bootstrap and reset-password
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Work on this DynamoDB table, with the AWS environment's credentials: bootstrap and reset-password
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "data")]
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for users.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Create a member with a sign-in, or one's own sign-in with --owner; reads the password from standard input
    Create(Create),
    /// Show the users of the gateway
    List,
    /// Show a user, or oneself
    Show {
        /// The user's id, as `list` shows it; absent: oneself
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
    /// Accept none of a user's credentials any more
    Disable {
        /// The user's id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Accept a disabled user's credentials again
    Enable {
        /// The user's id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Make a code, valid for an hour, by which a user sets another password
    ResetPassword {
        /// The user's id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Set another password of yours, with the present one or a code; without a terminal, standard input has the present one in its
    /// first line (empty if you have none), and the new one in the second. With a code: the new one alone
    Password {
        /// A code that an admin has made
        #[arg(long, value_name = "CODE", value_parser = secret)]
        code: Option<Secret>,
    },
    /// Write everything that you have stored to a zip file
    Export {
        /// The file, which must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make a code, valid for 15 minutes, by which the operator registers with an address and a password
    Bootstrap,
    /// Erase a user and everything of theirs for good
    Erase {
        /// The user's id
        #[arg(value_name = "ID")]
        id: String,
        /// Erase without asking
        #[arg(short, long)]
        yes: bool,
    },
}

/// A user to create.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The address to sign in with
    #[arg(value_name = "EMAIL", required_unless_present = "owner")]
    pub(crate) email: Option<String>,
    /// The user's name; without it: the part of the address before the @
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The user's role in your organisation
    #[arg(long, value_name = "ROLE", default_value = "developer", value_parser = roles(), conflicts_with = "owner")]
    pub(crate) role: MemberRole,
    /// Give yourself, the user of the token, an address and a password
    #[arg(long)]
    pub(crate) owner: bool,
}

/// The roles, by their names.
pub(super) fn roles() -> impl TypedValueParser<Value = MemberRole> {
    PossibleValuesParser::new(MemberRole::ALL.map(MemberRole::as_str)).try_map(|name| {
        MemberRole::ALL.into_iter().find(|role| role.as_str() == name).ok_or("there is no such role")
    })
}

impl User {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway or the store.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let json = context.connection.json;
        match (self.data, self.table) {
            (Some(data), _) => {
                in_folder(&data, async |gateway: &Gateway| offline::run(self.command, gateway, json).await)
                    .await
            }
            (None, Some(table)) => {
                let names = Names { table, ..Names::default() };
                in_table(names, async |gateway: &Gateway| offline::run(self.command, gateway, json).await)
                    .await
            }
            (None, None) => self.command.run(&GatewayClient::new(&context.connection)?, json).await,
        }
    }
}

impl UserCommand {
    /// Sends the command to the gateway.
    async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(gateway, json).await,
            Self::List => list(gateway, json).await,
            Self::Show { id: None } => {
                let user: UserBody = gateway.get(&["v1", "users", "me"], &[]).await?;
                print_own(&user, json)
            }
            Self::Show { id: Some(id) } => {
                let user: AdminUserDetails = gateway.get(&["v1", "admin", "users", &id], &[]).await?;
                output::print_user(&user, json)
            }
            Self::Disable { id } => set_disabled(gateway, &id, true, json).await,
            Self::Enable { id } => set_disabled(gateway, &id, false, json).await,
            Self::ResetPassword { id } => {
                let code: CreatedCode =
                    gateway.post(&["v1", "users", &id, "password-reset"], &json!({})).await?;
                output::print_reset_code(&code, json)
            }
            Self::Password { code } => own::set_password(gateway, code, json).await,
            Self::Export { file } => own::export(gateway, &file, json).await,
            Self::Bootstrap => anyhow::bail!(
                "a bootstrap code is made on the store itself: name it with --data, while the gateway is stopped, or with \
                 --table; with a token of the operator, `hearth user create --owner` does the same"
            ),
            Self::Erase { id, yes } => erase(gateway, &id, yes, json).await,
        }
    }
}

impl Create {
    async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let email = match self.email {
            Some(email) => email,
            None => ask("Your address: ")?,
        };
        let name = self.name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
        let password = new_password()?;
        let password = password.expose();
        let user: UserBody = if self.owner {
            let body = json!({"email": email, "name": name, "password": password});
            gateway.post(&["v1", "users", "me", "sign-in"], &body).await?
        } else {
            let body = json!({"email": email, "name": name, "password": password, "role": self.role});
            gateway.post(&["v1", "users"], &body).await?
        };
        print_own(&user, json)?;
        terminal::next_steps(json, &[&format!("hearth login --email {email}")]);
        Ok(())
    }
}

async fn list(gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let query: Vec<(&str, &str)> =
            cursor.as_deref().map(|cursor| ("cursor", cursor)).into_iter().collect();
        let page: AdminUserList = gateway.get(&["v1", "admin", "users"], &query).await?;
        all.extend(page.users);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return output::print_list(AdminUserList { users: all, next_cursor: None }, json);
        }
    }
}

async fn set_disabled(gateway: &GatewayClient, id: &str, disabled: bool, json: bool) -> anyhow::Result<()> {
    let _: Value = gateway.patch(&["v1", "admin", "users", id], &json!({"disabled": disabled})).await?;
    if json {
        return terminal::print_json(&json!({"id": id, "disabled": disabled}));
    }
    let state = if disabled { "disabled; none of the user's credentials is accepted" } else { "enabled" };
    Ok(terminal::print_line(&format!("{id} is {state}"))?)
}

async fn erase(gateway: &GatewayClient, id: &str, yes: bool, json: bool) -> anyhow::Result<()> {
    let question = format!("Erase {id} and everything of theirs? This can't be undone.");
    terminal::ensure_confirmed(&question, yes, "nothing was erased")?;
    let erasure: ErasureBody = gateway.delete_json(&["v1", "users", id]).await?;
    if json {
        return terminal::print_json(&erasure);
    }
    let state = match erasure.status {
        ErasureStatus::Completed => "is complete",
        ErasureStatus::InProgress => "has begun",
    };
    let address = gateway.address();
    let report = format!("the erasure {state}; its report is at {address}/v1/users/erasures/{}", erasure.id);
    Ok(terminal::print_line(&report)?)
}
