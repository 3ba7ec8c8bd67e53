//! Backends that crash, hang or compute wrong numbers are left out, and answers come all the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use hearth_node::{
    NodeConfig,
    backends::{Selection, Selector},
};
use hearth_tests::{backend_results, binary, eventually, signal, within};
use hearth_wire::node::{BackendState, NodeBackend};
use tempfile::TempDir;

use crate::{
    LONG,
    inside::{Inside, script, short_task},
};

const WRAPPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/suites/node/backends/wrapper.c");

/// A folder with the build's own backends for processors, to which others are added.
struct Backends {
    folder: TempDir,
    /// The one that is used where all are well.
    best: PathBuf,
    /// The simplest one.
    simplest: PathBuf,
}

impl Backends {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let built = within("the build's own choice", own().select()).await;
        assert_eq!(built.problem, None, "{built:?}");
        let best = built.libraries.last().unwrap().clone();
        for backend in &built.backends {
            if backend.library.starts_with("libggml-cpu") {
                let real = best.with_file_name(&backend.library);
                std::os::unix::fs::symlink(&real, folder.path().join(&backend.library)).unwrap();
            }
        }
        let scored = built.backends.iter().filter(|backend| backend.score.is_some_and(|score| score > 0));
        let simplest = scored.min_by_key(|backend| backend.score).unwrap();
        let simplest = best.with_file_name(&simplest.library);
        Self { folder, best, simplest }
    }

    /// Adds a library that wraps `real`, with these definitions.
    fn wrap(&self, name: &str, real: &Path, definitions: &[&str]) {
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(self.folder.path().join(name))
            .arg(format!("-DREAL=\"{}\"", real.display()))
            .args(definitions.iter().map(|definition| format!("-D{definition}")))
            .args([WRAPPER, "-ldl"])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }

    /// Has a node use them, with nothing known of them.
    fn of_node(&self, config: &mut NodeConfig) {
        config.backends = Selector {
            folder: Some(self.folder.path().to_owned()),
            ..Selector::new(binary("hearth"), self.folder.path().join("results.json"))
        };
    }
}

/// What chooses among the build's own backends, with what other tests found out.
fn own() -> Selector {
    Selector::new(binary("hearth"), backend_results())
}

async fn backends(node: &Inside) -> Vec<NodeBackend> {
    eventually("the results", async || {
        let backends = node.node.status().await.unwrap().backends;
        (!backends.is_empty()).then_some(backends)
    })
    .await
}

fn find<'a>(backends: &'a [NodeBackend], library: &str) -> &'a NodeBackend {
    let found = backends.iter().find(|backend| backend.library == library);
    found.unwrap_or_else(|| panic!("no {library}: {backends:?}"))
}

