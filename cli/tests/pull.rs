//! `hearth models pull` on disks that run full, by the real program.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's own steps may fail it, and it says what it skips"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::{
    net::TcpListener,
    process::Command,
    sync::Notify,
    time::{Duration, timeout},
};

const REPO: &str = "owner/tiny-GGUF";
const SIZE: usize = 600_000;
const DEADLINE: Duration = Duration::from_secs(60);

/// A hub with one file of [`SIZE`] bytes. Its first download stops in the middle until `go_on`.
async fn hub(waits: bool, halfway: Arc<Notify>, go_on: Arc<Notify>) -> String {
    let info = json!({"siblings": [{"rfilename": "tiny.gguf", "size": SIZE, "lfs": {"sha256": sha256(), "size": SIZE}}]});
    let download = async move |headers: HeaderMap| {
        let from = headers.get("range").map_or(0, |range| {
            range
                .to_str()
                .unwrap()
                .trim_start_matches("bytes=")
                .trim_end_matches('-')
                .parse::<usize>()
                .unwrap()
        });
        let status = if from == 0 { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
        let (first, second) = content().split_at(SIZE / 2);
        let body = if waits && from == 0 {
            let (first, second) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(second));
            let rest = stream::once(async move {
                halfway.notify_one();
                go_on.notified().await;
                Ok::<_, std::io::Error>(second)
            });
            Body::from_stream(stream::iter([Ok(first)]).chain(rest))
        } else {
            Body::from(content()[from..].to_vec())
        };
        Response::builder()
            .status(status)
            .header("content-length", SIZE - from)
            .header("content-range", format!("bytes {from}-{}/{SIZE}", SIZE - 1))
            .body(body)
            .unwrap()
    };
    let router = Router::new()
        .route("/api/models/{*repo}", get(async move || Json(info)))
        .route("/{*path}", get(download));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn content() -> &'static [u8] {
    static CONTENT: std::sync::LazyLock<Vec<u8>> =
        std::sync::LazyLock::new(|| (0..SIZE).map(|n| (n % 251) as u8).collect());
    &CONTENT
}

fn sha256() -> String {
    use sha2::{Digest as _, Sha256};
    hearth_domain::hex(Sha256::digest(content()))
}

/// `hearth models pull` with `data`, started by a shell that runs `before` first.
fn pull(before: &str, data: &Path, hub: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{before}; exec \"$0\" models pull {REPO} --data \"$1\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_hearth")]).arg(data);
    prepared(command, data, hub)
}

fn prepared(mut command: Command, home: &Path, hub: &str) -> Command {
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", home)
        .env("HEARTH_HUB__URL", hub);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> (bool, String) {
    outcome(&timeout(DEADLINE, command.output()).await.unwrap().unwrap())
}

fn outcome(output: &Output) -> (bool, String) {
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn part(data: &Path) -> PathBuf {
    data.join("models").join(REPO).join("tiny.gguf.part")
}

#[tokio::test]
async fn refused_write_keeps_the_part_and_a_later_run_continues() {
    let data = tempfile::tempdir().unwrap();
    let hub = hub(false, Arc::default(), Arc::default()).await;
    // A file may have 512 blocks of 512 bytes, and to write more is an error rather than a signal.
    let (ok, error) = output(&mut pull("trap '' XFSZ; ulimit -f 512", data.path(), &hub)).await;
    assert!(!ok && error.contains("tiny.gguf.part can't be written: File too large"), "{error}");
    assert!(error.contains("the bytes so far are saved") && !error.contains("panicked"), "{error}");
    assert_eq!(fs::metadata(part(data.path())).unwrap().len(), 512 * 512);

    let (ok, error) = output(&mut pull(":", data.path(), &hub)).await;
    assert!(ok, "{error}");
    assert_eq!(fs::read(part(data.path()).with_extension("")).unwrap(), content());
    assert!(!part(data.path()).exists());
}

/// A file system of a megabyte in a mount namespace of the program, which the system must allow.
#[cfg(target_os = "linux")]
mod small_disk {
    use super::*;

    const MOUNT: &str = "mount -t tmpfs -o size=1m none \"$1\" || exit 77";

    async fn is_permitted(data: &Path) -> bool {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", MOUNT, "sh"]).arg(data);
        let permitted = command.output().await.is_ok_and(|output| output.status.success());
        if !permitted {
            println!("skipped: this system allows no mount namespace (`unshare -rm`)");
        }
        permitted
    }

    fn pull_there(before: &str, data: &Path, hub: &str) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("{MOUNT}; {before}; exec \"$0\" models pull {REPO} --data \"$1\"");
        command.args(["-rm", "sh", "-c", &script, env!("CARGO_BIN_EXE_hearth")]).arg(data);
        prepared(command, data, hub)
    }

    #[tokio::test]
    async fn disk_with_too_little_room_is_refused_before_the_download() {
        let data = tempfile::tempdir().unwrap();
        if !is_permitted(data.path()).await {
            return;
        }
        let hub = hub(false, Arc::default(), Arc::default()).await;
        let fill = "head -c 600000 /dev/zero > \"$1/other\"";
        let (ok, error) = output(&mut pull_there(fill, data.path(), &hub)).await;
        assert!(!ok && error.contains("585.9 KiB more is needed, but "), "{error}");
    }

    #[tokio::test]
    async fn disk_that_runs_full_keeps_the_part() {
        let data = tempfile::tempdir().unwrap();
        if !is_permitted(data.path()).await {
            return;
        }
        let (halfway, go_on) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let hub = hub(true, Arc::clone(&halfway), Arc::clone(&go_on)).await;
        let child = pull_there(":", data.path(), &hub).spawn().unwrap();
        // In the program's view of the file system, another file takes the rest of the room.
        let view = PathBuf::from(format!("/proc/{}/root", child.id().unwrap()));
        timeout(DEADLINE, halfway.notified()).await.unwrap();
        let other = view.join(data.path().strip_prefix("/").unwrap()).join("other");
        assert!(fs::write(&other, vec![0; 2 << 20]).is_err(), "the small disk took two megabytes");
        go_on.notify_one();
        let (ok, error) = outcome(&timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap());
        assert!(!ok && error.contains("tiny.gguf.part can't be written: No space left on device"), "{error}");
        assert!(error.contains("make room") && error.contains("download again"), "{error}");
    }
}
