use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    time::SystemTime,
};

use super::*;
use crate::{
    gguf::written::{self, Entry::Text},
    model_files::ModelScanner,
};

const DAY: u64 = 24 * 60 * 60;

/// A model folder in a temporary folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(folder.models()).unwrap();
        folder
    }

    fn models(&self) -> PathBuf {
        self.0.path().join("models")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.models().join(name)
    }

    /// Writes a model of about `kib` KiB, with a modification some days ago.
    fn model(&self, name: &str, kib: u64, days_ago: u64) {
        written::gguf(&self.at(name), &[("general.architecture", Text("llama"))], kib * 256);
        aged(&self.at(name), days_ago);
    }

    fn scan(&self) -> ModelFiles {
        ModelScanner::new(self.models(), vec![]).scan()
    }

    fn names(&self) -> Vec<String> {
        self.scan().into_keys().collect()
    }

    fn survey(&self) -> Survey {
        let used = LastUsed::read(&self.models());
        Survey::of(&self.models(), &self.scan(), &used, |_| None, Timestamp::now())
    }

    /// Returns the models that a new storage manager removes.
    fn apply(&self, policy: Policy, keep: &[(&str, Keep)]) -> Vec<String> {
        let keep_of = |id: &str| keep.iter().find(|(model, _)| *model == id).map(|(_, reason)| *reason);
        let outcome = StorageManager::new(&self.models(), policy).apply(&self.scan(), keep_of);
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        outcome.plan.removals.into_iter().map(|removal| removal.id).collect()
    }
}

