//! The list of all settings, for the comparison with `docs/configuration.md`.

use serde::Serialize;
use serde_json::Value;

use crate::{Settings, variable};

/// A setting as the code has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedSetting {
    /// Its dotted name in `hearth.toml`.
    pub name: String,
    /// Its environment variable.
    pub variable: String,
    /// Its default; null if there is none, or one that depends on the machine.
    pub default: Value,
}

/// Lists every setting that has a name of its own; tables of free names, such as `providers`, are left out.
#[must_use]
pub fn list() -> Vec<ListedSetting> {
    let mut settings = Vec::new();
    if let Ok(Value::Object(defaults)) = serde_json::to_value(Settings::default()) {
        defaults.into_iter().for_each(|(name, value)| collect(name, value, &mut settings));
    }
    settings
}

fn collect(name: String, default: Value, settings: &mut Vec<ListedSetting>) {
    match default {
        Value::Object(table) => {
            table.into_iter().for_each(|(key, value)| collect(format!("{name}.{key}"), value, settings));
        }
        default => {
            settings.push(ListedSetting { variable: variable::of_setting(&name), name, default });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_setting_has_its_variable_and_default() {
        let settings = list();
        let slots = settings.iter().find(|setting| setting.name == "node.slots").unwrap();
        assert_eq!((slots.variable.as_str(), &slots.default), ("HEARTH_NODE__SLOTS", &Value::from(4)));
        assert!(settings.iter().any(|setting| setting.name == "token" && setting.default.is_null()));
        assert!(!settings.iter().any(|setting| setting.name.starts_with("providers")));
    }
}