fn failed_because(backends: &[NodeBackend], library: &str, why: &str) {
    let backend = find(backends, library);
    assert_eq!(backend.state, BackendState::Failed, "{backend:?}");
    assert!(backend.reason.as_ref().unwrap().contains(why), "{backend:?}");
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[tokio::test]
async fn backends_that_crash_hang_or_compute_wrong_numbers_are_left_out() {
    let there = Backends::new().await;
    for (name, definitions) in [
        ("libggml-cpu-crash.so", ["SCORE=9003", "CRASH"]),
        ("libggml-cpu-wrong.so", ["SCORE=9002", "WRONG"]),
        ("libggml-cpu-hang.so", ["SCORE=9001", "HANG"]),
    ] {
        there.wrap(name, &there.best, &definitions);
    }
    fs::write(there.folder.path().join("libggml-cpu-broken.so"), "no library").unwrap();
    let node = Inside::start(|config| {
        there.of_node(config);
        // Short for a hang, and long for a busy machine.
        config.backends.silence = Duration::from_secs(8);
    })
    .await;
    node.assert_answers().await;

    let results = backends(&node).await;
    failed_because(&results, "libggml-cpu-crash.so", "F32, 1 row: its process ended with signal: 4 (SIGILL)");
    failed_because(&results, "libggml-cpu-wrong.so", "F32, 1 row: wrong numbers");
    failed_because(&results, "libggml-cpu-hang.so", "F32, 1 row: it hung: no answer for 8 s");
    failed_because(&results, "libggml-cpu-broken.so", "libggml-cpu-broken.so");
    let used = find(&results, file_name(&there.best));
    assert_eq!(used.state, BackendState::InUse, "{results:?}");
    let short = file_name(&there.best).trim_start_matches("libggml-").trim_end_matches(".so");
    assert_eq!(node.runtime(LONG).await.backends.as_deref(), Some(short));
    // The worker has loaded that library and no other one.
    let worker = node.worker(LONG).await;
    #[cfg(target_os = "linux")]
    {
        let maps = fs::read_to_string(format!("/proc/{worker}/maps")).unwrap();
        let files = maps.lines().filter_map(|line| line.rsplit('/').next());
        let mut names: Vec<&str> = files.filter(|name| name.starts_with("libggml-cpu")).collect();
        names.dedup();
        assert_eq!(names, [file_name(&there.best)]);
    }
    node.stop().await;
}

#[tokio::test]
async fn without_a_backend_that_passes_models_fail_with_the_reason() {
    let there = Backends::new().await;
    let folder = TempDir::new().unwrap();
    let there = Backends { folder, ..there };
    there.wrap("libggml-cpu-crash.so", &there.best, &["SCORE=9", "CRASH"]);
    let node = Inside::start(|config| there.of_node(config)).await;
    let error = node.run(short_task()).await.error().await;
    assert!(error.message.contains("passed its self-test") && error.message.contains("SIGILL"), "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_crash_while_computing_moves_to_the_next_backend() {
    let there = Backends::new().await;
    let flag = there.folder.path().join("crash-now");
    let condition = format!("CRASH_IF=\"{}\"", flag.display());
    there.wrap("libggml-cpu-fragile.so", &there.best, &["SCORE=9001", &condition]);
    let node = Inside::start(|config| there.of_node(config)).await;
    node.assert_answers().await;
    assert_eq!(node.runtime(LONG).await.backends.as_deref(), Some("cpu-fragile"));

    fs::write(&flag, "").unwrap();
    // The run had told nothing yet: it is tried again, and its client sees no crash.
    node.assert_answers().await;
    let results = backends(&node).await;
    failed_because(&results, "libggml-cpu-fragile.so", "SIGILL");
    assert_eq!(find(&results, file_name(&there.best)).state, BackendState::InUse);
    node.stop().await;
}

#[tokio::test]
async fn a_crash_while_loading_moves_to_the_next_backend() {
    let there = Backends::new().await;
    let flag = there.folder.path().join("crash-now");
    let condition = format!("CRASH_IF=\"{}\"", flag.display());
    there.wrap("libggml-cpu-fragile.so", &there.best, &["SCORE=9001", &condition]);
    let node = Inside::start(|config| there.of_node(config)).await;
    backends(&node).await;
    fs::write(&flag, "").unwrap();
    // The load decodes a token.
    node.assert_answers().await;
    failed_because(&backends(&node).await, "libggml-cpu-fragile.so", "SIGILL");
    node.stop().await;
}

#[tokio::test]
async fn workers_that_keep_crashing_have_good_backends_tested_once() {
    let there = Backends::new().await;
    let log = there.folder.path().join("tests.log");
    let commands =
        format!("echo \"$2\" >> '{}'; exec '{}' \"$@\"", log.display(), binary("hearth").display());
    let counting = script(there.folder.path(), &commands);
    let tests = || fs::read_to_string(&log).unwrap().lines().filter(|line| *line == "self-test").count();
    let node = Inside::start(|config| {
        there.of_node(config);
        config.backends.executable = counting;
    })
    .await;
    node.assert_answers().await;
    let at_start = tests();
    for crash in 1..=2 {
        let worker = node.worker(LONG).await;
        signal("ILL", worker).await;
        eventually("the next worker", async || {
            node.assert_answers().await;
            node.runtime(LONG).await.pid.filter(|pid| *pid != worker)
        })
        .await;
        assert_eq!(tests(), 2 * at_start, "after crash {crash}");
    }
    let used = backends(&node).await;
    assert_eq!(find(&used, file_name(&there.best)).state, BackendState::InUse);
    node.stop().await;
}

#[tokio::test]
async fn known_results_are_used_again_and_a_broken_file_is_not_trusted() {
    let there = Backends::new().await;
    let selector = |config: &mut NodeConfig| {
        there.of_node(config);
        config.backends.clone()
    };
    let mut config = NodeConfig::new(PathBuf::new(), PathBuf::new());
    let selector = selector(&mut config);
    let first = selector.select().await;
    assert!(!first.from_cache && first.problem.is_none(), "{first:?}");
    assert_eq!(selector.select().await, Selection { from_cache: true, ..first.clone() });
    fs::write(&selector.cache, "{\"machines\": [").unwrap();
    let again = selector.select().await;
    assert!(!again.from_cache, "{again:?}");
    assert_eq!(again.libraries, first.libraries);
    // Another file in a library's place is another build.
    there.wrap("libggml-cpu-new.so", &there.best, &["SCORE=9001"]);
    let with_new = selector.select().await;
    assert_eq!(with_new.names(), "cpu-new");
    assert!(!with_new.from_cache && selector.select().await.from_cache);
}

#[tokio::test]
async fn a_gpu_that_computes_wrong_numbers_is_left_out() {
    let there = Backends::new().await;
    // A backend of its own, not the one that the processor's is: tables are per library.
    let copy = there.folder.path().join("real-gpu.so");
    fs::copy(&there.simplest, &copy).unwrap();
    for (definitions, state) in
        [(&["SCORE=1", "GPU", "WRONG"][..], BackendState::Failed), (&["SCORE=1", "GPU"], BackendState::InUse)]
    {
        there.wrap("libggml-vulkan.so", &copy, definitions);
        let node = Inside::start(|config| there.of_node(config)).await;
        node.assert_answers().await;
        let results = backends(&node).await;
        let gpu = find(&results, "libggml-vulkan.so");
        assert_eq!(gpu.state, state, "{gpu:?}");
        let names = node.runtime(LONG).await.backends.unwrap();
        assert_eq!(names.contains("vulkan"), state == BackendState::InUse, "{names}");
        if state == BackendState::Failed {
            failed_because(&results, "libggml-vulkan.so", "FAKE0, F32, 1 row: wrong numbers");
        }
        node.stop().await;
    }
}

/// QEMU's names of processors, and the variants that may be taken there: the best one, and what a build for one
/// machine may have in its place. QEMU's translator knows no AVX-512, so that Skylake's processor is one without.
#[cfg(target_arch = "x86_64")]
const PROCESSORS: [(&str, &[&str]); 6] = [
    ("EPYC-Rome", &["cpu-haswell", "cpu-x64"]),
    ("Nehalem", &["cpu-sse42", "cpu-x64"]),
    ("Haswell", &["cpu-haswell", "cpu-x64"]),
    ("Skylake-Server", &["cpu-haswell", "cpu-x64"]),
    ("IvyBridge", &["cpu-ivybridge", "cpu-x64"]),
    ("Conroe", &["cpu-x64"]),
];

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn processors_with_and_without_avx_get_a_variant_that_works_on_them() {
    emulate(&PROCESSORS[..2]).await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
#[ignore = "half a minute for each processor; with every variant built it takes the best of all of them"]
async fn every_processor_gets_a_variant_that_works_on_it() {
    emulate(&PROCESSORS).await;
}

#[cfg(target_arch = "x86_64")]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a person reads what was chosen, or why nothing was"
)]
async fn emulate(processors: &[(&str, &[&str])]) {
    if Command::new("qemu-x86_64").arg("--version").output().is_err() {
        eprintln!("skipped: qemu-x86_64 is not here (Debian's package qemu-user)");
        return;
    }
    let folder = TempDir::new().unwrap();
    for (processor, wanted) in processors {
        let commands = format!("exec qemu-x86_64 -cpu {processor} '{}' \"$@\"", binary("hearth").display());
        let emulated = script(folder.path(), &commands);
        let selector = Selector {
            folder: Some(binary("hearth").parent().unwrap().to_owned()),
            silence: Duration::from_secs(60),
            ..Selector::new(emulated, folder.path().join(format!("{processor}.json")))
        };
        let chosen = selector.select().await;
        assert_eq!(chosen.problem, None, "{processor}: {chosen:?}");
        println!("{processor}: {}", chosen.names());
        assert!(wanted.contains(&chosen.names().as_str()), "{processor}: {chosen:?}");
        let failed = chosen.backends.iter().filter(|backend| backend.state == BackendState::Failed);
        assert_eq!(failed.count(), 0, "{processor}: {chosen:?}");
    }
}
