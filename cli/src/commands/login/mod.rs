//! `hearth login`, `hearth logout` and `hearth whoami`: the login of this user at a gateway.

mod external;
mod password;

use std::time::Duration;

use anyhow::{Context as _, Result};
use hearth_wire::native::{
    logins::{LoginBody, LogoutRequest},
    users::UserBody,
};
use serde_json::json;

use external::ExternalSignIn;

use crate::{
    client::{
        CommandsAccess, connection::Connection, error::with_causes, gateway_client::GatewayClient,
        login_file::LoginFile, terminal,
    },
    context::Context,
};

/// Timeout for ending the earlier login.
const END_EARLIER_TIMEOUT: Duration = Duration::from_secs(3);

/// Sign in to a gateway
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth login                                    # the gateway of this machine
  hearth login https://hearth.example.org
  hearth login --email ada@example.org < password.txt
  hearth login --provider okta                    # in the browser, at an identity provider
  hearth login --device                           # by a code that is entered on another device

The commands that follow at the same address use the login by themselves, until `hearth logout`; --url or HEARTH_URL names \
another gateway than this machine's to them. A token in HEARTH_TOKEN goes before the login.")]
pub(crate) struct Login {
    /// The gateway's address, in place of --url
    #[arg(value_name = "URL")]
    pub(crate) gateway: Option<String>,
    /// The address of e-mail; without it, the command asks for it
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["provider", "device", "no_browser"])]
    pub(crate) email: Option<String>,
    /// The organisation in which to act; without it, the first that you joined. An identity provider decides it by itself
    #[arg(long, value_name = "ID", conflicts_with_all = ["provider", "device", "no_browser"])]
    pub(crate) organisation: Option<String>,
    #[command(flatten)]
    pub(crate) external: ExternalSignIn,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// End the login at a gateway
#[derive(Debug, clap::Args)]
pub(crate) struct Logout {
    /// End all your logins, on every machine
    #[arg(long)]
    pub(crate) everywhere: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Show who the commands act as
#[derive(Debug, clap::Args)]
pub(crate) struct Whoami {
    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl Login {
    /// The connection, with the address of the argument.
    pub(crate) fn connection(&self) -> Connection {
        match &self.gateway {
            Some(url) => self.connection.clone().at(url),
            None => self.connection.clone(),
        }
    }

    /// The address that other commands use, which have no argument for it.
    fn address_of_others(&self, context: &Context) -> Connection {
        let settings = &context.settings;
        let set = self.connection.url.clone().or_else(|| settings.url.clone());
        let recent = set.or_else(|| CommandsAccess::read(&settings.data).map(|access| access.url));
        let default = Connection::default();
        let url = recent.unwrap_or_else(|| default.url().to_owned());
        default.at(&url)
    }

    /// Signs in, and stores the login: at an identity provider if the gateway has one and no address is given, else by a
    /// password.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway, or the login can't be stored.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?.with_token(None);
        let others = self.address_of_others(context);
        let is_by_password = self.email.is_some() || self.organisation.is_some();
        let providers = if is_by_password { Vec::new() } else { external::providers(&gateway).await? };
        let body = if providers.is_empty() && !self.external.is_requested() {
            password::sign_in(&gateway, self.email, self.organisation).await?
        } else {
            external::sign_in(&gateway, &providers, &self.external).await?
        };
        let export =
            format!("export HEARTH_URL={}    # commands use this gateway, and its login", gateway.address());
        let steps = [export.as_str(), "hearth whoami", "hearth chat"];
        let steps = if others.is_at(gateway.address()) { &steps[1..] } else { &steps[..] };
        finish(&gateway, &body, context.connection.json, steps).await
    }
}

/// Stores the login of a sign-in, and prints it with the next steps.
async fn finish(gateway: &GatewayClient, body: &LoginBody, json: bool, steps: &[&str]) -> Result<()> {
    let url = gateway.address();
    let file = login_file(url)?;
    end_earlier(gateway, &file).await;
    file.save(url, body).await?;
    let LoginBody { user, organisation, role, login, .. } = body;
    if json {
        let printed = json!({
            "url": url, "user": user, "organisation": organisation, "role": role, "login": login,
        });
        return terminal::print_json(&printed);
    }
    terminal::print_line(&format!(
        "signed in to {url} as {user}, {} of the organisation {organisation}",
        role.as_str()
    ))?;
    terminal::next_steps(json, steps);
    Ok(())
}

/// Ends the login that another one takes the place of. A failure is only logged: nobody can use the login from here any more.
async fn end_earlier(gateway: &GatewayClient, file: &LoginFile) {
    if !file.exists() {
        return;
    }
    let gateway = gateway.with_login(file.clone());
    let request = LogoutRequest { everywhere: false };
    let ended = gateway.post::<serde_json::Value>(&["v1", "users", "logout"], &request);
    match tokio::time::timeout(END_EARLIER_TIMEOUT, ended).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the earlier login couldn't be ended"),
        Err(_) => tracing::debug!("the earlier login wasn't ended in time"),
    }
}

impl Logout {
    /// Ends the login, and removes it from this machine. A login that the gateway can't end, such as one that has ended already, is
    /// removed all the same.
    ///
    /// # Errors
    /// There is no login, its file can't be removed, or the logins of other machines can't be ended.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        // Without the fallback: the token of this machine's commands is somebody else's.
        let gateway = GatewayClient::new(&Connection { fallback: None, ..context.connection.clone() })?;
        let request = LogoutRequest { everywhere: self.everywhere };
        let file = login_file(gateway.address())?;
        let has_login = context.connection.login.is_some();
        anyhow::ensure!(
            has_login || self.everywhere,
            "there is no login at {}; `hearth logout --everywhere` ends those of other machines",
            gateway.address()
        );
        let ended = gateway.post::<serde_json::Value>(&["v1", "users", "logout"], &request).await;
        if has_login {
            file.remove().await?;
        }
        if let Err(error) = ended {
            if !has_login {
                return Err(error);
            }
            terminal::note(&format!("the gateway didn't end the login: {}", with_causes(&error)));
            anyhow::ensure!(
                !self.everywhere,
                "the login is removed from this machine alone; sign in again to end those of other machines"
            );
            if context.connection.json {
                return terminal::print_json(&json!({"url": gateway.address(), "everywhere": false}));
            }
            let line = format!("the login at {} is removed from this machine", gateway.address());
            return Ok(terminal::print_line(&line)?);
        }
        if context.connection.json {
            return terminal::print_json(&json!({"url": gateway.address(), "everywhere": self.everywhere}));
        }
        let of = if self.everywhere { "every login has" } else { "the login has" };
        Ok(terminal::print_line(&format!("{of} ended at {}", gateway.address()))?)
    }
}

impl Whoami {
    /// Prints the user.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let user: UserBody = gateway.get(&["v1", "users", "me"], &[]).await?;
        if context.connection.json {
            return terminal::print_json(&user);
        }
        let email = user.email.map(|email| format!(" <{email}>")).unwrap_or_default();
        let mut text = format!("{}{email}, {}\n", user.name, user.id);
        for member in &user.memberships {
            text.push_str(&format!("{} of {}\n", member.role.as_str(), member.organisation));
        }
        let credential = if context.connection.login.is_some() { "a login" } else { "a token" };
        text.push_str(&format!("by {credential} at {}\n", gateway.address()));
        Ok(terminal::print(&text)?)
    }
}

fn login_file(url: &str) -> Result<LoginFile> {
    LoginFile::of(url).context("this user has no configuration folder, in which logins are stored; set HOME")
}
