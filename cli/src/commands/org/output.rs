//! Output of `hearth org`.

use hearth_wire::native::{
    administration::OrganisationList,
    organisations::{MemberBody, MemberList, OrganisationBody, OwnOrganisation, OwnOrganisations},
};
use serde_json::json;

use crate::client::{table::Table, terminal};

pub(super) fn print_organisation(organisation: OrganisationBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&organisation);
    }
    print_organisations(&OrganisationList { organisations: vec![organisation], next_cursor: None }, json)
}

pub(super) fn print_organisations(list: &OrganisationList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    let mut table = Table::new(["ID", "NAME", "REGIONS", "OWNERS", "STATE"]);
    for one in &list.organisations {
        let state = if one.disabled_at.is_some() { "disabled" } else { "enabled" };
        let owners = one.owners.to_string();
        table.push([one.id.clone(), one.name.clone(), regions(one), owners, state.to_owned()]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

pub(super) fn print_own(own: &OwnOrganisations, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(own);
    }
    let mut table = Table::new(["ID", "NAME", "ROLE", "REGIONS", ""]);
    for OwnOrganisation { organisation, role, current } in &own.organisations {
        let mark = if *current { "current" } else { "" };
        let (id, name) = (organisation.id.clone(), organisation.name.clone());
        table.push([id, name, role.as_str().to_owned(), regions(organisation), mark.to_owned()]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

pub(super) fn print_member(member: MemberBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&member);
    }
    print_members(&MemberList { members: vec![member], next_cursor: None }, json)
}

pub(super) fn print_members(list: &MemberList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    let mut table = Table::new(["USER", "NAME", "EMAIL", "ROLE", "TEAMS"]);
    for member in &list.members {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let (name, email) = (text(&member.name), text(&member.email));
        let role = member.role.as_str().to_owned();
        table.push([member.user.clone(), name, email, role, member.teams.join(",")]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

pub(super) fn print_done(json: bool, kind: &str, id: &str, what: &str) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&json!({kind: id, what: true}));
    }
    Ok(terminal::print_line(&format!("{what} {id}"))?)
}

fn regions(organisation: &OrganisationBody) -> String {
    if organisation.regions.is_empty() { "all".to_owned() } else { organisation.regions.join(",") }
}
