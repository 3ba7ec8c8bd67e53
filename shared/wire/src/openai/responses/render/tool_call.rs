//! Items of function calls and custom tool calls.

use super::{IN_PROGRESS, ResponsesRenderer};
use crate::{
    event::ToolCallBegin,
    openai::responses::{OutputItem, item_id, item_layout::AnswerPart, tool_names::ClientName},
};
use serde_json::json;

impl ResponsesRenderer {
    pub(super) fn add_to_call(&mut self, number: u32, begins: Option<&ToolCallBegin>, added: &str) {
        let part = AnswerPart::Call(number);
        let index = match (self.items.iter().position(|item| item.part == part), begins) {
            (Some(index), _) => index,
            (None, Some(ToolCallBegin { id, name })) => {
                self.end_all_but_calls();
                let call = self.new_call(id.clone(), name);
                self.add_item(part, call)
            }
            // Arguments of a call that never began are dropped.
            (None, None) => return,
        };
        match self.item_mut(index) {
            Some(OutputItem::FunctionCall { arguments, .. }) => arguments.push_str(added),
            // The input is emitted at the end, when the JSON around it is whole.
            Some(OutputItem::CustomToolCall { input, .. }) => {
                input.push_str(added);
                return;
            }
            _ => {}
        }
        if !added.is_empty() {
            let fields = json!({"delta": added});
            self.emit_for_item(index, "response.function_call_arguments.delta", fields);
        }
    }

    /// Creates the item of a call of `function`, with the client's name for it.
    fn new_call(&self, call_id: String, function: &str) -> OutputItem {
        let status = IN_PROGRESS.to_owned();
        let client = self.options.client_names.get(function).cloned();
        let ClientName { namespace, name, custom } = client.unwrap_or_else(|| ClientName {
            namespace: None,
            name: function.to_owned(),
            custom: false,
        });
        if custom {
            let (id, input) = (self.next_item_id(item_id::CUSTOM_TOOL_CALL), String::new());
            return OutputItem::CustomToolCall { id, status, call_id, name, namespace, input };
        }
        let (id, arguments) = (self.next_item_id(item_id::FUNCTION_CALL), String::new());
        OutputItem::FunctionCall { id, status, call_id, name, namespace, arguments }
    }
}
