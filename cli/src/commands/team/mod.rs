//! `hearth team`: teams of an organisation.

use hearth_domain::UserId;
use hearth_wire::native::organisations::{TeamBody, TeamList, TeamName};
use serde_json::json;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, table::Table, terminal},
    commands::org,
    context::Context,
};

/// Manage the teams of the organisation
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth team create platform
  hearth team add platform usr_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth team list

A team is named by its id, or by its name if no other team has it.")]
pub(crate) struct Team {
    #[command(subcommand)]
    pub(crate) command: TeamCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for teams.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TeamCommand {
    /// Create a team
    Create {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show the teams
    List,
    /// Rename a team
    Rename {
        /// The team
        #[arg(value_name = "TEAM")]
        team: String,
        /// The new name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Add a member of the organisation to a team
    Add {
        /// The team
        #[arg(value_name = "TEAM")]
        team: String,
        /// The user's id, as `hearth org members` shows it
        #[arg(value_name = "USER")]
        user: UserId,
    },
    /// Remove a member from a team
    Remove {
        /// The team
        #[arg(value_name = "TEAM")]
        team: String,
        /// The user's id
        #[arg(value_name = "USER")]
        user: UserId,
    },
    /// Delete a team; its members stay members of the organisation
    Delete {
        /// The team
        #[arg(value_name = "TEAM")]
        team: String,
    },
}

impl Team {
    /// Sends the command to the gateway.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (gateway, json) = (GatewayClient::new(&context.connection)?, context.connection.json);
        let id = org::current(&gateway).await?;
        let teams = ["v1", "organisations", &id, "teams"];
        match self.command {
            TeamCommand::Create { name } => print_team(gateway.post(&teams, &TeamName { name }).await?, json),
            TeamCommand::List => print_list(&gateway.get(&teams, &[]).await?, json),
            TeamCommand::Rename { team, name } => {
                let team = find(&gateway, &teams, &team).await?;
                let route = [&teams[..], &[&team]].concat();
                print_team(gateway.patch(&route, &TeamName { name }).await?, json)
            }
            TeamCommand::Add { team, user } => {
                let (team, user) = (find(&gateway, &teams, &team).await?, user.to_string());
                gateway.put(&[&teams[..], &[&team, "members", &user]].concat(), &json!({})).await?;
                print_done(json, &team, &user, "added")
            }
            TeamCommand::Remove { team, user } => {
                let (team, user) = (find(&gateway, &teams, &team).await?, user.to_string());
                gateway.delete(&[&teams[..], &[&team, "members", &user]].concat()).await?;
                print_done(json, &team, &user, "removed")
            }
            TeamCommand::Delete { team } => {
                let team = find(&gateway, &teams, &team).await?;
                gateway.delete(&[&teams[..], &[&team]].concat()).await?;
                if json {
                    return terminal::print_json(&json!({"team": team, "deleted": true}));
                }
                Ok(terminal::print_line(&format!("deleted {team}"))?)
            }
        }
    }
}

/// The id of the team with this id or name.
pub(crate) async fn find(gateway: &GatewayClient, teams: &[&str], name: &str) -> anyhow::Result<String> {
    let list: TeamList = gateway.get(teams, &[]).await?;
    let mut matching = list.teams.into_iter().filter(|team| team.id == name || team.name == name);
    let team = matching.next();
    let team = team.ok_or_else(|| anyhow::anyhow!("there is no team {name:?}; see `hearth team list`"))?;
    anyhow::ensure!(
        matching.next().is_none(),
        "several teams are named {name:?}; use an id of `hearth team list`"
    );
    Ok(team.id)
}

fn print_team(team: TeamBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&team);
    }
    print_list(&TeamList { teams: vec![team] }, json)
}

fn print_list(list: &TeamList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    let mut table = Table::new(["ID", "NAME", "CREATED"]);
    for team in &list.teams {
        table.push([team.id.clone(), team.name.clone(), team.created_at.clone()]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

fn print_done(json: bool, team: &str, user: &str, what: &str) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&json!({"team": team, "user": user, what: true}));
    }
    Ok(terminal::print_line(&format!("{what} {user}"))?)
}
