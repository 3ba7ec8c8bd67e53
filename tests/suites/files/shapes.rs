//! The shapes and the errors of `/v1/files`.

use hearth_tests::{Home, Setup};
use reqwest::Method;
use serde_json::json;

use crate::{content, form, id_of, stored, upload, upload_request};

#[tokio::test]
async fn file_is_uploaded_listed_read_and_deleted_as_openai_does_it() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let file = stored(&client, "notes.md", b"# Notes\n").await;
    let id = id_of(&file).to_owned();
    assert!(id.starts_with("file-"), "{file}");
    let facts = json!({
        "id": id, "object": "file", "bytes": 8, "created_at": file["created_at"], "expires_at": null,
        "filename": "notes.md", "purpose": "user_data", "status": "processed", "media_type": "text/markdown",
    });
    assert_eq!(file, facts);
    let path = format!("/v1/files/{id}");
    assert_eq!(client.get(&path).await.json(), facts);
    let list = client.get("/v1/files").await.json();
    assert_eq!(
        list,
        json!({"object": "list", "data": [facts], "first_id": id, "last_id": id, "has_more": false, "next_cursor": null})
    );
    let read = content(&client, &id, &[]).await;
    assert_eq!((read.status.as_u16(), &read.body[..]), (200, &b"# Notes\n"[..]));
    let deleted = client.delete(&path).await.json();
    assert_eq!(deleted, json!({"id": id, "object": "file", "deleted": true}));
    client.get(&path).await.error(404, "not_found");
    content(&client, &id, &[]).await.error(404, "not_found");
    client.delete(&path).await.error(404, "not_found");
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn list_is_paged_by_after_and_cursor_in_both_orders() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let mut ids = Vec::new();
    for (number, purpose) in ["user_data", "vision", "user_data", "user_data"].into_iter().enumerate() {
        let name = format!("{number}.txt");
        let body = form(&[("purpose", purpose)], Some((&name, b"x")));
        let file = client.send(upload_request(&client, body)).await.json();
        ids.push(id_of(&file).to_owned());
    }
    let page = async |query: &str| {
        let list = client.get(&format!("/v1/files?{query}")).await.json();
        let names: Vec<_> =
            list["data"].as_array().unwrap().iter().map(|file| id_of(file).to_owned()).collect();
        (names, list["has_more"].as_bool().unwrap(), list["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, more, cursor) = page("limit=3").await;
    assert_eq!((first, more), (vec![ids[3].clone(), ids[2].clone(), ids[1].clone()], true));
    let (rest, more, none) = page(&format!("limit=3&cursor={}", cursor.clone().unwrap())).await;
    assert_eq!((rest, more, none), (vec![ids[0].clone()], false, None));
    // As OpenAI's SDKs page: `after` is the last id.
    assert_eq!(page(&format!("limit=3&after={}", ids[1])).await.0, [ids[0].clone()]);
    assert_eq!(page("order=asc&limit=10000").await.0, ids);
    assert_eq!(page(&format!("order=asc&after={}", ids[2])).await.0, [ids[3].clone()]);
    // A page of a filter has as many as it was asked for, if there are so many.
    let (user_data, more, cursor_of_filter) = page("purpose=user_data&limit=2").await;
    assert_eq!((user_data, more), (vec![ids[3].clone(), ids[2].clone()], true));
    let (last, more, _) =
        page(&format!("purpose=user_data&limit=2&cursor={}", cursor_of_filter.unwrap())).await;
    assert_eq!((last, more), (vec![ids[0].clone()], false));
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=many", "limit"),
        ("order=up", "order"),
        ("purpose=nothing", "purpose"),
        ("after=nothing", "after"),
        ("cursor=AAAA", "cursor"),
        (&format!("order=asc&cursor={}", cursor.clone().unwrap()), "cursor"),
        (&format!("after={}&cursor={}", ids[0], cursor.unwrap()), "cursor"),
    ] {
        let error = client.get(&format!("/v1/files?{query}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{query}");
    }
    home.stop().await;
}

#[tokio::test]
async fn malformed_upload_is_refused_with_the_fields_name_and_stores_nothing() {
    let home = Setup::new().settings("[files]\nmax_bytes = 1000\n").without_node().start().await;
    let client = home.client();
    let data = ("purpose", "user_data");
    let file: Option<(&str, &[u8])> = Some(("a.txt", b"x"));
    let anchor = ("expires_after[anchor]", "created_at");
    for (fields, file, param) in [
        (vec![], file, "purpose"),
        (vec![data], None, "file"),
        (vec![data, ("file", "text")], None, "file"),
        (vec![("purpose", "fun")], file, "purpose"),
        (vec![data, ("purpose", "vision")], file, "purpose"),
        (vec![data, anchor, anchor], file, "expires_after[anchor]"),
        (vec![data, anchor], file, "expires_after"),
        (vec![data, anchor, ("expires_after[seconds]", "soon")], file, "expires_after.seconds"),
        (vec![data, anchor, ("expires_after[seconds]", "5")], file, "expires_after.seconds"),
        (
            vec![data, ("expires_after[anchor]", "now"), ("expires_after[seconds]", "3600")],
            file,
            "expires_after.anchor",
        ),
    ] {
        let body = form(&fields, file);
        let error = client.send(upload_request(&client, body)).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{fields:?}");
    }
    let mut twice = form(&[data], file);
    twice.truncate(twice.len() - "--x--\r\n".len());
    twice.extend(form(&[], file));
    let error = client.send(upload_request(&client, twice)).await.error(400, "invalid_request");
    assert_eq!(error["param"], "file");
    let mut latin = form(&[data], Some(("b?cher.txt", b"x")));
    let place = latin.iter().position(|byte| *byte == b'?').unwrap();
    latin[place] = 0xfc;
    let error = client.send(upload_request(&client, latin)).await.error(400, "invalid_request");
    assert_eq!(error["param"], "file");
    assert!(error["message"].as_str().unwrap().contains("UTF-8"), "{error}");
    let unknown = form(&[data, ("color", "red")], file);
    client.send(upload_request(&client, unknown)).await.error(400, "invalid_request");
    let cut = form(&[data], Some(("a.txt", b"abc")));
    let cut = cut[..cut.len() - 10].to_vec();
    client.send(upload_request(&client, cut)).await.error(400, "invalid_request");
    let json = client.request(Method::POST, "/v1/files").json(&json!({"purpose": "user_data"}));
    client.send(json).await.error(415, "unsupported_media_type");
    let error = upload(&client, "large.txt", &[b'x'; 1001]).await.error(413, "payload_too_large");
    assert!(error["message"].as_str().unwrap().contains("files.max_bytes"), "{error}");
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([]));
    let objects = home.data().join("objects/lasting");
    assert_eq!(std::fs::read_dir(objects).unwrap().count(), 0, "bytes of refused uploads are left");
    // The limit itself is allowed.
    stored(&client, "large.txt", &[b'x'; 1000]).await;
    home.stop().await;
}

#[tokio::test]
async fn file_expires_when_its_client_or_the_operator_says() {
    let home = Setup::new().settings("[files]\nretention_days = 10\n").without_node().start().await;
    let client = home.client();
    let seconds = |file: &serde_json::Value| {
        file["expires_at"].as_i64().unwrap() - file["created_at"].as_i64().unwrap()
    };
    assert_eq!(seconds(&stored(&client, "a.txt", b"x").await), 10 * 24 * 3600);
    let fields =
        [("purpose", "batch"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")];
    let sooner = client.send(upload_request(&client, form(&fields, Some(("a.txt", b"x"))))).await.json();
    assert_eq!(seconds(&sooner), 3600);
    let fields = [fields[0], fields[1], ("expires_after[seconds]", "2592000")];
    let later = client.send(upload_request(&client, form(&fields, Some(("a.txt", b"x"))))).await.json();
    assert_eq!(seconds(&later), 10 * 24 * 3600, "the operator's retention is the limit");
    home.stop().await;
}

#[tokio::test]
async fn file_larger_than_memory_for_bodies_is_streamed_to_the_bucket() {
    // Bodies that are collected have 10 MB at most.
    let home = Setup::new().settings("[server]\nbody_memory = '10MiB'\n").without_node().start().await;
    let client = home.client();
    let bytes: Vec<u8> = (0..20_u32 << 20).map(|number| (number % 251) as u8).collect();
    let file = stored(&client, "large.bin", &bytes).await;
    assert_eq!((&file["bytes"], &file["media_type"]), (&json!(20 << 20), &json!("application/octet-stream")));
    let read = content(&client, id_of(&file), &[]).await;
    assert!(read.body == bytes, "the bytes differ");
    home.stop().await;
}
