#![cfg(feature = "engine")]

use std::{
    convert::Infallible,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Body,
    extract::Path as Param,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Parser;
use futures::{StreamExt, stream};
use hearth_settings::HubSettings;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::client::testing::{closed_port, serve};

const REPO: &str = "owner/tiny-GGUF";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    pull: Pull,
}

/// A fault in the hub's response to a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The connection closes in the middle.
    Cut,
    /// The hub is overloaded.
    Unavailable,
    /// The whole file is sent although a part was requested.
    IgnoresRange,
    /// Another part is sent than was requested.
    WrongRange,
    /// The hub answers that there is no such part.
    NoSuchRange,
    /// More bytes are sent than were listed.
    TooMuch,
    /// The file is gone.
    Gone,
}

/// A hub with one repository of `files`, whose first downloads have `faults`.
#[derive(Clone)]
struct FakeHub {
    files: Vec<(&'static str, Vec<u8>)>,
    sha256: Option<String>,
    /// The listed size of each file, if it differs from the true one.
    size: Option<u64>,
    faults: Vec<Fault>,
    downloads: Arc<AtomicUsize>,
    resumed: Arc<AtomicUsize>,
}

impl FakeHub {
    fn new(names: &[&'static str]) -> Self {
        let content = (0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        let files = names.iter().map(|name| (*name, content.clone())).collect();
        Self {
            files,
            sha256: None,
            size: None,
            faults: Vec::new(),
            downloads: Arc::default(),
            resumed: Arc::default(),
        }
    }

    fn info(&self, repo: &str) -> Response {
        if repo != REPO {
            return StatusCode::NOT_FOUND.into_response();
        }
        let siblings = self.files.iter().map(|(name, content)| {
            let sha256 = self.sha256.clone().unwrap_or_else(|| sha256(content));
            let size = self.size.unwrap_or(content.len() as u64);
            json!({"rfilename": name, "size": size, "lfs": {"sha256": sha256, "size": size}})
        });
        let readme = json!({"rfilename": "README.md", "size": 3});
        Json(json!({"siblings": siblings.chain([readme]).collect::<Vec<_>>()})).into_response()
    }

    fn download(&self, path: &str, headers: &HeaderMap) -> Response {
        let name = path.strip_prefix(&format!("{REPO}/resolve/main/")).unwrap();
        let content = &self.files.iter().find(|(other, _)| *other == name).unwrap().1;
        let range = headers.get("range").map(|range| range.to_str().unwrap());
        let requested = range.map_or(0, |range| range["bytes=".len()..range.len() - 1].parse().unwrap());
        let fault = self.faults.get(self.downloads.fetch_add(1, Ordering::SeqCst)).copied();
        let from = match fault {
            Some(Fault::Unavailable) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Some(Fault::NoSuchRange) => return StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
            Some(Fault::Gone) => return StatusCode::NOT_FOUND.into_response(),
            Some(Fault::IgnoresRange) => 0,
            Some(Fault::WrongRange) => requested + 1,
            _ => requested,
        };
        let mut bytes = content[from..].to_vec();
        let declared = bytes.len() + usize::from(fault == Some(Fault::TooMuch));
        match fault {
            Some(Fault::Cut) => bytes.truncate(bytes.len() / 2),
            Some(Fault::TooMuch) => bytes.push(0),
            _ => {}
        }
        // The yield lets the bytes be sent; a body that is shorter than its declared length is broken.
        let pause = stream::once(tokio::task::yield_now()).filter_map(async |()| None);
        let body = stream::iter([Ok::<_, Infallible>(bytes)]).chain(pause);
        let answer = Response::builder().header("content-length", declared);
        let answer = if range.is_some() && fault != Some(Fault::IgnoresRange) {
            self.resumed.fetch_add(1, Ordering::SeqCst);
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            answer.status(StatusCode::PARTIAL_CONTENT).header("content-range", range)
        } else {
            answer
        };
        answer.body(Body::from_stream(body)).unwrap()
    }

    async fn serve(&self) -> String {
        let (info, download) = (self.clone(), self.clone());
        let info = async move |Param(repo): Param<String>| info.info(&repo);
        let download =
            async move |Param(path): Param<String>, headers: HeaderMap| download.download(&path, &headers);
        serve(Router::new().route("/api/models/{*repo}", get(info)).route("/{*path}", get(download))).await
    }
}

fn sha256(content: &[u8]) -> String {
    hearth_domain::hex(Sha256::digest(content))
}

async fn pull(line: &str, hub: &str, data: &Path) -> Result<(), String> {
    let line =
        Line::try_parse_from(format!("hearth {line}").split_whitespace()).map_err(|e| e.to_string())?;
    let hub = HubSettings { url: hub.to_owned(), token: None };
    let settings = Settings { data: data.to_owned(), hub, ..Settings::default() };
    line.pull.run_here(&settings, true).await.map_err(|error| error.to_string())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn file_is_downloaded_once() {
    let (hub, dir) = (FakeHub::new(&["q4/tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf"]), folder());
    let url = hub.serve().await;
    pull(REPO, &url, dir.path()).await.unwrap();
    let path = dir.path().join("models").join(REPO).join("q4/tiny-Q4_K_M.gguf");
    assert_eq!(std::fs::read(&path).unwrap(), hub.files[0].1);
    assert!(!path.with_extension("gguf.part").exists());
    pull(REPO, &url, dir.path()).await.unwrap();
    assert_eq!(hub.downloads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn cut_download_continues() {
    let (mut hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
    hub.faults = vec![Fault::Cut; 2];
    pull(REPO, &hub.serve().await, dir.path()).await.unwrap();
    assert_eq!(
        std::fs::read(dir.path().join("models").join(REPO).join("tiny.gguf")).unwrap(),
        hub.files[0].1
    );
    assert_eq!(hub.resumed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn part_of_an_earlier_download_is_resumed() {
    let (hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
    let path = dir.path().join("models").join(REPO).join("tiny.gguf");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path.with_extension("gguf.part"), &hub.files[0].1[..1000]).unwrap();
    pull(REPO, &hub.serve().await, dir.path()).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), hub.files[0].1);
    assert_eq!(hub.resumed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn wrong_hash_deletes_the_file() {
    let (mut hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
    hub.sha256 = Some("0".repeat(64));
    let error = pull(REPO, &hub.serve().await, dir.path()).await.unwrap_err();
    assert!(error.contains("isn't the one that the source lists"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path().join("models").join(REPO)).unwrap().count(), 0);
}

#[tokio::test]
async fn temporary_faults_are_retried() {
    use Fault::{Cut, IgnoresRange, NoSuchRange, Unavailable, WrongRange};
    for faults in [
        &[Unavailable, Unavailable, Unavailable, Unavailable][..],
        &[Cut, Unavailable, Cut, Unavailable, Cut],
        &[Cut, IgnoresRange],
        &[Cut, WrongRange],
        &[Cut, NoSuchRange],
        &[Cut; 12],
    ] {
        let (mut hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
        hub.faults = faults.to_vec();
        pull(REPO, &hub.serve().await, dir.path()).await.unwrap();
        assert_eq!(
            std::fs::read(dir.path().join("models").join(REPO).join("tiny.gguf")).unwrap(),
            hub.files[0].1,
            "{faults:?}"
        );
    }
}

#[tokio::test]
async fn part_is_kept_when_the_hub_fails() {
    let (mut hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
    hub.faults = [vec![Fault::Cut], vec![Fault::Unavailable; 5]].concat();
    let url = hub.serve().await;
    let part = dir.path().join("models").join(REPO).join("tiny.gguf.part");
    let error = pull(REPO, &url, dir.path()).await.unwrap_err();
    assert!(error.contains("broke off at 195.3 KiB of 390.6 KiB: the hub answered 503"), "{error}");
    assert!(error.contains("run the command again"), "{error}");
    assert_eq!(part.metadata().unwrap().len(), 200_000);
    // The second run continues from there.
    pull(REPO, &url, dir.path()).await.unwrap();
    assert_eq!(std::fs::read(part.with_extension("")).unwrap(), hub.files[0].1);
    assert!(!part.exists());
}

#[tokio::test]
async fn wrong_size_or_missing_file_ends_the_download() {
    for (fault, word) in [(Fault::TooMuch, "sent more than"), (Fault::Gone, "not that file in it")] {
        let (mut hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
        hub.faults = vec![fault];
        let error = pull(REPO, &hub.serve().await, dir.path()).await.unwrap_err();
        assert!(error.contains(word), "{fault:?}: {error}");
        assert_eq!(
            std::fs::read_dir(dir.path().join("models").join(REPO)).unwrap().count(),
            0,
            "{fault:?} leaves a file"
        );
    }
}

#[tokio::test]
async fn part_of_another_version_is_discarded() {
    let (hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
    let part = dir.path().join("models").join(REPO).join("tiny.gguf.part");
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    let url = hub.serve().await;
    // Shorter than the file: the hashes differ. Longer: it can't be the beginning.
    std::fs::write(&part, vec![7; 1000]).unwrap();
    let error = pull(REPO, &url, dir.path()).await.unwrap_err();
    assert!(error.contains("was deleted; download again"), "{error}");
    std::fs::write(&part, vec![7; 1_000_000]).unwrap();
    pull(REPO, &url, dir.path()).await.unwrap();
    assert_eq!(std::fs::read(part.with_extension("")).unwrap(), hub.files[0].1);
}

#[tokio::test]
async fn download_larger_than_the_disk_is_refused() {
    let (mut hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
    hub.size = Some(1 << 60);
    let error = pull(REPO, &hub.serve().await, dir.path()).await.unwrap_err();
    assert!(error.starts_with("1.0 EiB more is needed, but ") && error.contains("hearth storage"), "{error}");
    assert_eq!(hub.downloads.load(Ordering::SeqCst), 0);
    assert_eq!(std::fs::read_dir(dir.path().join("models").join(REPO)).unwrap().count(), 0);
}

#[tokio::test]
async fn second_download_of_a_file_is_refused() {
    let (hub, dir) = (FakeHub::new(&["tiny.gguf"]), folder());
    let path = dir.path().join("models").join(REPO).join("tiny.gguf.part");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let part = std::fs::File::create(&path).unwrap();
    part.lock().unwrap();
    let error = pull(REPO, &hub.serve().await, dir.path()).await.unwrap_err();
    assert!(error.contains("tiny.gguf.part can't be written: another download"), "{error}");
    drop(part);
}

#[tokio::test]
async fn missing_repository_or_file_is_an_error() {
    let (hub, dir) = (FakeHub::new(&["tiny-F16.gguf", "tiny-F32.gguf"]), folder());
    let url = hub.serve().await;
    let error = pull("owner/other", &url, dir.path()).await.unwrap_err();
    assert!(error.contains("has no repository owner/other"), "{error}");
    let error = pull(REPO, &url, dir.path()).await.unwrap_err();
    assert!(error.contains("choose one with --file NAME") && error.contains("tiny-F32.gguf"), "{error}");
    let error = pull(&format!("{REPO} --file tiny.gguf"), &url, dir.path()).await.unwrap_err();
    assert!(error.contains("has no tiny.gguf"), "{error}");
    pull(&format!("{REPO} --file tiny-F32.gguf"), &url, dir.path()).await.unwrap();
}

#[tokio::test]
async fn unreachable_hub_is_an_error_with_advice() {
    let dir = folder();
    let error = pull(REPO, &closed_port().await, dir.path()).await.unwrap_err();
    assert!(error.contains("127.0.0.1 can't be reached"), "{error}");
    assert!(error.contains("hearth up --model FILE"), "{error}");
}

#[tokio::test]
async fn names_outside_the_folder_are_refused() {
    let (hub, dir) = (FakeHub::new(&["../../../escape.gguf"]), folder());
    let url = hub.serve().await;
    for (line, words) in [
        ("../x", "no whole path"),
        ("a/b/c", "OWNER/REPO"),
        ("a/b --file ../m.gguf", "without `..`"),
        ("a/b --file m.bin", "ends with .gguf"),
    ] {
        let error = pull(line, &url, dir.path()).await.unwrap_err();
        assert!(error.contains(words), "{line}: {error}");
    }
    // Nor does the hub get to name a file outside of the folder.
    assert!(pull(REPO, &url, dir.path()).await.unwrap_err().contains("has no .gguf files"));
    assert_eq!(hub.downloads.load(Ordering::SeqCst), 0);
}
