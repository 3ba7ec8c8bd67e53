//! The registry as SQL for PostgreSQL 12 or later, such as Supabase: tables, keys and rows. It can be loaded again.

use hearth_wire::native::{model_schemas::SchemaBody, models::ModelBody};
use serde::Serialize;
use serde_json::Value;

use super::Line;

const TABLES: &str = "\
BEGIN;
CREATE TABLE IF NOT EXISTS hearth_models (
  id text PRIMARY KEY,
  name text NOT NULL,
  version text,
  modality text NOT NULL,
  provider text NOT NULL,
  source text NOT NULL,
  description text,
  source_url text,
  context_length bigint,
  max_output_tokens bigint,
  size_bytes bigint,
  capabilities jsonb NOT NULL,
  inputs jsonb NOT NULL,
  price jsonb,
  registration jsonb,
  created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS hearth_models_modality ON hearth_models (modality, id);
CREATE TABLE IF NOT EXISTS hearth_model_schemas (
  model text NOT NULL REFERENCES hearth_models (id) ON DELETE CASCADE,
  version integer NOT NULL,
  origin text NOT NULL,
  schema jsonb NOT NULL,
  guidance jsonb NOT NULL,
  message text,
  created_at timestamptz,
  PRIMARY KEY (model, version)
);
";

/// The columns of each table, the key's first.
const MODEL_COLUMNS: [&str; 16] = [
    "id",
    "name",
    "version",
    "modality",
    "provider",
    "source",
    "description",
    "source_url",
    "context_length",
    "max_output_tokens",
    "size_bytes",
    "capabilities",
    "inputs",
    "price",
    "registration",
    "created_at",
];
const SCHEMA_COLUMNS: [&str; 7] =
    ["model", "version", "origin", "schema", "guidance", "message", "created_at"];

/// Writes a script that creates the tables, and inserts or updates the rows in one transaction.
pub(super) fn script(lines: &[Line]) -> String {
    let mut script = TABLES.to_owned();
    for line in lines {
        match line {
            Line::Registry { .. } => {}
            Line::Model(model) => {
                insert(&mut script, "hearth_models", &MODEL_COLUMNS, 1, &model_values(model))
            }
            Line::Schema(schema) => {
                if let Some(values) = schema_values(schema) {
                    insert(&mut script, "hearth_model_schemas", &SCHEMA_COLUMNS, 2, &values);
                }
            }
        }
    }
    script.push_str("COMMIT;\n");
    script
}

fn insert(script: &mut String, table: &str, columns: &[&str], key_count: usize, values: &[String]) {
    let updates: Vec<String> =
        columns.iter().skip(key_count).map(|column| format!("{column} = EXCLUDED.{column}")).collect();
    script.push_str(&format!(
        "INSERT INTO {table} ({}) VALUES ({})\n  ON CONFLICT ({}) DO UPDATE SET {};\n",
        columns.join(", "),
        values.join(", "),
        columns[..key_count].join(", "),
        updates.join(", "),
    ));
}

fn model_values(model: &ModelBody) -> [String; 16] {
    [
        text(&model.id),
        text(&model.name),
        optional(model.version.as_deref(), text),
        text(model.modality.as_str()),
        text(&model.provider),
        text(json(&model.source).as_str().unwrap_or_default()),
        optional(model.description.as_deref(), text),
        optional(model.source_url.as_deref(), text),
        optional(model.context_length, |number| number.to_string()),
        optional(model.max_output_tokens, |number| number.to_string()),
        optional(model.size_bytes, |number| number.to_string()),
        jsonb(&model.capabilities),
        jsonb(&model.inputs),
        optional(model.price.as_ref(), jsonb),
        optional(model.registration.as_ref(), jsonb),
        format!("to_timestamp({})", model.created),
    ]
}

fn schema_values(schema: &SchemaBody) -> Option<[String; 7]> {
    Some([
        text(schema.model.as_deref()?),
        schema.version.to_string(),
        text(json(&schema.origin).as_str().unwrap_or_default()),
        jsonb(&schema.schema),
        jsonb(&schema.guidance),
        optional(schema.message.as_deref(), text),
        optional(schema.created_at.as_deref(), text),
    ])
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn optional<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "NULL".to_owned(), write)
}

fn jsonb<T: Serialize + ?Sized>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    // PostgreSQL has no null characters, in JSON neither.
    format!("{}::jsonb", text(&json.replace("\\u0000", "")))
}

/// Writes a text as a literal: with `E` and doubled backslashes, whatever `standard_conforming_strings` is.
fn text(text: &str) -> String {
    let text = text.replace('\0', "");
    if text.contains('\\') {
        return format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_stay_in_their_literal() {
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text(r"a\'; DROP TABLE x; --"), r"E'a\\''; DROP TABLE x; --'");
        assert_eq!(text("a\0b"), "'ab'");
    }
}