fn aged(path: &Path, days: u64) {
    let at = SystemTime::now() - Duration::from_secs(days * DAY);
    File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

fn keep_days(days: u32) -> Policy {
    Policy { keep_days: Some(days), ..Policy::default() }
}

fn max_kib(kib: u64) -> Policy {
    Policy { max_bytes: Some(kib * 1024), ..Policy::default() }
}

#[test]
fn least_recently_used_models_are_removed_with_all_parts() {
    let folder = Folder::new();
    for part in 1..=3 {
        folder.model(&format!("owner/big/big-{part:05}-of-00003.gguf"), 40, 50);
    }
    folder.model("owner/small/small.gguf", 20, 30);
    folder.model("new.gguf", 30, 0);
    assert_eq!(folder.apply(Policy::default(), &[]), [""; 0]);
    assert_eq!(folder.apply(max_kib(1000), &[]), [""; 0]);
    assert_eq!(folder.apply(max_kib(100), &[]), ["big"]);
    assert!(!folder.at("owner/big").exists(), "the empty folder remains");
    assert_eq!(folder.names(), ["new", "small"]);
    assert_eq!(folder.apply(max_kib(40), &[]), ["small"]);
    assert!(!folder.at("owner").exists() && folder.models().exists());
}

#[test]
fn recorded_use_has_precedence_over_the_files_time() {
    let folder = Folder::new();
    folder.model("a.gguf", 10, 90);
    folder.model("b.gguf", 10, 60);
    let storage = StorageManager::new(&folder.models(), keep_days(30));
    storage.clone().record_use("a");
    let outcome = storage.apply(&folder.scan(), |_| None);
    assert_eq!(outcome.plan.removals.len(), 1);
    assert_eq!(folder.names(), ["a"]);
    // It survives a restart.
    assert_eq!(folder.apply(keep_days(30), &[]), [""; 0]);
    // Without recorded times the files' times count.
    fs::write(folder.at(last_used::FILE_NAME), b"\0\0\0").unwrap();
    assert_eq!(folder.apply(keep_days(30), &[]), ["a"]);
}

#[test]
fn kept_models_are_not_removed() {
    let folder = Folder::new();
    let keeps = [("default", Keep::Default), ("busy", Keep::InUse), ("tiny-chat", Keep::Embedded)];
    for (id, _) in keeps {
        folder.model(&format!("{id}.gguf"), 10, 100);
    }
    folder.model("other.gguf", 10, 0);
    let policy = Policy { max_bytes: Some(1), keep_days: Some(1) };
    let outcome = StorageManager::new(&folder.models(), policy)
        .apply(&folder.scan(), |id| keeps.iter().find(|(model, _)| *model == id).map(|(_, reason)| *reason));
    assert_eq!(folder.names(), ["busy", "default", "tiny-chat"]);
    assert_eq!(outcome.plan.over_limit, outcome.plan.bytes_after - 1);
}

#[test]
fn targets_of_links_out_of_the_folder_are_never_removed() {
    let folder = Folder::new();
    let elsewhere = folder.0.path().join("elsewhere");
    written::gguf(&elsewhere.join("far.gguf"), &[("general.architecture", Text("llama"))], 100);
    written::gguf(&elsewhere.join("linked.gguf"), &[("general.architecture", Text("llama"))], 100);
    for name in ["far.gguf", "linked.gguf"] {
        aged(&elsewhere.join(name), 100);
    }
    symlink(&elsewhere, folder.at("disk2")).unwrap();
    symlink(elsewhere.join("linked.gguf"), folder.at("link.gguf")).unwrap();
    assert_eq!(folder.names(), ["far", "link", "linked"]);
    let policy = Policy { max_bytes: Some(0), keep_days: Some(1) };
    assert_eq!(folder.apply(policy, &[]), [""; 0]);
    assert_eq!(folder.names().len(), 3);
    assert_eq!(folder.survey().total(), 0, "files elsewhere must not be counted");

    // Nor when their paths are in a plan.
    for path in [elsewhere.join("far.gguf"), folder.at("disk2/far.gguf"), folder.at("link.gguf"), elsewhere] {
        let failures = remove::remove(&folder.models(), "far", std::slice::from_ref(&path));
        assert_eq!(failures.len(), 1, "{}", path.display());
        assert!(path.exists());
    }
}

#[test]
fn abandoned_downloads_are_counted_and_removed() {
    let folder = Folder::new();
    folder.model("m.gguf", 10, 0);
    for (name, days) in [("left.gguf.part", 40), ("running.gguf.part", 40), ("fresh.gguf.part", 0)] {
        fs::write(folder.at(name), vec![0; 2048]).unwrap();
        aged(&folder.at(name), days);
    }
    fs::write(folder.at("readme.txt"), vec![0; 100]).unwrap();
    let survey = folder.survey();
    let model = fs::metadata(folder.at("m.gguf")).unwrap().len();
    assert_eq!((survey.total(), survey.other_bytes), (model + 3 * 2048 + 100, 100));
    let running = File::open(folder.at("running.gguf.part")).unwrap();
    running.lock().unwrap();
    assert_eq!(folder.apply(keep_days(30), &[]), ["left.gguf.part"]);
    assert_eq!(folder.apply(max_kib(1), &[]), ["m"]);
    drop(running);
    assert_eq!(folder.apply(max_kib(1), &[]), ["running.gguf.part"]);
    assert!(folder.at("fresh.gguf.part").exists() && folder.at("readme.txt").exists());
}

#[test]
fn failed_removal_is_returned_and_does_not_stop_others() {
    let folder = Folder::new();
    for part in 1..=2 {
        folder.model(&format!("big-{part:05}-of-00002.gguf"), 10, 50);
    }
    let survey = folder.survey();
    let plan = policy::plan(&survey.items(), 0, &keep_days(1), Timestamp::now());
    // After the plan was made, a folder replaced a part.
    fs::remove_file(folder.at("big-00001-of-00002.gguf")).unwrap();
    fs::create_dir(folder.at("big-00001-of-00002.gguf")).unwrap();
    let failures = execute(&folder.models(), &survey, &plan);
    assert_eq!(failures.len(), 1);
    assert!(failures[0].to_string().contains("big-00001-of-00002.gguf can't be removed"), "{}", failures[0]);
    assert!(!folder.at("big-00002-of-00002.gguf").exists());
    // A missing file is no failure.
    fs::remove_dir(folder.at("big-00001-of-00002.gguf")).unwrap();
    assert!(execute(&folder.models(), &survey, &plan).is_empty());
}

#[test]
fn free_space_of_a_missing_folder_is_that_of_its_disk() {
    let folder = Folder::new();
    assert!(free_bytes(&folder.at("not/yet/there")).unwrap() > 0);
}
