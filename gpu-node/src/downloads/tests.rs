use hearth_domain::Priority;
use hearth_settings::{DownloadSettings, HubSettings};

use super::*;

/// Downloads from a hub that never answers, and never fail by that.
fn downloads(models: &std::path::Path, parallel: usize) -> Downloads {
    let hub = HubSettings { url: "http://127.0.0.1:1".to_owned(), token: None };
    let settings = DownloadSettings { attempts: 1000, parallel, ..DownloadSettings::default() };
    Downloads::start(DownloadOptions::new(models.to_owned(), &hub, &settings))
}

fn command(caller: &str, source: &str, priority: Priority) -> NodeDownloadCommand {
    NodeDownloadCommand {
        job: JobId::new(),
        caller: caller.to_owned(),
        source: source.to_owned(),
        file: None,
        sha256: None,
        priority,
        token: None,
    }
}

#[tokio::test]
async fn callers_of_one_source_have_jobs_of_their_own_and_one_download() {
    let folder = tempfile::tempdir().unwrap();
    let downloads = downloads(folder.path(), 1);
    let begin =
        |caller: &str, source: &str| downloads.begin(&command(caller, source, Priority::Normal)).unwrap();
    let (first, second) = (begin("a", "owner/repo"), begin("b", "hf:owner/repo"));
    assert_ne!(first.job, second.job);
    assert_eq!((first.source.as_str(), second.source.as_str()), ("hf:owner/repo", "hf:owner/repo"));
    assert_eq!(begin("a", "https://huggingface.co/owner/repo").job, first.job);
    assert_eq!(second.state, JobState::Running);
    // It goes on for the caller who is left, and ends with the last one.
    assert_eq!(downloads.cancel(first.job).unwrap().state, JobState::Cancelled);
    assert_eq!(downloads.get(second.job).unwrap().state, JobState::Running);
    assert_eq!(downloads.cancel(second.job).unwrap().state, JobState::Cancelled);
    // A cancelled job is final, and a next one is another.
    assert_eq!(downloads.resume(second.job).unwrap().state, JobState::Cancelled);
    assert_ne!(begin("a", "owner/repo").job, first.job);
}

#[tokio::test]
async fn queued_downloads_begin_by_priority_and_then_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let downloads = downloads(folder.path(), 1);
    let begin = |source: &str, priority| downloads.begin(&command("a", source, priority)).unwrap().job;
    let running = begin("owner/running", Priority::Low);
    let queued = [
        begin("owner/low", Priority::Low),
        begin("owner/first", Priority::Normal),
        begin("owner/second", Priority::Normal),
        begin("owner/high", Priority::High),
    ];
    // The age is that of the id; ids of one millisecond have any order.
    let [low, mut normal @ .., high] = queued;
    normal.sort();
    let mut before = running;
    for next in [high, normal[0], normal[1], low] {
        assert_eq!(downloads.get(next).unwrap().state, JobState::Queued);
        downloads.pause(before).unwrap();
        assert_eq!(downloads.get(next).unwrap().state, JobState::Running);
        before = next;
    }
    assert_eq!(downloads.states(&queued).downloads.len(), 4);
    assert_eq!(downloads.states(&[JobId::new()]).downloads, []);
}

#[tokio::test]
async fn journals_restore_open_downloads_with_later_revisions() {
    let folder = tempfile::tempdir().unwrap();
    let (running, paused) = {
        let downloads = downloads(folder.path(), 1);
        let begin = |source: &str| downloads.begin(&command("a", source, Priority::Normal)).unwrap().job;
        let (running, paused) = (begin("owner/a"), begin("owner/b"));
        downloads.pause(paused).unwrap();
        downloads.shut_down();
        let refused = downloads.begin(&command("a", "owner/c", Priority::Normal)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::NodeOffline);
        (downloads.get(running).unwrap(), downloads.get(paused).unwrap())
    };
    std::fs::write(folder.path().join(".downloads/broken.json"), "{").unwrap();
    let downloads = downloads(folder.path(), 1);
    let (running_now, paused_now) = (downloads.get(running.job).unwrap(), downloads.get(paused.job).unwrap());
    assert_eq!((running_now.state, paused_now.state), (JobState::Running, JobState::Paused));
    assert!(running_now.revision > running.revision && paused_now.revision > paused.revision);
}
