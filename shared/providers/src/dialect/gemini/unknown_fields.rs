//! Merges the unknown fields of a client of this dialect into a body.

use serde_json::{Map, Value};

/// Settings that the gateway understands only in part: the client's own object replaces the gateway's.
const CLIENT_WINS: [(&str, &str); 2] =
    [("generationConfig", "thinkingConfig"), ("toolConfig", "functionCallingConfig")];

/// Adds the unknown fields of a request to its body.
pub(super) fn add(fields: Map<String, Value>, body: &mut Value) {
    for (group, name) in CLIENT_WINS {
        if fields.get(group).is_some_and(|group| group.get(name).is_some())
            && let Some(own) = body.get_mut(group).and_then(Value::as_object_mut)
        {
            own.remove(name);
        }
    }
    merge(fields, body);
}

/// Adds fields that an object doesn't have, at every depth.
pub(super) fn merge(fields: Map<String, Value>, to: &mut Value) {
    let Some(to) = to.as_object_mut() else { return };
    for (name, value) in fields {
        match (to.get_mut(&name), value) {
            (None, value) => {
                to.insert(name, value);
            }
            (Some(own @ Value::Object(_)), Value::Object(fields)) => merge(fields, own),
            _ => {}
        }
    }
}
