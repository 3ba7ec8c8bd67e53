//! Variables that contain tables of settings as JSON: for tables of free names, which one variable for each setting
//! would express badly.

use config::{ConfigError, Map, Source, Value as ConfigValue, ValueKind};
use serde_json::Value;

use crate::variable::PREFIX;

/// The variable with all tables of routing in one.
const ROUTING: &str = "ROUTING";
/// The tables of routing, each of which may have a variable of its own too.
const ROUTING_TABLES: [&str; 4] = ["providers", "aliases", "fallbacks", "selection"];
/// Tables outside of routing, each of which has a variable: facts of models, and identity providers.
const OTHER_TABLES: [&str; 2] = ["models", "identity_providers"];

/// Names the tables that the variable may contain; none if it isn't such a variable.
pub(crate) fn tables(variable: &str) -> &'static [&'static str] {
    let name = variable.get(PREFIX.len()..).unwrap_or_default();
    if name.eq_ignore_ascii_case(ROUTING) {
        return &ROUTING_TABLES;
    }
    let of = |tables: &'static [&'static str]| {
        let table = tables.iter().position(|table| name.eq_ignore_ascii_case(table));
        table.and_then(|at| tables.get(at..=at))
    };
    of(&ROUTING_TABLES).or_else(|| of(&OTHER_TABLES)).unwrap_or_default()
}

/// Settings of one such variable.
#[derive(Debug, Clone)]
pub(crate) struct JsonVariable(Map<String, ConfigValue>);

impl JsonVariable {
    /// Parses the variable's text.
    pub(crate) fn parse(variable: &str, json: &str) -> Result<Self, ConfigError> {
        let message = |problem: String| ConfigError::Message(problem);
        let value: Value =
            serde_json::from_str(json).map_err(|error| message(format!("it is not valid JSON: {error}")))?;
        let Value::Object(object) = value else {
            return Err(message("it must be a JSON object".to_owned()));
        };
        let allowed = tables(variable);
        if let [table] = allowed {
            let table_of_all = ((*table).to_owned(), to_config(Value::Object(object)));
            return Ok(Self(Map::from([table_of_all])));
        }
        if let Some(unknown) = object.keys().find(|key| !allowed.contains(&key.as_str())) {
            let allowed = allowed.join(", ");
            return Err(message(format!("there is no setting `{unknown}` here; there are: {allowed}")));
        }
        Ok(Self(object.into_iter().map(|(key, value)| (key, to_config(value))).collect()))
    }
}

impl Source for JsonVariable {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, ConfigValue>, ConfigError> {
        Ok(self.0.clone())
    }
}

fn to_config(value: Value) -> ConfigValue {
    let kind = match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(bool) => ValueKind::Boolean(bool),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => ValueKind::I64(number),
            (None, Some(number)) => ValueKind::U64(number),
            (None, None) => ValueKind::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => ValueKind::String(text),
        Value::Array(values) => ValueKind::Array(values.into_iter().map(to_config).collect()),
        Value::Object(object) => {
            ValueKind::Table(object.into_iter().map(|(key, value)| (key, to_config(value))).collect())
        }
    };
    ConfigValue::new(None, kind)
}

/// Names the variables that contain tables as JSON.
#[must_use]
pub fn json_variables() -> Vec<String> {
    let names = [ROUTING].into_iter().chain(ROUTING_TABLES).chain(OTHER_TABLES);
    names.map(|name| format!("{PREFIX}{}", name.to_uppercase())).collect()
}
