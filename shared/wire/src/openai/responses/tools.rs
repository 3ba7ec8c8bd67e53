//! Tools in this API's form: without chat's object between `type` and `name`.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A tool.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
pub struct ResponsesTool {
    /// `function`; `custom`, which takes a text; `namespace`, which contains functions; or a tool of a provider of this
    /// dialect, such as `web_search`, `file_search`, `code_interpreter`, `image_generation`, `mcp` or `computer`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The name: 1 to 64 letters, digits, underscores, dots and dashes.
    #[schema(example = "get_weather")]
    pub name: Option<String>,
    /// Description for the model.
    pub description: Option<String>,
    /// Of `function`: JSON Schema of the arguments. Absent: the function has no arguments.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Of `function`: if true, the arguments must fit the schema.
    pub strict: Option<bool>,
    /// Of `namespace`: its functions and custom tools.
    #[schema(no_recursion)]
    pub tools: Option<Vec<Self>>,
    /// Of `custom`: grammar of the input, which is added to the description.
    #[schema(value_type = Option<Object>)]
    pub format: Option<Value>,
    /// Other fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

/// Not derived: clients require every field of a function, and accept no field of another type of tool.
impl Serialize for ResponsesTool {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let is_function = self.kind == "function";
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("type", &self.kind)?;
        let texts = [("name", &self.name), ("description", &self.description)];
        for (name, text) in texts.into_iter().filter(|(_, text)| is_function || text.is_some()) {
            map.serialize_entry(name, text)?;
        }
        for (name, value) in [("parameters", &self.parameters), ("format", &self.format)] {
            if value.is_some() || (is_function && name == "parameters") {
                map.serialize_entry(name, value)?;
            }
        }
        if is_function || self.strict.is_some() {
            map.serialize_entry("strict", &self.strict)?;
        }
        if let Some(tools) = &self.tools {
            map.serialize_entry("tools", tools)?;
        }
        for (name, value) in &self.settings {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
