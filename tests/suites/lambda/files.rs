//! Files: what each function needs of the stores for them.

use futures::{StreamExt as _, stream};
use hearth_domain::{FileId, Owner, Timestamp};
use hearth_store::files::{FileAdmission, FileQuota, FileRecord};
use hearth_tests::{Cloud, upload_record};
use lambda_emulator::Emulator;
use serde_json::Value;

use crate::{Placeholders, invoke};

/// More than any user may have.
const EVERYTHING: u64 = 1 << 60;

/// Stores a file of the owner, of which the record says that it has `size_bytes`.
pub(crate) async fn plant(
    cloud: &Cloud,
    owner: Owner,
    size_bytes: u64,
    expires_at: Option<Timestamp>,
) -> FileId {
    let record = FileRecord { expires_at, ..upload_record(owner, size_bytes) };
    let (files, quota) = (cloud.store().files(), FileQuota { max_bytes: u64::MAX, max_count: u64::MAX });
    assert!(files.begin(&record, quota).await.unwrap());
    files.write(record.id, "text/plain", stream::iter([Ok("bytes".into())]).boxed()).await.unwrap();
    assert_eq!(files.finish(&record, quota, quota).await.unwrap(), FileAdmission::Stored);
    record.id
}

/// Uploads a file, reads it and deletes it; and uploads one without room.
pub(crate) async fn use_files(cloud: &Cloud, function: &Emulator, values: &Placeholders) {
    let send = async |sample: &str, path: &str, status: u16| {
        let mut event = values.event(sample);
        event["path"] = path.into();
        (event["queryStringParameters"], event["multiValueQueryStringParameters"]) =
            (Value::Null, Value::Null);
        let answer = invoke(function, &event).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", String::from_utf8_lossy(&answer.body()));
        answer
    };
    let file = send("post_v1.files.json", "/v1/files", 200).await.json().unwrap();
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    let read = send("get_v1.files.id.content.json", &format!("{path}/content"), 200).await;
    assert!(read.body().starts_with(b"The capital"), "{read:?}");
    send("delete_v1.files.id.json", &path, 200).await;

    // A file in parts.
    let upload = send("post_v1.uploads.json", "/v1/uploads", 200).await.json().unwrap();
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    let part = send("post_v1.uploads.id.parts.json", &format!("{path}/parts"), 200).await.json().unwrap();
    let mut event = values.event("post_v1.uploads.id.complete.json");
    event["path"] = format!("{path}/complete").into();
    event["body"] = serde_json::json!({"part_ids": [part["id"]]}).to_string().into();
    let completed = invoke(function, &event).await;
    assert_eq!(completed.status, 200, "{}", String::from_utf8_lossy(&completed.body()));
    assert_eq!(completed.json().unwrap()["file"]["bytes"], 5);

    let owner = Owner::of_record(cloud.store().operator().await.unwrap(), None);
    let everything = plant(cloud, owner, EVERYTHING, None).await;
    send("post_v1.files.json", "/v1/files", 429).await;
    // The sums of a user without files are deleted.
    let listed = send("get_v1.files.json", "/v1/files", 200).await.json().unwrap();
    for file in listed["data"].as_array().unwrap() {
        send("delete_v1.files.id.json", &format!("/v1/files/{}", file["id"].as_str().unwrap()), 200).await;
    }
    assert_eq!(cloud.store().files().get(everything).await.unwrap(), None);
    assert_eq!(cloud.store().files().user_sums(owner).await.unwrap().count, 0);
}
