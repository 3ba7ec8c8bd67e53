//! Analyses whose runs were complete when their processes died.

use hearth_domain::{
    AppliedDefinition, AppliedDefinitions, FinishReason, OrganisationId, Run, RunState, SemanticVersion,
    Timestamp,
};
use hearth_tests::Cloud;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{jobs::interrupt, worker::World};

fn schema(required: &str) -> Value {
    json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": [required]})
}

fn applied(definition: &Value) -> AppliedDefinition {
    let text = |field: &str| definition[field].as_str().unwrap().to_owned();
    AppliedDefinition { id: text("id"), name: text("name"), version: SemanticVersion::FIRST }
}

/// Submits an analysis, as if a process had died after the end of its run, and before that of its job.
async fn begin(world: &World, input: Value, definitions: AppliedDefinitions) -> String {
    let store = world.cloud.store();
    let operator = store.operator().await.unwrap();
    let run = Run {
        organisation: Some(OrganisationId::of_operator(operator)),
        state: RunState::Completed,
        finish_reason: Some(FinishReason::Stop),
        finished_at: Some(Timestamp::now()),
        text: json!({"ok": true}).to_string(),
        definitions: Some(Box::new(definitions)),
        ..Run::example(operator)
    };
    store.runs().record_ended(&run, &[]).await.unwrap();
    let id = world.submit(&json!({"kind": "analyze", "input": input, "max_attempts": 1})).await;
    interrupt(store, &id, run.id).await;
    id
}

async fn put(world: &World, path: &str, body: &Value) -> Value {
    let answer = world.client.send(world.client.request(Method::PUT, path).json(body)).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

async fn result(world: &World, id: &str) -> Value {
    world.work().await;
    let job = world.job(id).await;
    assert_eq!(job["state"], "completed", "{job}");
    job["work"]["result"].clone()
}

#[tokio::test]
async fn resumed_analysis_has_the_definitions_with_which_its_run_began() {
    let world = World::start(Cloud::start().await).await;
    let verdict = world.post("/v1/schemas", &json!({"name": "verdict", "schema": schema("ok")}), 201).await;
    let label = "/v1/schemas/verdict/labels/production";
    put(&world, label, &json!({"version": "1.0.0"})).await;
    let messages = json!([{"role": "user", "content": "{{ text }}"}]);
    let template = json!({"messages": messages, "schema_id": "verdict@production", "model": "tiny-chat"});
    let triage = world.post("/v1/templates", &json!({"name": "triage", "template": template}), 201).await;
    let input = json!({"template_id": "triage", "variables": {"text": "Two kettles"}});
    let definitions =
        AppliedDefinitions { schema: Some(applied(&verdict)), template: Some(applied(&triage)) };
    let id = begin(&world, input, definitions).await;

    // The label moves to a schema that the answer doesn't fit, and the template is deleted.
    let body = json!({"schema": schema("score"), "change": "major"});
    assert_eq!(put(&world, "/v1/schemas/verdict", &body).await["version"], "2.0.0");
    put(&world, label, &json!({"version": "2.0.0"})).await;
    assert_eq!(world.client.delete("/v1/templates/triage").await.status, 200);
    let result = result(&world, &id).await;
    assert_eq!((&result["data"], &result["validation_status"]), (&json!({"ok": true}), &json!("passed")));
    let version = |id: &Value| json!({"id": id, "version": "1.0.0"});
    let schema = json!({"source": "stored", "id": verdict["id"], "version": "1.0.0"});
    assert_eq!((&result["schema"], &result["template"]), (&schema, &version(&triage["id"])), "{result}");
}

#[tokio::test]
async fn answer_of_a_deleted_schema_is_not_lost() {
    let world = World::start(Cloud::start().await).await;
    let verdict = world.post("/v1/schemas", &json!({"name": "verdict", "schema": schema("ok")}), 201).await;
    let input = json!({"prompt": "Two kettles", "schema_id": "verdict", "options": {"model": "tiny-chat"}});
    let definitions = AppliedDefinitions { schema: Some(applied(&verdict)), template: None };
    let id = begin(&world, input, definitions).await;
    assert_eq!(world.client.delete("/v1/schemas/verdict").await.status, 200);
    let result = result(&world, &id).await;
    assert_eq!((&result["data"], &result["validation_status"]), (&json!({"ok": true}), &json!("bypassed")));
    assert_eq!(result["schema"]["version"], "1.0.0", "{result}");
}
