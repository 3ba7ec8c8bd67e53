//! The operations of the OpenAPI document.

use hearth_domain::Action;
use reqwest::Method;
use serde_json::Value;

use super::{
    Expected, Kind,
    nested_objects::{NestedObject, nested_objects},
};

/// The name in the place of an action of operations for nodes.
const NODE_ACTION: &str = "node";

/// An operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: String,
    /// The action that it takes; none for an operation without a permission, or for nodes.
    pub action: Option<Action>,
    /// Nodes send it, and people can't.
    pub is_for_nodes: bool,
    /// The example of its body.
    pub body: Option<Value>,
    /// Places in a JSON body where an object with fields is expected.
    pub nested_objects: Vec<NestedObject>,
    /// Its body is a form.
    pub is_form: bool,
    /// The names of the parameters of its query.
    pub query: Vec<String>,
}

impl Operation {
    /// The expected outcome with a credential.
    #[must_use]
    pub fn expected(&self, credential: Kind) -> Expected {
        if self.is_for_nodes { Expected::Unauthorized } else { credential.expected(self.action) }
    }
}

/// Every operation of a document.
///
/// # Panics
/// If one has no action, or an unknown one.
#[must_use]
pub fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            operations.filter_map(|(method, operation)| {
                let method = method.to_uppercase().parse().ok()?;
                Some(Operation {
                    method,
                    path: path.clone(),
                    action: action(path, operation),
                    is_for_nodes: operation["x-hearth-action"] == NODE_ACTION,
                    body: body(operation),
                    nested_objects: nested_objects(
                        document,
                        &operation["requestBody"]["content"]["application/json"]["schema"],
                    ),
                    is_form: operation["requestBody"]["content"].get("multipart/form-data").is_some(),
                    query: query(operation),
                })
            })
        })
        .collect()
}

fn action(path: &str, operation: &Value) -> Option<Action> {
    let name = operation["x-hearth-action"].as_str().unwrap_or_else(|| panic!("{path} has no action"));
    if name == "none" || name == NODE_ACTION {
        return None;
    }
    let action = Action::ALL.into_iter().find(|action| action.as_str() == name);
    Some(action.unwrap_or_else(|| panic!("{path} has the unknown action {name}")))
}

/// The names of the parameters of the query.
fn query(operation: &Value) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let of_query = parameters.filter(|parameter| parameter["in"] == "query");
    of_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
}

/// The example of a JSON body.
fn body(operation: &Value) -> Option<Value> {
    let content = operation["requestBody"]["content"].as_object()?;
    // One example, or the first of several with names.
    let example =
        |json: &Value| match json["examples"].as_object().and_then(|examples| examples.values().next()) {
            Some(first) => first["value"].clone(),
            None => json["example"].clone(),
        };
    Some(content.get("application/json").map(example).unwrap_or_default())
}
