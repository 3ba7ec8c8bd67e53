use std::time::Duration;

use aws_sdk_s3::{presigning::PresigningConfig, primitives::ByteStream};

use crate::AwsEmulator;

const BUCKET: &str = "hearth-media";

/// Starts an emulator in a temporary folder, and serves it on a free port.
async fn served() -> (tempfile::TempDir, AwsEmulator, aws_sdk_s3::Client, String) {
    let folder = tempfile::tempdir().unwrap();
    let embedded = AwsEmulator::open(folder.path(), BUCKET).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = embedded.object_routes(BUCKET);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = embedded.s3(&url);
    (folder, embedded, client, url)
}

#[tokio::test]
async fn objects_are_written_read_listed_replaced_and_deleted() {
    let (folder, _embedded, s3, _) = served().await;
    for (key, body) in
        [("runs/a", "first"), ("runs/b c/ä", "second"), ("other", "third"), ("runs/a", "changed")]
    {
        s3.put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::from_static(body.as_bytes()))
            .send()
            .await
            .unwrap();
    }
    let read = s3.get_object().bucket(BUCKET).key("runs/a").send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().into_bytes(), "changed");
    let part = s3.get_object().bucket(BUCKET).key("runs/a").range("bytes=1-3").send().await.unwrap();
    assert_eq!(part.body.collect().await.unwrap().into_bytes(), "han");
    let listed = s3.list_objects_v2().bucket(BUCKET).prefix("runs/").send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["runs/a", "runs/b c/ä"]);
    // The replaced object's file is gone.
    assert_eq!(std::fs::read_dir(folder.path().join("objects")).unwrap().count(), 3);
    s3.delete_object().bucket(BUCKET).key("runs/a").send().await.unwrap();
    let gone = s3.get_object().bucket(BUCKET).key("runs/a").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_key());
}

#[tokio::test]
async fn keys_cannot_leave_the_folder_and_other_buckets_are_unknown() {
    let (folder, _embedded, s3, _) = served().await;
    let put =
        |bucket: &str, key: &str| s3.put_object().bucket(bucket).key(key).body(ByteStream::from_static(b"x"));
    put(BUCKET, "../../escaped").send().await.unwrap();
    assert!(!folder.path().parent().unwrap().join("escaped").exists());
    put(BUCKET, &"long/".repeat(200)).send().await.unwrap();
    assert!(put("another", "key").send().await.is_err());
    assert!(s3.head_bucket().bucket("another").send().await.is_err());
    assert!(s3.head_bucket().bucket(BUCKET).send().await.is_ok());
}

#[tokio::test]
async fn presigned_url_works_until_it_expires_or_is_changed() {
    let (_folder, _embedded, s3, url) = served().await;
    s3.put_object().bucket(BUCKET).key("a").body(ByteStream::from_static(b"hello")).send().await.unwrap();
    let presign = |seconds| PresigningConfig::expires_in(Duration::from_secs(seconds)).unwrap();
    let good = s3.get_object().bucket(BUCKET).key("a").presigned(presign(60)).await.unwrap();
    assert!(good.uri().starts_with(&url));
    assert_eq!(fetch(good.uri()).await, (200, "hello".to_owned()));
    assert_eq!(fetch(&good.uri().replace("/a?", "/b?")).await.0, 403);
    assert_eq!(fetch(&format!("{url}/{BUCKET}/a")).await.0, 403);
    let past = std::time::SystemTime::now() - Duration::from_secs(600);
    let expired =
        PresigningConfig::builder().start_time(past).expires_in(Duration::from_secs(60)).build().unwrap();
    let expired = s3.get_object().bucket(BUCKET).key("a").presigned(expired).await.unwrap();
    assert_eq!(fetch(expired.uri()).await.0, 403);
}

/// Sends a plain GET.
async fn fetch(url: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn sweep_deletes_objects_by_the_lifecycle_rules() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = AwsEmulator::open(folder.path(), BUCKET).unwrap();
    let s3 = embedded.s3("http://s3.test");
    for key in ["artifacts/a", "runs/b/text", "other"] {
        s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    let objects = super::Objects::open(
        embedded.db.clone(),
        &folder.path().join("objects"),
        BUCKET,
        crate::iam::Access(embedded.iam.clone()),
    )
    .unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    assert_eq!(objects.sweep(now + 29 * 86_400).await.unwrap(), 0);
    assert_eq!(objects.sweep(now + 31 * 86_400).await.unwrap(), 2);
    let left = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(left.contents()[0].key(), Some("other"));
    assert_eq!(std::fs::read_dir(folder.path().join("objects")).unwrap().count(), 1);
}
