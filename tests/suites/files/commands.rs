//! `hearth files`.

use hearth_tests::{Client, Cloud, Ended, Home, hearth, run};
use lambda_emulator::Placement;
use serde_json::Value;

async fn files(folder: &std::path::Path, url: &str, token: &str, arguments: &[&str]) -> Ended {
    let arguments = [&["files"], arguments].concat();
    let mut command = hearth(folder, &arguments);
    command.env("HEARTH_URL", url).env("HEARTH_TOKEN", token);
    run(command, "").await
}

/// Uploads a file by the command, lists it, reads it again and deletes it.
async fn live_through(url: &str, token: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("page.html"), folder.path().join("copy"));
    std::fs::write(&path, bytes).unwrap();
    let of = async |arguments: &[&str]| files(folder.path(), url, token, arguments).await;
    let uploaded = of(&["upload", path.to_str().unwrap(), "--json"]).await;
    assert!(uploaded.status.success(), "{}", uploaded.stderr);
    let file: Value = serde_json::from_str(&uploaded.stdout).unwrap();
    let id = file["id"].as_str().unwrap();
    assert_eq!(
        (&file["media_type"], file["bytes"].as_u64()),
        (&"text/html".into(), Some(bytes.len() as u64))
    );
    let listed = of(&["list", "--purpose", "user_data"]).await;
    assert!(listed.stdout.contains(id) && listed.stdout.contains("page.html"), "{}", listed.stdout);
    let read = of(&["get", id, "--output", copy.to_str().unwrap()]).await;
    assert!(read.status.success(), "{}", read.stderr);
    assert!(std::fs::read(&copy).unwrap() == bytes, "the bytes differ");
    let again = of(&["get", id, "--output", copy.to_str().unwrap()]).await;
    assert!(!again.status.success() && again.stderr.contains("can't be created"), "{}", again.stderr);
    assert!(of(&["delete", id, "--yes"]).await.stdout.contains("is deleted"));
    for arguments in [&["get", id][..], &["delete", id, "--yes"]] {
        let missing = of(arguments).await;
        assert!(
            !missing.status.success() && missing.stderr.contains("no file with this id"),
            "{}",
            missing.stderr
        );
    }
    let missing = of(&["upload", "/nowhere/a.txt"]).await;
    assert!(!missing.status.success() && missing.stderr.contains("/nowhere/a.txt"), "{}", missing.stderr);
}

fn page(bytes: usize) -> Vec<u8> {
    [&b"<html>"[..], &vec![b'x'; bytes]].concat()
}

#[tokio::test]
async fn command_uploads_lists_reads_and_deletes_a_file() {
    let home = Home::start_without_node().await;
    live_through(&home.url, &home.token, &page(12 << 20)).await;
    home.stop().await;
}

#[tokio::test]
async fn command_sends_the_bytes_to_the_bucket_of_a_stack() {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    live_through(&api.url(), &cloud.token, &page(7 << 20)).await;
    let left = Client::new(&api.url(), Some(&cloud.token)).get("/v1/files").await.json();
    assert_eq!(left["data"], serde_json::json!([]));
}
