//! A request's tools as every provider and every model knows them: functions with plain names.
//!
//! This API has more kinds. Functions may stand in a namespace: they get a name that has the namespace's in it, and a
//! call tells the client's own names again. A custom tool takes any text: it becomes a function with one parameter. A
//! hosted tool, such as `web_search`, is run by the provider: its definition is kept for a provider of this dialect.

use std::collections::{BTreeMap, HashMap};

use hearth_domain::{HostedTools, Tool, ToolChoice};
use serde_json::{Map, Value, json};

use super::{InputItem, ResponsesTool};
use crate::ApiError;

/// The parameter of a function that stands for a custom tool.
const INPUT: &str = "input";
/// What stands between a namespace and a name.
const SEPARATOR: &str = "__";
/// How long a function's name may be at providers.
const NAME_MAX_BYTES: usize = 64;
/// How much of a longer name is kept, before its hash.
const NAME_KEPT_BYTES: usize = 55;

/// How a hosted tool can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosting {
    /// It helps the model, which can answer without it.
    Aid,
    /// It has data or rights that exist at one provider alone.
    Needed,
    /// It comes to nothing: the answer's items of this kind aren't read.
    Unread,
}

impl Hosting {
    fn of(tool: &ResponsesTool) -> Self {
        match tool.kind.as_str() {
            // The client searches, and answers with items that aren't read.
            "tool_search" if tool.settings.get("execution").is_some_and(|who| who == "client") => {
                Self::Unread
            }
            "code_interpreter" | "tool_search" => Self::Aid,
            kind if kind.starts_with("web_search") => Self::Aid,
            _ => Self::Needed,
        }
    }
}

/// The types of tools that a provider of this dialect runs itself, and whose calls an answer can do without.
fn is_hosted(kind: &str) -> bool {
    kind.starts_with("web_search")
        || matches!(kind, "file_search" | "code_interpreter" | "mcp" | "tool_search")
}

/// What a request offers.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// The functions.
    pub(super) functions: Vec<Tool>,
    /// Where each stood, for errors.
    pub(super) places: Vec<String>,
    /// What the provider runs.
    pub(super) hosted: HostedTools,
    /// Further fields of functions, by the functions' names.
    pub(super) extra: BTreeMap<String, Map<String, Value>>,
}

/// A function's name in the client's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientName {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// Whether it is a custom tool, whose calls have a text and no arguments.
    pub(super) custom: bool,
}

/// The client's names, by those that models are shown. Functions outside of namespaces aren't in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClientNames(HashMap<String, ClientName>);

impl ClientNames {
    /// The names of `tools`.
    pub(super) fn of<'a>(tools: impl IntoIterator<Item = &'a ResponsesTool>) -> Self {
        let mut names = HashMap::new();
        let mut note = |namespace: Option<&str>, tool: &ResponsesTool| {
            let custom = tool.kind == "custom";
            let Some(name) = tool.name.as_ref().filter(|_| custom || namespace.is_some()) else { return };
            let client = ClientName { namespace: namespace.map(str::to_owned), name: name.clone(), custom };
            names.insert(function_name(namespace, name), client);
        };
        for tool in tools {
            match (tool.kind.as_str(), &tool.name) {
                ("namespace", Some(namespace)) => {
                    tool.tools.iter().flatten().for_each(|inner| note(Some(namespace), inner));
                }
                _ => note(None, tool),
            }
        }
        Self(names)
    }

    /// What the client calls the function `name`, where that is something else.
    pub(super) fn get(&self, name: &str) -> Option<&ClientName> {
        self.0.get(name)
    }
}

/// The types of tools that the client runs itself, and that coding agents offer beside functions for the same work.
/// Their calls are items of their own, which the gateway does not pass on: models are not shown them.
const DISPENSABLE: [&str; 3] = ["local_shell", "shell", "apply_patch"];

impl Offer {
    /// Takes a tool of the request. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a type of tool that can't be had here.
    pub(super) fn take(&mut self, tool: ResponsesTool, param: &str) -> Result<(), ApiError> {
        if tool.kind != "namespace" {
            return self.take_from(None, tool, param);
        }
        let namespace = needed(tool.name, param, "name")?;
        for (index, inner) in tool.tools.into_iter().flatten().enumerate() {
            self.take_from(Some(&namespace), inner, &format!("{param}.tools[{index}]"))?;
        }
        Ok(())
    }

