//! What a client of this dialect says beyond what the gateway knows.

use serde_json::{Map, Value};

/// Settings that the gateway knows in part only: the client's own words stand in place of what was understood.
const AS_GIVEN: [(&str, &str); 2] =
    [("generationConfig", "thinkingConfig"), ("toolConfig", "functionCallingConfig")];

/// Adds the further fields of a request to its body.
pub(super) fn add(fields: Map<String, Value>, body: &mut Value) {
    for (group, name) in AS_GIVEN {
        if fields.get(group).is_some_and(|group| group.get(name).is_some())
            && let Some(known) = body.get_mut(group).and_then(Value::as_object_mut)
        {
            known.remove(name);
        }
    }
    merge(fields, body);
}

/// Adds fields where there are none of their names, at every depth.
pub(super) fn merge(fields: Map<String, Value>, to: &mut Value) {
    let Some(to) = to.as_object_mut() else { return };
    for (name, value) in fields {
        match (to.get_mut(&name), value) {
            (None, value) => {
                to.insert(name, value);
            }
            (Some(known @ Value::Object(_)), Value::Object(fields)) => merge(fields, known),
            _ => {}
        }
    }
}
