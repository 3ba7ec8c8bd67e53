//! Output of the commands for nodes.

use anyhow::Result;
use bytesize::ByteSize;
use hearth_wire::native::nodes::{NodeBody, NodeList, NodeSharingBody, NodeStatusBody};

use crate::client::{table::Table, terminal};

/// Prints a table of nodes.
pub(super) fn print_list(list: &NodeList, json: bool) -> Result<()> {
    if json {
        return terminal::print_json(list);
    }
    if list.nodes.is_empty() {
        terminal::note("there is no node that you may use; `hearth node code` begins to enrol one");
        return Ok(());
    }
    let mut table =
        Table::new(["NAME", "ID", "STATE", "BY", "BACKEND", "MODELS", "RUNS", "WAITING", "VERSION"]);
    for node in &list.nodes {
        let status = &node.status;
        table.push([
            node.name.clone(),
            node.id.clone(),
            state(node).to_owned(),
            status.transport.as_str().to_owned(),
            status.backend.clone().unwrap_or_default(),
            status.models.len().to_string(),
            status.queue.active.to_string(),
            status.queue.waiting.to_string(),
            status.version.clone().unwrap_or_default(),
        ]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

/// Prints everything on a node.
pub(super) fn print_node(node: &NodeBody, json: bool) -> Result<()> {
    if json {
        return terminal::print_json(node);
    }
    let mut table = Table::new(["FIELD", "VALUE"]);
    for (field, value) in fields(node) {
        table.push([field, value]);
    }
    Ok(terminal::print(&table.fitted(None))?)
}

/// Prints a node after a change.
pub(super) fn print_changed(node: &NodeBody, text: &str, json: bool) -> Result<()> {
    if json { terminal::print_json(node) } else { Ok(terminal::print_line(text)?) }
}

/// The members beside its owner whom a node is shared with.
pub(super) fn sharing(sharing: &NodeSharingBody) -> String {
    if sharing.organisation {
        return "every member of the organisation".to_owned();
    }
    let mut with = Vec::new();
    with.extend(sharing.teams.iter().map(|team| format!("the team {team}")));
    with.extend(sharing.users.iter().cloned());
    if with.is_empty() { "nobody else".to_owned() } else { with.join(", ") }
}

fn state(node: &NodeBody) -> &'static str {
    match (node.status.alive, node.draining) {
        (true, false) => "alive",
        (true, true) => "draining",
        (false, _) => "offline",
    }
}

/// The fields of a node that are known, with their names.
fn fields(node: &NodeBody) -> Vec<(String, String)> {
    let status = &node.status;
    let mut fields = Vec::new();
    let mut add = |field: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.push((field.to_owned(), value));
        }
    };
    add("name", Some(node.name.clone()));
    add("id", Some(node.id.clone()));
    add("owner", Some(node.owner.clone()));
    add("shared with", Some(sharing(&node.sharing)));
    add("region", node.region.clone());
    add("state", Some(state(node).to_owned()));
    add("because", status.reason.clone());
    add("last report", status.seen_at.clone());
    add("reached by", Some(format!("{}: {}", status.transport.as_str(), status.transport_reason)));
    add("version", status.version.clone());
    add("clock", status.clock_skew_ms.map(clock));
    add("last error", status.last_error.clone());
    add("backend", status.backend.clone());
    add("memory", memory(status));
    add("models on disk", status.storage_used_bytes.map(size));
    add("runs", Some(format!("{} active, {} waiting", status.queue.active, status.queue.waiting)));
    add(
        "power",
        node.energy.map(|energy| {
            format!(
                "{} W idle, {} W busy, ${} per kWh",
                energy.idle_watts, energy.busy_watts, energy.price_per_kwh
            )
        }),
    );
    for device in &status.devices {
        let reason = device.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        add(&device.library, Some(format!("{}{reason}", device.state.replace('_', " "))));
    }
    for model in &status.models {
        let state = model.runtime.state.as_str();
        add(&format!("model {}", model.id), Some(format!("{state}, {}", size(model.size_bytes))));
    }
    add("enrolled", Some(node.created_at.clone()));
    fields
}

fn memory(status: &NodeStatusBody) -> Option<String> {
    let memory = status.memory?;
    Some(format!("{} of {} used by models", size(memory.used_bytes), size(memory.limit_bytes)))
}

fn clock(skew_ms: i64) -> String {
    let seconds = skew_ms.unsigned_abs().div_euclid(1000);
    match skew_ms {
        -999..=999 => "right".to_owned(),
        1000.. => format!("{seconds} s ahead of the gateway's"),
        _ => format!("{seconds} s behind the gateway's"),
    }
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_names_everybody_or_the_teams_and_users() {
        let with = |organisation, teams: &[&str], users: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            sharing(&NodeSharingBody { organisation, teams: texts(teams), users: texts(users) })
        };
        assert_eq!(with(true, &["team_1"], &[]), "every member of the organisation");
        assert_eq!(with(false, &["team_1"], &["usr_1"]), "the team team_1, usr_1");
        assert_eq!(with(false, &[], &[]), "nobody else");
    }

    #[test]
    fn clock_names_the_direction_of_a_difference() {
        assert_eq!(clock(-300_000), "300 s behind the gateway's");
        assert_eq!((clock(2500).as_str(), clock(40).as_str()), ("2 s ahead of the gateway's", "right"));
    }
}
