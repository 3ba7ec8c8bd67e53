//! The metadata of the objects, in a table of the emulator's database.

use std::io;

use dynoxide::Database;
use s3s::dto::{ETag, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::blobs::Written;
use crate::dynamodb;

const TABLE: &str = "embedded-objects";
/// The one partition of all objects.
const PARTITION: &str = "objects";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The file of the bytes.
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) content_type: Option<String>,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

impl Entry {
    pub(super) fn new(written: &Written, content_type: Option<String>) -> Self {
        Self {
            blob: written.name.clone(),
            size: written.size,
            sha256: written.sha256.clone(),
            content_type,
            modified: OffsetDateTime::now_utc().unix_timestamp(),
        }
    }

    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(self.sha256.clone())
    }

    pub(super) fn modified(&self) -> Timestamp {
        OffsetDateTime::from_unix_timestamp(self.modified).unwrap_or(OffsetDateTime::UNIX_EPOCH).into()
    }
}

pub(super) struct Page {
    pub(super) entries: Vec<(String, Entry)>,
    pub(super) next: Option<String>,
}

pub(super) struct Index(Database);

impl Index {
    pub(super) fn open(db: Database) -> io::Result<Self> {
        let tables = dynamodb::call(&db, "ListTables", &json!({}))?;
        let known = tables["TableNames"].as_array().is_some_and(|names| names.contains(&json!(TABLE)));
        if !known {
            dynamodb::call(
                &db,
                "CreateTable",
                &json!({
                    "TableName": TABLE,
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [
                        {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
                    ],
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                }),
            )?;
        }
        Ok(Self(db))
    }

    pub(super) async fn get(&self, key: &str) -> io::Result<Option<Entry>> {
        let answer = self.call("GetItem", json!({"TableName": TABLE, "Key": item_key(key)})).await?;
        entry(&answer["Item"])
    }

    /// Stores an entry, and returns the earlier one.
    pub(super) async fn put(&self, key: &str, new: &Entry) -> io::Result<Option<Entry>> {
        let mut item = item_key(key);
        item["entry"] = json!({"S": serde_json::to_string(new)?});
        let request = json!({"TableName": TABLE, "Item": item, "ReturnValues": "ALL_OLD"});
        entry(&self.call("PutItem", request).await?["Attributes"])
    }

    pub(super) async fn remove(&self, key: &str) -> io::Result<Option<Entry>> {
        let request = json!({"TableName": TABLE, "Key": item_key(key), "ReturnValues": "ALL_OLD"});
        entry(&self.call("DeleteItem", request).await?["Attributes"])
    }

    pub(super) async fn list(&self, prefix: &str, after: Option<String>, limit: i32) -> io::Result<Page> {
        let mut request = json!({
            "TableName": TABLE,
            "Limit": limit,
            "KeyConditionExpression": "pk = :partition",
            "ExpressionAttributeValues": {":partition": {"S": PARTITION}},
        });
        // DynamoDB refuses an empty prefix.
        if !prefix.is_empty() {
            request["KeyConditionExpression"] = json!("pk = :partition AND begins_with(sk, :prefix)");
            request["ExpressionAttributeValues"][":prefix"] = json!({"S": prefix});
        }
        if let Some(after) = after {
            request["ExclusiveStartKey"] = item_key(&after);
        }
        let answer = self.call("Query", request).await?;
        let mut entries = Vec::new();
        for item in answer["Items"].as_array().into_iter().flatten() {
            if let (Some(key), Some(entry)) = (item["sk"]["S"].as_str(), entry(item)?) {
                entries.push((key.to_owned(), entry));
            }
        }
        Ok(Page { entries, next: answer["LastEvaluatedKey"]["sk"]["S"].as_str().map(str::to_owned) })
    }

    async fn call(&self, operation: &'static str, request: Value) -> io::Result<Value> {
        let db = self.0.clone();
        let call = tokio::task::spawn_blocking(move || dynamodb::call(&db, operation, &request));
        call.await.map_err(io::Error::other)?
    }
}

fn item_key(key: &str) -> Value {
    json!({"pk": {"S": PARTITION}, "sk": {"S": key}})
}

fn entry(item: &Value) -> io::Result<Option<Entry>> {
    item["entry"]["S"].as_str().map(|text| serde_json::from_str(text).map_err(io::Error::other)).transpose()
}
