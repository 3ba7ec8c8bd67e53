//! Ids of a response's items. `msg_RUN_2` is item 2 of the run `req_RUN`: the id alone leads to the stored item.

use hearth_domain::RunId;
use serde_json::{Map, Value};

/// Prefix of a message's id.
pub(super) const MESSAGE: &str = "msg";
/// Prefix of a reasoning item's id.
pub(super) const REASONING: &str = "rs";
/// Prefix of a function call's id.
pub(super) const FUNCTION_CALL: &str = "fc";
/// Prefix of a custom tool call's id.
pub(super) const CUSTOM_TOOL_CALL: &str = "ctc";
/// Prefix of the id of a call's output.
pub(super) const CALL_OUTPUT: &str = "fco";

/// Prefix of the id of a provider's item without one.
const PROVIDER_ITEM: &str = "item";

/// Returns a provider's item with the id of the item at `index` of the run `run`, with the prefix of its own id: OpenAI
/// requires the prefix of the item's type.
pub(super) fn provider_item(item: &Map<String, Value>, run: &str, index: usize) -> Map<String, Value> {
    let own = item.get("id").and_then(Value::as_str).and_then(|id| id.split_once('_'));
    let prefix = own.map_or(PROVIDER_ITEM, |(prefix, _)| prefix);
    let mut item = item.clone();
    item.insert("id".to_owned(), format_item_id(prefix, run, index).into());
    item
}

/// The parts of an item's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ItemId {
    pub(super) prefix: String,
    pub(super) run: RunId,
    /// Index of the item in the run's output.
    pub(super) index: usize,
}

/// Formats the id of the item at `index` of the run `run`.
pub(super) fn format_item_id(prefix: &str, run: &str, index: usize) -> String {
    format!("{prefix}_{}_{index}", run.trim_start_matches(RunId::PREFIX))
}

impl ItemId {
    /// Parses an id; `None` if it is not an item's.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let (prefix, rest) = id.split_once('_')?;
        let (stem, index) = rest.rsplit_once('_')?;
        let run = format!("{}{stem}", RunId::PREFIX).parse().ok()?;
        Some(Self { prefix: prefix.to_owned(), run, index: index.parse().ok()? })
    }
}
