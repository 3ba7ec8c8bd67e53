//! Schemas and templates, which requests of the function `generate` name.

use hearth_domain::{DefinitionId, DefinitionKind, Owner, Visibility};
use hearth_store::definitions::DefinitionRecord;
use hearth_tests::{Cloud, definition_record, first_version};
use lambda_emulator::Emulator;
use serde_json::json;

use crate::{MODEL, Placeholders, invoke};

/// Stores a schema of the owner's organisation.
pub(crate) async fn store(cloud: &Cloud, owner: Owner, name: &str) -> DefinitionId {
    let record = DefinitionRecord {
        visibility: Visibility::Organisation,
        ..definition_record(owner, DefinitionKind::Schema, name)
    };
    let content = r#"{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false}"#;
    cloud.store().definitions().create(&record, &first_version(owner), content).await.unwrap();
    record.id
}

/// Generates with the latest version below a major number.
pub(crate) async fn use_definitions(cloud: &Cloud, function: &Emulator, values: &Placeholders) {
    let user = cloud.store().operator().await.unwrap();
    let organisation = hearth_domain::OrganisationId::of_operator(user);
    store(cloud, Owner { user, organisation }, "verdict").await;
    let mut event = values.event("post_v1.generate.json");
    let parameters = json!({"temperature": 0});
    let body = json!({"model": MODEL, "input": {"prompt": "Hi"}, "schema_id": "verdict@1", "parameters": parameters});
    event["body"] = body.to_string().into();
    let answer = invoke(function, &event).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", String::from_utf8_lossy(&answer.body()));
    assert_eq!(answer.headers["x-hearth-schema"], "verdict@1.0.0");
}
