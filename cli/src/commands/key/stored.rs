//! The stored keys of users, teams and organisations.

use hearth_domain::CredentialId;
use hearth_wire::native::provider_keys::{ProviderKeyBody, ProviderKeyList, VerificationBody};
use serde_json::json;

use super::{input::Set, owner::Owner};
use crate::{
    client::{gateway_client::GatewayClient, table::Table, terminal},
    commands::{org, team},
};

const OWN: [&str; 3] = ["v1", "users", "provider-keys"];

/// True for the id of a stored key: no provider has such a name.
pub(super) fn is_id(key: &str) -> bool {
    key.parse::<CredentialId>().is_ok()
}

pub(super) async fn set(gateway: &GatewayClient, set: &Set, json: bool) -> anyhow::Result<()> {
    let organisation = of_organisation(gateway, &set.owner).await?;
    let team = match (&set.owner.team, &organisation) {
        (Some(name), Some(id)) => {
            Some(team::find(gateway, &["v1", "organisations", id, "teams"], name).await?)
        }
        _ => None,
    };
    let route = route(organisation.as_deref());
    // Before the user types a key that can't be stored. The list takes the same permission.
    gateway.get::<ProviderKeyList>(&route, &[]).await?;
    let mut request = set.request(&set.read()?)?;
    if let Some(team) = team {
        request["team"] = json!(team);
    }
    let created: ProviderKeyBody = gateway.post(&route, &request).await?;
    let check = format!("hearth key verify {}", created.id);
    print(&[created], json)?;
    terminal::next_steps(json, &[&check]);
    Ok(())
}

pub(super) async fn list(gateway: &GatewayClient, owner: &Owner, json: bool) -> anyhow::Result<()> {
    let organisation = of_organisation(gateway, owner).await?;
    let mut list: ProviderKeyList = gateway.get(&route(organisation.as_deref()), &[]).await?;
    if let (Some(name), Some(id)) = (&owner.team, &organisation) {
        let team = team::find(gateway, &["v1", "organisations", id, "teams"], name).await?;
        list.provider_keys.retain(|key| key.owner_id == team);
    }
    print(&list.provider_keys, json)
}

pub(super) async fn verify(gateway: &GatewayClient, id: &str, json: bool) -> anyhow::Result<()> {
    let result: VerificationBody = gateway.post(&["v1", "provider-keys", id, "verify"], &json!({})).await?;
    if json {
        return terminal::print_json(&result);
    }
    anyhow::ensure!(result.valid != Some(false), "the key {id}: {}", result.result);
    Ok(terminal::print_line(&format!("the key {id}: {}", result.result))?)
}

/// Removes one's own key with this id, or else the organisation's.
pub(super) async fn remove(gateway: &GatewayClient, id: &str, json: bool) -> anyhow::Result<()> {
    let own: ProviderKeyList = gateway.get(&OWN, &[]).await?;
    let is_own = own.provider_keys.iter().any(|key| key.id == id);
    let organisation = if is_own { None } else { Some(org::current(gateway).await?) };
    gateway.delete(&[route(organisation.as_deref()).as_slice(), &[id]].concat()).await?;
    if json {
        return terminal::print_json(&json!({"id": id, "removed": true}));
    }
    Ok(terminal::print_line(&format!("the key {id} is removed"))?)
}

/// The id of the organisation, for a key that isn't one's own.
async fn of_organisation(gateway: &GatewayClient, owner: &Owner) -> anyhow::Result<Option<String>> {
    if owner.user { Ok(None) } else { org::current(gateway).await.map(Some) }
}

fn route(organisation: Option<&str>) -> Vec<&str> {
    match organisation {
        None => OWN.to_vec(),
        Some(id) => vec!["v1", "organisations", id, "provider-keys"],
    }
}

fn print(keys: &[ProviderKeyBody], json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&json!({"provider_keys": keys}));
    }
    if keys.is_empty() {
        terminal::note("no key is stored");
        return Ok(());
    }
    let mut table = Table::new(["ID", "PROVIDER", "KIND", "OWNER", "KEY", "NAME", "CHECKED"]);
    for key in keys {
        let checked = key.verified.as_ref().map_or("-", |verified| match verified.valid {
            Some(true) => "valid",
            Some(false) => "refused",
            None => "unknown",
        });
        table.push([
            key.id.clone(),
            key.provider.clone(),
            key.kind.as_str().to_owned(),
            key.owner.as_str().to_owned(),
            key.hint.clone(),
            key.name.clone(),
            checked.to_owned(),
        ]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}
