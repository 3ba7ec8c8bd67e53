//! The audit log in the cloud: written by several processes of functions, sealed by `sweep`, verified by `accounts`.

use hearth_tests::Cloud;
use serde_json::{Value, json};

use crate::{Placeholders, invoke};

/// The event of a schedule.
const TICK: &str = r#"{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}"#;

#[tokio::test]
async fn changes_of_two_processes_are_sealed_and_verified() {
    let cloud = Cloud::start().await;
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let (one, other, sweep) = tokio::join!(
        cloud.function("hearth-fn-accounts"),
        cloud.function("hearth-fn-accounts"),
        cloud.function("hearth-fn-sweep")
    );
    let create = values.event("post_v1.users.tokens.json");
    for _ in 0..5 {
        let (first, second) = tokio::join!(invoke(&one, &create), invoke(&other, &create));
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    }
    let verify = async || invoke(&one, &values.event("get_v1.audit.verify.json")).await.json().unwrap();
    let before = verify().await;
    assert_eq!(
        (&before["intact"], &before["records"], &before["chains"], &before["unsealed"]),
        (&json!(true), &json!(10), &json!(2), &json!(10)),
        "{before}"
    );
    sweep.trigger(&serde_json::from_str(TICK).unwrap()).await.unwrap_or_else(|failure| panic!("{failure}"));
    let after = verify().await;
    assert_eq!(
        (&after["intact"], &after["unsealed"], &after["seals"]),
        (&json!(true), &json!(0), &json!(1)),
        "{after}"
    );
    let listed = invoke(&other, &values.event("get_v1.audit.json")).await.json().unwrap();
    let entry = &listed["entries"][0];
    // Of API Gateway's request context, and not of a header.
    assert_eq!(
        (&entry["address"], &entry["operation"]),
        (&json!("203.0.113.7"), &json!("create_token")),
        "{entry}"
    );
}

#[tokio::test]
async fn refusals_of_strangers_add_one_entry_per_process() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-models").await;
    let stranger = Placeholders { token: "hth_wrong".to_owned(), ..Placeholders::default() };
    for _ in 0..20 {
        assert_eq!(invoke(&function, &stranger.event("get_v1.models.json")).await.status, 401);
    }
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let mut event = values.event("get_v1.audit.json");
    event["queryStringParameters"] = json!({"organisation": "gateway"});
    event["multiValueQueryStringParameters"] = json!({"organisation": ["gateway"]});
    let accounts = cloud.function("hearth-fn-accounts").await;
    let listed = invoke(&accounts, &event).await.json().unwrap();
    let entries = listed["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{listed}");
    assert_eq!(
        (&entries[0]["operation"], &entries[0]["user"]),
        (&json!("list_models"), &Value::Null),
        "{listed}"
    );
}
