//! Limit of the nesting of a request's JSON that is stored as it came.

use serde_json::{Map, Value};

use super::{InputItem, ItemContent, ItemOutput, ItemPart, ResponsesRequest, ResponsesTool};
use crate::{ApiError, extension::is_deeper_than};

/// Deepest nesting of a value in an item, a tool or the metadata. A stored conversation wraps it in further levels, and JSON of more
/// than 127 can't be read.
const VALUE_MAX_DEPTH: usize = 100;

impl ResponsesRequest {
    /// Checks that tools and metadata, which the response repeats, can be stored.
    ///
    /// # Errors
    /// `invalid_request`, naming the field, if a value in it is nested too deep.
    pub(super) fn check_depth(&self) -> Result<(), ApiError> {
        let mut tools = self.tools.iter().flatten().enumerate();
        if let Some((index, _)) = tools.find(|(_, tool)| tool.is_too_deep()) {
            return Err(too_deep(format!("tools[{index}]")));
        }
        if self.metadata.iter().flat_map(Map::values).any(is_too_deep) {
            return Err(too_deep("metadata".to_owned()));
        }
        Ok(())
    }
}

impl ResponsesTool {
    /// Returns whether a field other than a function's schema, which has a limit of its own, is nested too deep.
    fn is_too_deep(&self) -> bool {
        let schema = self.parameters.as_ref().filter(|_| self.kind != "function");
        let mut fields = self.settings.values().chain(&self.format).chain(schema);
        fields.any(is_too_deep) || self.tools.iter().flatten().any(Self::is_too_deep)
    }
}

impl InputItem {
    /// Checks that the item can be stored.
    ///
    /// # Errors
    /// `invalid_request`, naming the item `index`, if a value in it is nested too deep.
    pub(super) fn check_depth(&self, index: usize) -> Result<(), ApiError> {
        let contents = match (&self.content, &self.output) {
            (content, Some(ItemOutput::Content(output))) => [content.as_ref(), Some(output)],
            (content, _) => [content.as_ref(), None],
        };
        let parts = contents.into_iter().flatten().filter_map(|content| match content {
            ItemContent::Parts(parts) => Some(parts),
            ItemContent::Text(_) => None,
        });
        let parts: Vec<&ItemPart> = parts.chain(&self.summary).flatten().collect();
        let output = match &self.output {
            Some(ItemOutput::Other(fields)) => Some(fields),
            _ => None,
        };
        let fields = parts.into_iter().map(|part| &part.extra).chain(output).chain([&self.extra]);
        let values = fields.flat_map(Map::values).chain(self.tools.iter().flatten()).chain(&self.arguments);
        if values.into_iter().any(is_too_deep) {
            return Err(too_deep(format!("input[{index}]")));
        }
        Ok(())
    }
}

fn is_too_deep(value: &Value) -> bool {
    is_deeper_than(value, VALUE_MAX_DEPTH)
}

fn too_deep(param: String) -> ApiError {
    let message = format!(
        "it is nested too deep: a field in it may have {VALUE_MAX_DEPTH} levels of objects and lists"
    );
    ApiError::invalid(param, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tool_and_metadata_that_are_nested_too_deep_are_refused_by_their_place() {
        let deep = (0..=VALUE_MAX_DEPTH).fold(json!(1), |value, _| json!([value]));
        let with =
            |tool: Value| json!({"model": "m", "input": "Hi", "tools": [{"type": "web_search"}, tool]});
        let search = json!({"type": "web_search", "x": deep});
        let custom = json!({"type": "custom", "name": "f", "format": {"x": deep}});
        let namespace = json!({"type": "namespace", "name": "n", "tools": [search]});
        // Its schema has a limit of its own.
        let function = json!({"type": "function", "name": "f", "parameters": deep});
        for (request, param) in [
            (with(search), Some("tools[1]")),
            (with(custom), Some("tools[1]")),
            (with(namespace), Some("tools[1]")),
            (json!({"model": "m", "metadata": {"x": deep}}), Some("metadata")),
            (with(function), None),
        ] {
            let request: ResponsesRequest = serde_json::from_value(request).unwrap();
            let error = request.check_depth().err();
            assert_eq!(error.and_then(|error| error.param).as_deref(), param);
        }
    }

    #[test]
    fn item_that_is_nested_too_deep_is_refused_by_its_place() {
        let nested =
            |levels: usize| (0..levels).fold(json!(1), |value, _: usize| -> Value { json!([value]) });
        let items = |value: Value| {
            [
                json!({"type": "x_call", "x": value}),
                json!({"type": "shell_call_output", "output": {"x": value}}),
                json!({"role": "user", "content": [{"type": "x_part", "x": value}]}),
                json!({"type": "mcp_list_tools", "tools": [{"x": value}]}),
                json!({"type": "tool_search_call", "arguments": value}),
            ]
        };
        for item in items(nested(VALUE_MAX_DEPTH - 2)) {
            let item: InputItem = serde_json::from_value(item).unwrap();
            item.check_depth(0).unwrap();
        }
        for item in items(nested(VALUE_MAX_DEPTH + 1)) {
            let item: InputItem = serde_json::from_value(item.clone()).unwrap();
            let error = item.check_depth(3).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("input[3]"));
        }
    }
}