    fn take_from(
        &mut self,
        namespace: Option<&str>,
        tool: ResponsesTool,
        param: &str,
    ) -> Result<(), ApiError> {
        let function = match tool.kind.as_str() {
            "function" => {
                let name = needed(tool.name, param, "name")?;
                Tool {
                    name: function_name(namespace, &name),
                    description: tool.description,
                    parameters: tool
                        .parameters
                        .unwrap_or_else(|| json!({"type": "object", "properties": {}})),
                    strict: tool.strict.unwrap_or(false),
                }
            }
            "custom" => {
                let name = needed(tool.name, param, "name")?;
                custom(function_name(namespace, &name), tool.description, tool.format.as_ref())
            }
            kind if namespace.is_none() && is_hosted(kind) => {
                self.host(&tool);
                return Ok(());
            }
            // A function of the client's does the same.
            kind if namespace.is_none() && DISPENSABLE.contains(&kind) => return Ok(()),
            kind => return Err(not_had(kind, param)),
        };
        if !tool.settings.is_empty() {
            self.extra.insert(function.name.clone(), tool.settings);
        }
        self.functions.push(function);
        self.places.push(param.to_owned());
        Ok(())
    }

    /// Whether a tool of this type is on offer that the provider runs.
    pub(super) fn has_hosted(&self, kind: &str) -> bool {
        self.hosted.definitions.iter().any(|definition| definition["type"] == kind)
    }

    fn host(&mut self, tool: &ResponsesTool) {
        match Hosting::of(tool) {
            Hosting::Unread => return,
            Hosting::Aid => {}
            Hosting::Needed => self.hosted.needed = Some(tool.kind.clone()),
        }
        self.hosted.definitions.push(json!(tool));
    }

    /// The choice without its dialect, where hosted tools are among what it chooses from. `said` is the choice in the
    /// client's words.
    pub(super) fn choose(&mut self, choice: ToolChoice, said: &Value) -> ToolChoice {
        if choice != ToolChoice::Required || self.hosted.definitions.is_empty() {
            return choice;
        }
        self.hosted.need(None, said.clone());
        // The only ones to choose from are the provider's.
        if self.functions.is_empty() { ToolChoice::Auto } else { choice }
    }
}

/// The tools that items of the input add to the request's.
pub(super) fn additional(item: &InputItem) -> Option<&Vec<ResponsesTool>> {
    item.tools.as_ref().filter(|_| item.kind.as_deref() == Some("additional_tools"))
}

/// The name of a function in a namespace, as models are shown it: such as `mcp__files__read`. The same names give the
/// same one, in whichever request.
pub(super) fn function_name(namespace: Option<&str>, name: &str) -> String {
    let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) else { return name.to_owned() };
    let whole = format!("{namespace}{SEPARATOR}{name}");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if whole.len() <= NAME_MAX_BYTES && whole.chars().all(plain) {
        return whole;
    }
    let kept: String = whole.chars().map(|c| if plain(c) { c } else { '_' }).take(NAME_KEPT_BYTES).collect();
    format!("{kept}_{:08x}", fnv1a(&whole))
}

/// FNV-1a with 32 bits: tells long names that begin alike from each other.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A custom tool as a function of one text.
fn custom(name: String, description: Option<String>, format: Option<&Value>) -> Tool {
    let mut description = description.unwrap_or_default();
    if let Some(grammar) = format.and_then(|format| format["definition"].as_str()) {
        let syntax = format.and_then(|format| format["syntax"].as_str()).unwrap_or("lark");
        let rule = format!("The input must follow this {syntax} grammar:\n{grammar}");
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        description.push_str(&rule);
    }
    Tool {
        name,
        description: Some(description).filter(|text| !text.is_empty()),
        parameters: json!({
            "type": "object",
            "properties": {INPUT: {"type": "string", "description": "The tool's input, as it is."}},
            "required": [INPUT],
            "additionalProperties": false,
        }),
        strict: false,
    }
}

/// The arguments of the function that stands for a custom tool.
pub(super) fn custom_arguments(input: &str) -> String {
    json!({INPUT: input}).to_string()
}

/// The input of a custom tool that a model called as a function. A model that wrote something else than the one
/// parameter meant that as the input.
pub(super) fn custom_input(arguments: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(arguments).ok();
    match parsed.as_ref().and_then(|arguments| arguments[INPUT].as_str()) {
        Some(input) => input.to_owned(),
        None => arguments.to_owned(),
    }
}

/// The error for a type of tool that can't be had here.
pub(super) fn not_had(kind: &str, param: &str) -> ApiError {
    let message = format!(
        "{param}.type is {kind:?}, whose calls the gateway can't pass on; offer a function, and run it when it is called"
    );
    ApiError::invalid(format!("{param}.type"), message)
}

fn needed(value: Option<String>, param: &str, field: &str) -> Result<String, ApiError> {
    value.ok_or_else(|| {
        let param = format!("{param}.{field}");
        let message = format!("{param} is missing");
        ApiError::invalid(param, message)
    })
}

#[cfg(test)]
mod tests;
