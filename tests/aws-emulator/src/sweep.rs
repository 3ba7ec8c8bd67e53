//! Deletes expired items and objects, as DynamoDB and S3 do.

use std::time::Duration;

use dynoxide::Database;
use time::OffsetDateTime;

use crate::s3::Objects;

const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Objects are swept once in so many rounds, an hour: their lifecycle rules are in days.
const ROUNDS_PER_OBJECT_SWEEP: u64 = 60;

/// Starts a task that sweeps until the runtime ends.
pub(crate) fn start(db: Database, objects: Objects) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        for round in 0_u64.. {
            ticks.tick().await;
            if round % ROUNDS_PER_OBJECT_SWEEP == 0 {
                match objects.sweep(OffsetDateTime::now_utc().unix_timestamp()).await {
                    Ok(swept) => tracing::debug!(swept, "expired objects were deleted"),
                    Err(error) => tracing::warn!(%error, "expired objects can't be deleted"),
                }
            }
            let db = db.clone();
            match tokio::task::spawn_blocking(move || db.sweep_ttl()).await {
                Ok(Ok(swept)) => tracing::debug!(?swept, "expired items were deleted"),
                Ok(Err(error)) => tracing::warn!(%error, "expired items can't be deleted"),
                Err(_) => return,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{AwsEmulator, dynamodb};

    #[tokio::test]
    async fn only_expired_items_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let db = AwsEmulator::open(folder.path(), "bucket").unwrap().db;
        let call = |operation, request| dynamodb::call(&db, operation, &request).unwrap();
        call(
            "CreateTable",
            json!({
                "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            }),
        );
        let ttl = json!({"Enabled": true, "AttributeName": "ttl"});
        call("UpdateTimeToLive", json!({"TableName": "things", "TimeToLiveSpecification": ttl}));
        for (pk, ttl) in [("old", 1_000_000_000_u64), ("new", 99_000_000_000)] {
            call(
                "PutItem",
                json!({"TableName": "things", "Item": {"pk": {"S": pk}, "ttl": {"N": ttl.to_string()}}}),
            );
        }
        db.sweep_ttl().unwrap();
        let left = call("Scan", json!({"TableName": "things"}));
        assert_eq!((left["Count"].as_u64(), left["Items"][0]["pk"]["S"].as_str()), (Some(1), Some("new")));
    }
}
