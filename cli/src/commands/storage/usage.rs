//! `hearth storage`.

use bytesize::ByteSize;
use hearth_node::storage::{self, Entry, Keep};
use serde_json::{Value, json};

use super::{Contents, InUse, ago, limits};
use crate::{
    client::{table::Table, terminal},
    home::model_folder::ModelFolder,
};

/// Prints the contents of the folder.
pub(super) fn show(
    contents: &Contents,
    folder: &ModelFolder,
    in_use: &InUse,
    as_json: bool,
) -> anyhow::Result<()> {
    let free = storage::free_bytes(&folder.path);
    if as_json {
        return terminal::print_json(&json!({
            "folder": folder.path,
            "models": contents.survey.entries.iter().map(|entry| entry_json(entry, contents)).collect::<Vec<_>>(),
            "other_bytes": contents.survey.other_bytes,
            "total_bytes": contents.survey.total(),
            "free_bytes": free,
            "policy": folder.policy,
            "in_use_unknown": in_use.unknown(),
        }));
    }
    terminal::print(&table(contents).fitted(terminal::columns()))?;
    terminal::print_line(&summary(contents, folder, free))?;
    if in_use.unknown().is_some() {
        terminal::note("Which models are in memory is unknown: no gateway answers.");
    }
    Ok(())
}

fn entry_json(entry: &Entry, contents: &Contents) -> Value {
    let item = &entry.item;
    let problem = contents.models.get(&item.id).and_then(|model| model.problem.as_deref());
    json!({
        "id": item.id, "bytes": item.bytes, "last_used": item.last_used, "keep": item.keep,
        "unfinished": entry.unfinished, "problem": problem,
    })
}

fn table(contents: &Contents) -> Table<4> {
    let mut table = Table::new(["MODEL", "SIZE", "LAST USED", "STAYS"]);
    let mut entries: Vec<&Entry> = contents.survey.entries.iter().collect();
    entries.sort_by(|a, b| (b.item.bytes, &a.item.id).cmp(&(a.item.bytes, &b.item.id)));
    for entry in entries {
        let item = &entry.item;
        let stays = match (item.keep, entry.unfinished) {
            (Some(Keep::InUse), true) => "is being downloaded",
            (None, true) => "no: an unfinished download",
            (keep, _) => keep.map_or("", reason),
        };
        table.push([
            item.id.clone(),
            ByteSize(item.bytes).to_string(),
            ago(item.last_used, contents.now),
            stays.to_owned(),
        ]);
    }
    table
}

fn summary(contents: &Contents, folder: &ModelFolder, free: Option<u64>) -> String {
    let total = ByteSize(contents.survey.total());
    let free =
        free.map_or_else(|| "an unknown size is".to_owned(), |bytes| format!("{} are", ByteSize(bytes)));
    let limit = limits(&folder.policy).unwrap_or_else(|| "no limit is set".to_owned());
    format!("\n{} takes {total}; {free} free on its disk; {limit}", folder.path.display())
}

/// The reason why a model stays.
pub(super) fn reason(keep: Keep) -> &'static str {
    match keep {
        Keep::Default => "the default model",
        Keep::InUse => "in memory",
        Keep::Embedded => "comes with hearth",
        Keep::Outside => "in another folder",
    }
}
