//! Quotas: exact under concurrency, and freed by deletions, ends and crashes.

use futures::{StreamExt as _, stream};
use hearth_domain::{FileId, Owner, Timestamp};
use hearth_store::{
    Store,
    files::{FileAdmission, FileQuota, FileRecord},
};
use hearth_tests::{Home, Person, Setup, eventually, upload_record};
use serde_json::json;

use crate::{form, id_of, stored, upload, upload_request};

#[tokio::test]
async fn racing_uploads_store_exactly_what_the_quota_allows() {
    let home = Setup::new().settings("[files]\nuser_max_bytes = 700\n").without_node().start().await;
    let client = home.client();
    let uploads = (0..20).map(|_| upload(&client, "a.txt", &[b'x'; 100]));
    let answers = futures::future::join_all(uploads).await;
    let (stored, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((stored.len(), refused.len()), (7, 13));
    for answer in refused {
        let error = answer.error(429, "quota_exceeded");
        let details = &error["details"];
        assert_eq!(
            (&details["subject"], &details["used_bytes"], &details["max_bytes"]),
            (&json!("user"), &json!(700), &json!(700))
        );
        assert!(error["message"].as_str().unwrap().contains("DELETE /v1/files/{id}"), "{error}");
    }
    assert_eq!(client.get("/v1/files").await.json()["data"].as_array().map(Vec::len), Some(7));
    let lasting = std::fs::read_dir(home.data().join("objects/lasting")).unwrap().count();
    assert_eq!(lasting, 7, "bytes of refused uploads are left");
    // What is deleted is free again.
    let id = id_of(&stored[0].json()).to_owned();
    let path = format!("/v1/files/{id}");
    let deleted = futures::future::join_all((0..5).map(|_| client.delete(&path))).await;
    assert!(deleted.iter().any(|answer| answer.status == 200), "{deleted:?}");
    assert_eq!(upload(&client, "a.txt", &[b'x'; 100]).await.status, 200);
    upload(&client, "a.txt", b"x").await.error(429, "quota_exceeded");
    home.stop().await;
}

#[tokio::test]
async fn members_share_the_quota_of_their_organisation() {
    let settings = "[files]\norganisation_max_count = 3\nuser_max_count = 2\n";
    let home = Setup::new().settings(settings).without_node().start().await;
    let (home, token) = home
        .restart_after(async |store| {
            let organisation = hearth_tests::operators_organisation(store).await;
            Person::in_organisation(store, organisation, hearth_domain::MemberRole::Developer).await.token
        })
        .await;
    let (owner, member) = (home.client(), home.client().with_token(Some(&token)));
    for client in [&owner, &owner, &member] {
        stored(client, "a.txt", b"x").await;
    }
    let error = upload(&owner, "a.txt", b"x").await.error(429, "quota_exceeded");
    assert_eq!(error["details"]["subject"], "user");
    let error = upload(&member, "a.txt", b"x").await.error(429, "quota_exceeded");
    assert_eq!(
        (&error["details"]["subject"], &error["details"]["max_count"]),
        (&json!("organisation"), &json!(3))
    );
    home.stop().await;
}

#[tokio::test]
async fn upload_that_a_kill_interrupts_counts_nothing_and_leaves_no_file() {
    let home = Setup::new().settings("[files]\nuser_max_bytes = 100000\n").without_node().start().await;
    let client = home.client();
    // The body begins, and never ends.
    let body = form(&[("purpose", "user_data")], Some(("a.bin", &[7; 90_000])));
    let (begun, rest) = body.split_at(50_000);
    let pieces = stream::iter([Ok::<_, std::io::Error>(begun.to_vec())]).chain(stream::pending());
    let request = upload_request(&client, Vec::new()).body(reqwest::Body::wrap_stream(pieces));
    let upload_task = tokio::spawn(async move { request.send().await });
    let lasting = home.data().join("objects/lasting");
    let parts = || std::fs::read_dir(&lasting).map(Iterator::count).unwrap_or_default();
    eventually("the first bytes", async || (parts() > 0).then_some(())).await;
    let home = home.crash_and_restart().await;
    assert!(upload_task.await.unwrap().is_err());
    assert!(!rest.is_empty());
    assert_eq!(parts(), 0, "a part of the file is left");
    let client = home.client();
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([]));
    // The whole quota is there.
    stored(&client, "a.bin", &[7; 100_000]).await;
    home.stop().await;
}

async fn store_file(store: &Store, record: &FileRecord) {
    let quota = FileQuota { max_bytes: u64::MAX, max_count: u64::MAX };
    assert!(store.files().begin(record, quota).await.unwrap());
    let bytes = vec![b'x'; usize::try_from(record.size_bytes).unwrap()];
    let pieces = stream::iter([Ok(bytes.into())]).boxed();
    store.files().write(record.id, "text/plain", pieces).await.unwrap();
    if record.upload_ends_at.is_none() {
        assert_eq!(store.files().finish(record, quota, quota).await.unwrap(), FileAdmission::Stored);
    }
}

#[tokio::test]
async fn file_whose_time_is_over_is_gone_and_its_bytes_are_free() {
    let home = Setup::new().settings("[files]\nuser_max_bytes = 100\n").without_node().start().await;
    // Far enough from now that no clock matters.
    let past = Timestamp::from_unix(1);
    let (home, (over, abandoned)) = home
        .restart_after(async |store| {
            let operator = store.operator().await.unwrap();
            let owner = Owner::of_record(operator, None);
            let over = FileRecord { expires_at: Some(past), ..upload_record(owner, 100) };
            let abandoned = FileRecord { upload_ends_at: Some(past), ..upload_record(owner, 50) };
            store_file(store, &over).await;
            store_file(store, &abandoned).await;
            (over.id, abandoned.id)
        })
        .await;
    let client = home.client();
    for id in [over, abandoned] {
        client.get(&format!("/v1/files/{id}")).await.error(404, "not_found");
    }
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([]));
    stored(&client, "a.txt", &[b'x'; 100]).await;
    let lasting = home.data().join("objects/lasting");
    let only_one = async || (std::fs::read_dir(&lasting).unwrap().count() == 1).then_some(());
    eventually("the deletion of both", only_one).await;
    home.stop().await;
}

#[tokio::test]
async fn upload_of_an_hour_ago_can_be_completed_until_its_end_only() {
    let home = Home::start_without_node().await;
    let (home, (open, ended)) = home
        .restart_after(async |store| {
            let owner = Owner::of_record(store.operator().await.unwrap(), None);
            let end = "2096-01-01T00:00:00Z".parse().unwrap();
            let open = FileRecord { upload_ends_at: Some(end), ..upload_record(owner, 5) };
            let ended =
                FileRecord { upload_ends_at: Some(Timestamp::from_unix(1)), ..upload_record(owner, 5) };
            store_file(store, &open).await;
            store_file(store, &ended).await;
            (open.id, ended.id)
        })
        .await;
    let client = home.client();
    let complete =
        async |id: FileId| client.post(&format!("/v1/files/uploads/{id}/complete"), &json!({})).await;
    complete(ended).await.error(404, "not_found");
    assert_eq!(complete(open).await.json()["bytes"], 5);
    home.stop().await;
}
