//! Merges the unknown fields of a client of this dialect into a body.

use serde_json::{Map, Value};

use crate::json_tree::{Json, Object};

/// Settings that the gateway understands only in part: the client's own object replaces the gateway's.
const CLIENT_WINS: [(&str, &str); 2] =
    [("generationConfig", "thinkingConfig"), ("toolConfig", "functionCallingConfig")];

/// Adds the unknown fields of a request to its body.
pub(super) fn add<'a>(fields: &'a Map<String, Value>, body: &mut Object<'a>) {
    for (group, name) in CLIENT_WINS {
        if fields.get(group).is_some_and(|group| group.get(name).is_some())
            && let Some(own) = body.get_mut(group).and_then(Json::object_mut)
        {
            own.remove(name);
        }
    }
    merge(fields, body);
}

/// Adds fields that an object doesn't have, at every depth.
pub(super) fn merge<'a>(fields: &'a Map<String, Value>, to: &mut Object<'a>) {
    for (name, value) in fields {
        match (to.get_mut(name), value) {
            (None, value) => to.set(name, value),
            (Some(own), Value::Object(fields)) => {
                if let Some(own) = own.object_mut() {
                    merge(fields, own);
                }
            }
            _ => {}
        }
    }
}
