//! Leaves out the blocks of tools that Anthropic ran, for a client whose request has none of them.

use hearth_domain::{ClientDialect, Extra, TextTask};
use hearth_wire::{ApiError, RunEventBody, extension::Extension};

use crate::decoder::{Decoder, Frame};

/// Fields of a request that let Anthropic run tools.
const TOOL_FIELDS: [&str; 2] = ["container", "mcp_servers"];

/// Returns whether a client of Anthropic's dialect isn't prepared for blocks of Anthropic's tools: the request offers none, and
/// the conversation has no block that the gateway doesn't know. Some servers of this dialect run tools nevertheless.
pub(in crate::rules) fn leaves_out_tool_blocks(extra: &Extra, task: &TextTask) -> bool {
    extra.dialect == ClientDialect::Anthropic
        && extra.hosted.definitions.is_empty()
        && !TOOL_FIELDS.iter().any(|field| extra.fields.contains_key(*field))
        && task.messages.iter().all(|message| message.opaque_parts().next().is_none())
}

/// A decoder without blocks of the provider's tools.
pub(super) struct ToolBlockFilter {
    decoder: Box<dyn Decoder>,
    /// True if the latest text is followed by a block that was left out: further text begins a block of its own.
    ends_text: bool,
    has_text: bool,
}

impl ToolBlockFilter {
    pub(super) fn new(decoder: Box<dyn Decoder>) -> Self {
        Self { decoder, ends_text: false, has_text: false }
    }

    /// Adds the event, unless it is a block of a tool.
    fn add(&mut self, event: RunEventBody, events: &mut Vec<RunEventBody>) {
        if is_tool_block(&event) {
            self.ends_text = self.has_text;
            return;
        }
        match &event {
            RunEventBody::Delta { .. } => {
                if std::mem::take(&mut self.ends_text) {
                    events.push(RunEventBody::extension(ClientDialect::Anthropic, Extension::TextBlock));
                }
                self.has_text = true;
            }
            // Another part between them separates texts too.
            RunEventBody::Reasoning { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::Extension { .. } => {
                (self.ends_text, self.has_text) = (false, false);
            }
            _ => {}
        }
        events.push(event);
    }
}

impl Decoder for ToolBlockFilter {
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let first = events.len();
        self.decoder.decode(frame, events)?;
        for event in events.split_off(first) {
            self.add(event, events);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let mut events = Vec::new();
        for event in self.decoder.end()? {
            self.add(event, &mut events);
        }
        Ok(events)
    }
}

/// Returns whether an event is a block such as `server_tool_use` or `mcp_tool_result`.
fn is_tool_block(event: &RunEventBody) -> bool {
    let RunEventBody::Extension {
        dialect: ClientDialect::Anthropic, extension: Extension::Item(block), ..
    } = event
    else {
        return false;
    };
    block["type"].as_str().is_some_and(|kind| kind.ends_with("_tool_use") || kind.ends_with("_tool_result"))
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, Role, Sampling};
    use serde_json::{Map, json};

    use super::*;

    struct Once(Vec<RunEventBody>);

    impl Decoder for Once {
        fn decode(&mut self, _: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
            events.append(&mut self.0);
            Ok(())
        }

        fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn blocks_of_tools_that_the_request_lacks_are_left_out() {
        let block = |kind: &str| {
            RunEventBody::extension(ClientDialect::Anthropic, Extension::Item(json!({"type": kind})))
        };
        let text = || RunEventBody::text("Hello");
        let all =
            vec![block("server_tool_use"), block("web_search_tool_result"), block("compaction"), text()];
        let mut decoder = ToolBlockFilter::new(Box::new(Once(all)));
        let mut events = vec![block("mcp_tool_use")];
        decoder.decode(Frame { event: "", data: "" }, &mut events).unwrap();
        assert_eq!(events, [block("mcp_tool_use"), block("compaction"), text()]);
    }

    #[test]
    fn a_request_with_tools_of_the_provider_gets_their_blocks() {
        let task = TextTask::new(vec![Message::new(Role::User, "hi")], Sampling::default());
        let mut extra = Extra { dialect: ClientDialect::Anthropic, ..Extra::default() };
        assert!(leaves_out_tool_blocks(&extra, &task));
        extra.fields = Map::from_iter([("mcp_servers".to_owned(), json!([]))]);
        assert!(!leaves_out_tool_blocks(&extra, &task));
        let other = Extra { dialect: ClientDialect::OpenAiChat, ..Extra::default() };
        assert!(!leaves_out_tool_blocks(&other, &task));
    }
}
