//! Files of others, the export and the erasure.

use std::io::Read as _;

use hearth_tests::{Home, Person, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{PNG, content, id_of, stored, upload};

#[tokio::test]
async fn file_of_another_user_is_not_found_on_every_route() {
    let home = Home::start().await;
    let (home, token) = home.restart_with_a_stranger().await;
    let (owner, stranger) = (home.client(), home.client().with_token(Some(&token)));
    let file = stored(&owner, "a.txt", b"secret").await;
    let id = id_of(&file).to_owned();
    let upload_body = json!({"filename": "a", "purpose": "user_data", "bytes": 1});
    let begun = owner.post("/v1/files/uploads", &upload_body).await.json();
    let path = format!("/v1/files/{id}");
    stranger.get(&path).await.error(404, "not_found");
    content(&stranger, &id, &[]).await.error(404, "not_found");
    stranger.delete(&path).await.error(404, "not_found");
    let uploads = format!("/v1/files/uploads/{}", id_of(&begun));
    stranger.delete(&uploads).await.error(404, "not_found");
    stranger.post(&format!("{uploads}/complete"), &json!({})).await.error(404, "not_found");
    assert_eq!(stranger.get("/v1/files").await.json()["data"], json!([]));
    // Nor as the position of a page, or an input.
    assert_eq!(stranger.get(&format!("/v1/files?after={id}")).await.json()["data"], json!([]));
    let part = json!({"type": "file", "file": {"file_id": id}});
    let body = json!({"model": home.model, "messages": [{"role": "user", "content": [part]}]});
    stranger.post("/v1/chat/completions", &body).await.error(404, "not_found");
    owner.with_token(None).get(&path).await.error(401, "unauthorized");
    assert_eq!(content(&owner, &id, &[]).await.body, &b"secret"[..]);
    for odd in ["/v1/files/nothing", "/v1/files/art_01J9ZX5V2QH8N4T6W0C3M7K1RB", "/v1/files/file-0"] {
        owner.get(odd).await.error(404, "not_found");
    }
    home.stop().await;
}

#[tokio::test]
async fn export_and_erasure_include_files() {
    let home = Home::start_without_node().await;
    let (home, person) = home.restart_after(async |store| Person::with_organisation(store).await).await;
    let client = home.client().with_token(Some(&person.token));
    let file = stored(&client, "diary.txt", b"plantedword").await;
    let answer = client.get("/v1/users/me/export").await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.body.to_vec())).unwrap();
    let mut text = |name: &str| {
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(text(&format!("files/{}/diary.txt", id_of(&file))), "plantedword");
    let line: Value = serde_json::from_str(&text("files.jsonl")).unwrap();
    assert_eq!((&line["id"], &line["size_bytes"]), (&file["id"], &json!(11)));

    let path = format!("/v1/users/{}", person.user);
    let erasure = home.client().send(home.client().request(Method::DELETE, &path)).await;
    assert_eq!(erasure.status, 202, "{erasure:?}");
    let report = format!("/v1/users/erasures/{}", erasure.json()["id"].as_str().unwrap());
    let lasting = home.data().join("objects/lasting");
    let no_bytes = async || (std::fs::read_dir(&lasting).unwrap().count() == 0).then_some(());
    eventually("the deletion of the bytes", no_bytes).await;
    let counted = eventually("the report", async || {
        let report = home.client().with_token(None).get(&report).await.json();
        (report["deleted"]["files"] == 1).then_some(report)
    });
    counted.await;
    home.stop().await;
}

#[tokio::test]
async fn files_need_the_scope_and_the_role() {
    let home = Home::start_without_node().await;
    let created =
        home.client().post("/v1/users/tokens", &json!({"name": "t", "scopes": ["models:read"]})).await;
    let token = created.json()["token"].as_str().unwrap().to_owned();
    let client = home.client().with_token(Some(&token));
    upload(&client, "a.png", PNG.as_bytes()).await.error(403, "forbidden");
    client.get("/v1/files").await.error(403, "forbidden");
    client.get("/v1/artifacts").await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn files_of_a_removed_member_end_and_those_of_others_stay() {
    let home = Home::start_without_node().await;
    let (home, person) = home
        .restart_after(async |store| {
            let organisation = hearth_tests::operators_organisation(store).await;
            Person::in_organisation(store, organisation, hearth_domain::MemberRole::Developer).await
        })
        .await;
    let member = home.client().with_token(Some(&person.token));
    stored(&member, "a.txt", b"x").await;
    stored(&home.client(), "b.txt", b"x").await;
    let path = format!("/v1/organisations/{}/members/{}", person.organisation, person.user);
    assert_eq!(home.client().delete(&path).await.status, 204);
    // The sweep comes at a start, and each five minutes.
    let home = home.restart().await;
    let lasting = home.data().join("objects/lasting");
    let only_one = async || (std::fs::read_dir(&lasting).unwrap().count() == 1).then_some(());
    eventually("the deletion of the member's file", only_one).await;
    let (home, (sums, ended)) = home
        .restart_after(async |store| {
            let files = store.files();
            (
                files.organisation_sums(person.organisation).await.unwrap(),
                files.ended_owners(10).await.unwrap(),
            )
        })
        .await;
    assert_eq!((sums.count, ended.len()), (1, 0));
    assert_eq!(home.client().get("/v1/files").await.json()["data"].as_array().map(Vec::len), Some(1));
    home.stop().await;
}
