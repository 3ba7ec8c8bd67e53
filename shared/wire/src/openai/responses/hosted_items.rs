//! Items of tools that the provider itself ran.

use super::{InputItem, item_id::ItemId};
use crate::extension::PLACEHOLDER_FIELDS;

/// Types of these items. Another provider doesn't need them: their results are in the text that follows
/// (<https://platform.openai.com/docs/api-reference/responses/object>).
const HOSTED_ITEMS: [&str; 6] = [
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
    "web_search_call",
];
/// The one type of which OpenAI takes an item without content: older searches have an id and a status alone.
const WITHOUT_CONTENT: &str = "web_search_call";

/// Returns whether items of this type are of a tool that the provider itself ran, so that another provider doesn't need them.
#[must_use]
pub fn is_hosted_item(kind: &str) -> bool {
    HOSTED_ITEMS.contains(&kind)
}

impl InputItem {
    /// Returns whether it stands for an item of a stored response, without its content.
    pub(super) fn lacks_content(&self) -> bool {
        let is_stand_in = |kind: &str| is_hosted_item(kind) && kind != WITHOUT_CONTENT;
        self.kind.as_deref().is_some_and(is_stand_in)
            && self.id.as_deref().and_then(ItemId::parse).is_some()
            && self.name.is_none()
            && self.tools.is_none()
            && self.output.is_none()
            && self.extra.iter().all(|(name, value)| value.is_null() || PLACEHOLDER_FIELDS.contains(&&**name))
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::RunId;
    use serde_json::{Value, json};

    use super::*;
    use crate::openai::responses::item_id::format_item_id;

    #[test]
    fn stand_in_lacks_content() {
        let lacks = |item: Value| serde_json::from_value::<InputItem>(item).unwrap().lacks_content();
        let id = format_item_id("ig", &RunId::new().to_string(), 0);
        assert!(lacks(json!({"type": "image_generation_call", "id": id, "status": "completed"})));
        assert!(lacks(json!({"type": "image_generation_call", "id": id, "result": null})));
        assert!(lacks(json!({"type": "mcp_call", "id": id, "arguments": "{}"})));
        assert!(lacks(json!({"type": "code_interpreter_call", "id": id, "code": "1"})));
        assert!(!lacks(json!({"type": "image_generation_call", "id": id, "result": "iVBO"})));
        assert!(!lacks(json!({"type": "mcp_call", "id": id, "name": "ask", "arguments": "{}"})));
        assert!(!lacks(json!({"type": "mcp_list_tools", "id": id, "tools": []})));
        assert!(!lacks(json!({"type": "web_search_call", "id": id, "status": "completed"})));
        assert!(!lacks(json!({"type": "computer_call", "id": id, "status": "completed"})));
        // A picture that OpenAI itself has stored.
        assert!(!lacks(json!({"type": "image_generation_call", "id": "ig_1"})));
    }
}
