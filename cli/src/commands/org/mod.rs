//! `hearth org`: organisations and their members.

mod output;

use hearth_domain::{MemberRole, UserId};
use hearth_wire::native::{
    administration::{AdministerOrganisation, OrganisationList},
    organisations::{
        ChangeMember, ChangeOrganisation, CreateOrganisation, MemberBody, MemberList, OrganisationBody,
        OwnOrganisations,
    },
};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};
use output::{print_done, print_member, print_members, print_organisation, print_organisations, print_own};

/// Entries of a page.
const PAGE_COUNT: &str = "200";

/// Manage organisations and their members
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth org list
  hearth org members
  hearth org set-role usr_01J9ZX5V2QH8N4T6W0C3M7K1RB admin
  hearth org regions eu-central-1 eu-west-1

Each command works on the organisation of the token. The gateway's operators create organisations, and see all of them \
with `list --all`.")]
pub(crate) struct Org {
    #[command(subcommand)]
    pub(crate) command: OrgCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for organisations.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum OrgCommand {
    /// Create an organisation
    Create {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// The id of the user who becomes its owner; without it: you
        #[arg(long, value_name = "USER")]
        owner: Option<UserId>,
        /// A region in which its requests may be processed, several times; without it: all
        #[arg(long, value_name = "REGION")]
        region: Vec<String>,
    },
    /// Show your organisations
    List {
        /// Show those of everybody; for the gateway's operators
        #[arg(long)]
        all: bool,
    },
    /// Show the organisation of the token
    Show,
    /// Rename the organisation
    Rename {
        /// The new name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Bind the organisation's requests to regions, or to none
    Regions {
        /// The regions; without any, its requests may be processed everywhere
        #[arg(value_name = "REGION")]
        regions: Vec<String>,
    },
    /// Show the members
    Members,
    /// Change the role of a member
    SetRole {
        /// The user's id, as `members` shows it
        #[arg(value_name = "USER")]
        user: UserId,
        /// The new role
        #[arg(value_name = "ROLE", value_parser = role)]
        role: MemberRole,
    },
    /// Remove a member; their tokens of the organisation stop working
    RemoveMember {
        /// The user's id, as `members` shows it
        #[arg(value_name = "USER")]
        user: UserId,
    },
    /// Leave the organisation
    Leave,
    /// Disable an organisation: its credentials aren't accepted; for the gateway's operators
    Disable {
        /// The organisation's id, as `list --all` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Enable a disabled organisation; for the gateway's operators
    Enable {
        /// The organisation's id, as `list --all` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Delete the organisation, with its teams and memberships
    Delete {
        /// Delete another organisation than the token's; for the gateway's operators
        #[arg(value_name = "ID")]
        id: Option<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Parses a role.
fn role(name: &str) -> Result<MemberRole, String> {
    let role = MemberRole::ALL.into_iter().find(|role| role.as_str() == name);
    role.ok_or_else(|| format!("roles are {}", MemberRole::ALL.map(MemberRole::as_str).join(", ")))
}

impl Org {
    /// Sends the command to the gateway.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (gateway, json) = (GatewayClient::new(&context.connection)?, context.connection.json);
        self.command.run(&gateway, json).await
    }
}

impl OrgCommand {
    async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        match self {
            Self::Create { name, owner, region } => {
                let request = CreateOrganisation { name, owner, regions: region };
                print_organisation(gateway.post(&["v1", "organisations"], &request).await?, json)
            }
            Self::List { all: true } => print_organisations(&every_organisation(gateway).await?, json),
            Self::List { all: false } => print_own(&own(gateway).await?, json),
            Self::Show => {
                let id = current(gateway).await?;
                print_organisation(gateway.get(&["v1", "organisations", &id], &[]).await?, json)
            }
            Self::Rename { name } => {
                let change = ChangeOrganisation { name: Some(name), ..ChangeOrganisation::default() };
                print_organisation(self::change(gateway, &change).await?, json)
            }
            Self::Regions { regions } => {
                let change = ChangeOrganisation { regions: Some(regions), ..ChangeOrganisation::default() };
                print_organisation(self::change(gateway, &change).await?, json)
            }
            Self::Members => print_members(&every_member(gateway).await?, json),
            Self::SetRole { user, role } => {
                let (id, user) = (current(gateway).await?, user.to_string());
                let change = ChangeMember { role: Some(role), ..ChangeMember::default() };
                let route = ["v1", "organisations", &id, "members", &user];
                print_member(gateway.patch(&route, &change).await?, json)
            }
            Self::RemoveMember { user } => {
                let (id, user) = (current(gateway).await?, user.to_string());
                gateway.delete(&["v1", "organisations", &id, "members", &user]).await?;
                print_done(json, "user", &user, "removed")
            }
            Self::Leave => {
                let id = current(gateway).await?;
                let route = ["v1", "organisations", &id, "leave"];
                gateway.post::<serde_json::Value>(&route, &serde_json::json!({})).await?;
                print_done(json, "organisation", &id, "left")
            }
            Self::Disable { id } => print_organisation(set_disabled(gateway, &id, true).await?, json),
            Self::Enable { id } => print_organisation(set_disabled(gateway, &id, false).await?, json),
            Self::Delete { id, yes } => delete(gateway, id, yes, json).await,
        }
    }
}

/// The id of the organisation in which the token acts.
pub(crate) async fn current(gateway: &GatewayClient) -> anyhow::Result<String> {
    let own = own(gateway).await?;
    let current = own.organisations.into_iter().find(|one| one.current);
    let current = current.ok_or_else(|| anyhow::anyhow!("the gateway doesn't say where the token acts"))?;
    Ok(current.organisation.id)
}

/// All members of the organisation.
async fn every_member(gateway: &GatewayClient) -> anyhow::Result<MemberList> {
    let id = current(gateway).await?;
    let (mut members, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let query = page(cursor.as_deref());
        let page: MemberList = gateway.get(&["v1", "organisations", &id, "members"], &query).await?;
        members.extend(page.members);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(MemberList { members, next_cursor: None });
        }
    }
}

/// The id of the member with this id or address.
pub(crate) async fn find_member(gateway: &GatewayClient, name: &str) -> anyhow::Result<String> {
    if !name.contains('@') {
        return Ok(name.to_owned());
    }
    let list = every_member(gateway).await.map_err(|error| {
        error.context(format!("the address {name} can't be looked up; use an id of `hearth org members`"))
    })?;
    let has_address = |member: &MemberBody| {
        member.email.as_ref().is_some_and(|email| email.to_lowercase() == name.to_lowercase())
    };
    let member = list.members.into_iter().find(has_address);
    let member = member.ok_or_else(|| {
        anyhow::anyhow!(
            "no member with the address {name} is shown to you: addresses are shown to those who manage members; use an id \
             of `hearth org members`"
        )
    })?;
    Ok(member.user)
}

async fn own(gateway: &GatewayClient) -> anyhow::Result<OwnOrganisations> {
    gateway.get(&["v1", "organisations"], &[]).await
}

async fn every_organisation(gateway: &GatewayClient) -> anyhow::Result<OrganisationList> {
    let (mut organisations, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let query = page(cursor.as_deref());
        let page: OrganisationList = gateway.get(&["v1", "admin", "organisations"], &query).await?;
        organisations.extend(page.organisations);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(OrganisationList { organisations, next_cursor: None });
        }
    }
}

fn page(cursor: Option<&str>) -> Vec<(&str, &str)> {
    let cursor = cursor.map(|cursor| ("cursor", cursor));
    [("limit", PAGE_COUNT)].into_iter().chain(cursor).collect()
}

async fn change(gateway: &GatewayClient, change: &ChangeOrganisation) -> anyhow::Result<OrganisationBody> {
    let id = current(gateway).await?;
    gateway.patch(&["v1", "organisations", &id], change).await
}

async fn set_disabled(gateway: &GatewayClient, id: &str, disabled: bool) -> anyhow::Result<OrganisationBody> {
    let change = AdministerOrganisation { disabled: Some(disabled), ..AdministerOrganisation::default() };
    gateway.patch(&["v1", "admin", "organisations", id], &change).await
}

async fn delete(gateway: &GatewayClient, id: Option<String>, yes: bool, json: bool) -> anyhow::Result<()> {
    let (id, route) = match id {
        Some(id) => (id.clone(), vec!["v1".to_owned(), "admin".to_owned(), "organisations".to_owned(), id]),
        None => {
            let id = current(gateway).await?;
            (id.clone(), vec!["v1".to_owned(), "organisations".to_owned(), id])
        }
    };
    let question = format!("Delete {id}, with its teams and memberships? All its tokens stop working.");
    terminal::ensure_confirmed(&question, yes, "nothing was deleted")?;
    let route: Vec<&str> = route.iter().map(String::as_str).collect();
    gateway.delete(&route).await?;
    print_done(json, "organisation", &id, "deleted")
}
