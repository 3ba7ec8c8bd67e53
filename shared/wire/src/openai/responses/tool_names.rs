//! Names of tools in a namespace.
//!
//! Providers and models know plain function names. A function in a namespace gets one name that includes the namespace,
//! such as `mcp__files__read`; calls are rendered with the client's own two names again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::ResponsesTool;

/// Separator of a namespace and a name.
const SEPARATOR: &str = "__";
/// Longest function name that every provider accepts.
const NAME_MAX_BYTES: usize = 64;
/// Part of a longer name that stays, before its hash.
const NAME_PREFIX_MAX_BYTES: usize = 55;

/// The client's name of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClientName {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// True for a custom tool: its calls have a text as input, not JSON arguments.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) custom: bool,
}

/// The client's names of tools, by function name. A function outside of a namespace has no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ClientNames(HashMap<String, ClientName>);

impl ClientNames {
    /// Collects the names of `tools`.
    pub(super) fn of<'a>(tools: impl IntoIterator<Item = &'a ResponsesTool>) -> Self {
        let mut names = HashMap::new();
        let mut insert = |namespace: Option<&str>, tool: &ResponsesTool| {
            let custom = tool.kind == "custom";
            let Some(name) = tool.name.as_ref().filter(|_| custom || namespace.is_some()) else { return };
            let client = ClientName { namespace: namespace.map(str::to_owned), name: name.clone(), custom };
            names.insert(function_name(namespace, name), client);
        };
        for tool in tools {
            match (tool.kind.as_str(), &tool.name) {
                ("namespace", Some(namespace)) => {
                    tool.tools.iter().flatten().for_each(|inner| insert(Some(namespace), inner));
                }
                _ => insert(None, tool),
            }
        }
        Self(names)
    }

    /// True if every tool has the client's name.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The client's name of `function`, where it differs.
    pub(super) fn get(&self, function: &str) -> Option<&ClientName> {
        self.0.get(function)
    }
}

/// Builds the function name of a tool in a namespace. It depends on the two names alone, so that it is the same in every
/// request of a conversation.
pub(super) fn function_name(namespace: Option<&str>, name: &str) -> String {
    let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) else { return name.to_owned() };
    let whole = format!("{namespace}{SEPARATOR}{name}");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if whole.len() <= NAME_MAX_BYTES && whole.chars().all(is_plain) {
        return whole;
    }
    let plain = whole.chars().map(|c| if is_plain(c) { c } else { '_' });
    let prefix: String = plain.take(NAME_PREFIX_MAX_BYTES).collect();
    format!("{prefix}_{:08x}", fnv1a(&whole))
}

/// 32-bit FNV-1a: distinguishes long names with the same beginning.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_names_stay_distinct_and_within_limits() {
        let long = |end: &str| {
            function_name(Some("mcp__a_server_with_a_long_name"), &format!("{}{end}", "t".repeat(60)))
        };
        assert!(long("1").len() <= NAME_MAX_BYTES);
        assert_ne!(long("1"), long("2"));
        assert_eq!(long("1"), long("1"));
        let odd = function_name(Some("a b"), "c");
        assert!(odd.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{odd}");
        assert_eq!(function_name(None, "a.b"), "a.b");
        assert_eq!(function_name(Some(""), "a"), "a");
    }
}
