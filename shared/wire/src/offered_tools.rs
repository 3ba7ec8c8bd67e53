//! A request's tools without their dialect.

use std::collections::{BTreeMap, HashSet};

use hearth_domain::{HostedTools, Tool, ToolChoice};
use serde_json::{Map, Value};

/// The tools of a request.
#[derive(Debug, Default)]
pub(crate) struct OfferedTools {
    /// Functions, which the client runs.
    pub(crate) functions: Vec<Tool>,
    /// Field of each function in the request, such as `tools[2]`, for errors.
    pub(crate) params: Vec<String>,
    /// Tools that a provider of this dialect runs.
    pub(crate) hosted: HostedTools,
    /// Unknown fields of functions, by function name.
    pub(crate) extra: BTreeMap<String, Map<String, Value>>,
}

impl OfferedTools {
    /// Adds a function. `param` is its field in the request, `extra` its unknown fields.
    pub(crate) fn add_function(&mut self, function: Tool, param: String, extra: Map<String, Value>) {
        if !extra.is_empty() {
            self.extra.insert(function.name.clone(), extra);
        }
        self.functions.push(function);
        self.params.push(param);
    }

    /// Removes all functions but those with these names.
    pub(crate) fn retain_functions(&mut self, names: &[String]) {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut params = std::mem::take(&mut self.params).into_iter();
        self.functions.retain(|function| {
            let stays = names.contains(function.name.as_str());
            self.params.extend(params.next().filter(|_| stays));
            stays
        });
    }

    /// The names of all functions.
    pub(crate) fn function_names(&self) -> HashSet<&str> {
        self.functions.iter().map(|function| function.name.as_str()).collect()
    }

    /// Records that the model must call a tool, which may be a hosted one. `raw` is the choice in the client's words, for
    /// a provider of this dialect. Returns the choice among the functions.
    pub(crate) fn require_any(&mut self, raw: Value) -> ToolChoice {
        self.hosted.need(None, raw);
        if self.functions.is_empty() { ToolChoice::Auto } else { ToolChoice::Required }
    }
}

/// Returns the field of the function at `index`, for errors. Without `params`, that of a request with functions only.
pub(crate) fn tool_param(params: &[String], index: usize) -> String {
    params.get(index).cloned().unwrap_or_else(|| format!("tools[{index}]"))
}
