//! Schemas and templates, which requests of the function `generate` name.

use std::collections::BTreeMap;

use hearth_domain::{
    DefinitionId, DefinitionKind, Owner, RevisionId, SemanticVersion, Timestamp, Visibility,
};
use hearth_store::definitions::{DefinitionRecord, DefinitionVersion};
use hearth_tests::Cloud;
use lambda_emulator::Emulator;
use serde_json::json;

use crate::{MODEL, Placeholders, invoke};

/// Stores a schema of the owner's organisation.
pub(crate) async fn store(cloud: &Cloud, owner: Owner, name: &str) -> DefinitionId {
    let now = Timestamp::now();
    let record = DefinitionRecord {
        id: DefinitionId::new(DefinitionKind::Schema),
        owner: owner.user,
        organisation: owner.organisation,
        name: name.to_owned(),
        description: None,
        tags: Vec::new(),
        visibility: Visibility::Organisation,
        team: None,
        latest: SemanticVersion::FIRST,
        version_count: 1,
        labels: BTreeMap::new(),
        created_at: now,
        updated_at: now,
        revision: RevisionId::new(),
        deleted: false,
    };
    let version = DefinitionVersion {
        version: SemanticVersion::FIRST,
        message: None,
        author: owner.user.to_string(),
        sha256: String::new(),
        created_at: now,
    };
    let content = r#"{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false}"#;
    cloud.store().definitions().create(&record, &version, content).await.unwrap();
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
