//! Selection of backends: those that crash, hang or compute wrong numbers are excluded, and runs succeed.

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
use hearth_tests::{Home, binary, eventually, own_selector, signal, skip, within, wrap_backend};
use hearth_wire::node::{BackendState, NodeBackend};
use tempfile::TempDir;

use crate::{
    LONG_MODEL, ask,
    in_process::{InProcessNode, script, short_task},
};

/// A folder with links to the build's own CPU backends, to which others are added.
pub(crate) struct BackendFolder {
    pub(crate) folder: TempDir,
    /// The backend that is selected if all pass.
    pub(crate) best: PathBuf,
    /// The backend with the lowest score.
    simplest: PathBuf,
}

impl BackendFolder {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let built = within("the build's own choice", own_selector().select()).await;
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

    /// Adds a library that wraps `real`, compiled with these definitions.
    pub(crate) fn wrap(&self, name: &str, real: &Path, definitions: &[&str]) {
        wrap_backend(&self.folder.path().join(name), real, definitions);
    }

    /// Configures a node to use the folder, without cached results.
    pub(crate) fn configure(&self, config: &mut NodeConfig) {
        config.backends = Selector {
            folder: Some(self.folder.path().to_owned()),
            ..Selector::new(binary("hearth"), self.folder.path().join("results.json"))
        };
    }
}

async fn wait_for_results(node: &InProcessNode) -> Vec<NodeBackend> {
    eventually("the results", async || {
        let backends = node.node.status().await.unwrap().backends;
        (!backends.is_empty()).then_some(backends)
    })
    .await
}

fn find<'a>(backends: &'a [NodeBackend], library: &str) -> &'a NodeBackend {
    let backend = backends.iter().find(|backend| backend.library == library);
    backend.unwrap_or_else(|| panic!("no {library}: {backends:?}"))
}

fn assert_failed(backends: &[NodeBackend], library: &str, reason: &str) {
    let backend = find(backends, library);
    assert_eq!(backend.state, BackendState::Failed, "{backend:?}");
    assert!(backend.reason.as_ref().unwrap().contains(reason), "{backend:?}");
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[tokio::test]
async fn backends_that_crash_hang_or_compute_wrong_numbers_are_excluded() {
    let backends = BackendFolder::new().await;
    for (name, definitions) in [
        ("libggml-cpu-crash.so", ["SCORE=9003", "CRASH"]),
        ("libggml-cpu-wrong.so", ["SCORE=9002", "WRONG"]),
        ("libggml-cpu-hang.so", ["SCORE=9001", "HANG"]),
    ] {
        backends.wrap(name, &backends.best, &definitions);
    }
    fs::write(backends.folder.path().join("libggml-cpu-broken.so"), "no library").unwrap();
    let node = InProcessNode::start(|config| {
        backends.configure(config);
        // Short enough for the test, and long enough for a busy machine.
        config.backends.silence = Duration::from_secs(8);
    })
    .await;
    node.assert_answers().await;

    let results = wait_for_results(&node).await;
    assert_failed(&results, "libggml-cpu-crash.so", "F32, 1 row: its process ended with signal: 4 (SIGILL)");
    assert_failed(&results, "libggml-cpu-wrong.so", "F32, 1 row: wrong numbers");
    assert_failed(&results, "libggml-cpu-hang.so", "F32, 1 row: it hung: no answer for 8 s");
    assert_failed(&results, "libggml-cpu-broken.so", "libggml-cpu-broken.so");
    let used = find(&results, file_name(&backends.best));
    assert_eq!(used.state, BackendState::InUse, "{results:?}");
    let short = file_name(&backends.best).trim_start_matches("libggml-").trim_end_matches(".so");
    assert_eq!(node.runtime_status(LONG_MODEL).await.backends.as_deref(), Some(short));
    // The worker has loaded that library and no other.
    let worker = node.worker(LONG_MODEL).await;
    #[cfg(target_os = "linux")]
    {
        let maps = fs::read_to_string(format!("/proc/{worker}/maps")).unwrap();
        let files = maps.lines().filter_map(|line| line.rsplit('/').next());
        let mut names: Vec<&str> = files.filter(|name| name.starts_with("libggml-cpu")).collect();
        names.dedup();
        assert_eq!(names, [file_name(&backends.best)]);
    }
    node.stop().await;
}

#[tokio::test]
async fn without_a_backend_that_passes_models_fail_with_the_reason() {
    let built = BackendFolder::new().await;
    // The only backend is compared with the expected results, as there is no other one.
    for (definition, reason) in [("CRASH", "SIGILL"), ("WRONG", "F32, 1 row: wrong numbers")] {
        let (best, simplest) = (built.best.clone(), built.simplest.clone());
        let backends = BackendFolder { folder: TempDir::new().unwrap(), best, simplest };
        backends.wrap("libggml-cpu-broken.so", &backends.best, &["SCORE=9", definition]);
        let node = InProcessNode::start(|config| backends.configure(config)).await;
        let error = node.run(short_task()).await.error().await;
        let message = &error.message;
        assert!(message.contains("passed its self-test") && message.contains(reason), "{error:?}");
        node.stop().await;
    }
}

/// Computing code in a worker, as of a model file that exploits it, can't read what the node's user can.
#[tokio::test]
async fn code_in_a_worker_reads_no_other_file() {
    if !hearth_node::confine::has_landlock() {
        return skip("this system has no Landlock");
    }
    let secrets = TempDir::new().unwrap();
    let secret = secrets.path().join("secret");
    let condition = format!("CRASH_IF_READ=\"{}\"", secret.display());
    for sandbox in [true, false] {
        let backends = BackendFolder::new().await;
        backends.wrap("libggml-cpu-curious.so", &backends.best, &["SCORE=9001", &condition]);
        let node = InProcessNode::start(|config| {
            backends.configure(config);
            config.settings.worker_sandbox = sandbox;
        })
        .await;
        node.assert_answers().await;
        fs::write(&secret, "secret").unwrap();
        node.assert_answers().await;
        let used = node.runtime_status(LONG_MODEL).await.backends.unwrap();
        assert_eq!(used == "cpu-curious", sandbox, "{used}");
        fs::remove_file(&secret).unwrap();
        node.stop().await;
    }
}

#[tokio::test]
async fn crash_while_computing_selects_the_next_backend() {
    let backends = BackendFolder::new().await;
    let flag = backends.folder.path().join("crash-now");
    let condition = format!("CRASH_IF=\"{}\"", flag.display());
    backends.wrap("libggml-cpu-fragile.so", &backends.best, &["SCORE=9001", &condition]);
    let node = InProcessNode::start(|config| backends.configure(config)).await;
    node.assert_answers().await;
    assert_eq!(node.runtime_status(LONG_MODEL).await.backends.as_deref(), Some("cpu-fragile"));

    fs::write(&flag, "").unwrap();
    // The run has sent no text yet, so it is retried, and its client sees no crash.
    node.assert_answers().await;
    let results = wait_for_results(&node).await;
    assert_failed(&results, "libggml-cpu-fragile.so", "SIGILL");
    assert_eq!(find(&results, file_name(&backends.best)).state, BackendState::InUse);
    node.stop().await;
}

#[tokio::test]
async fn crash_while_loading_selects_the_next_backend() {
    let backends = BackendFolder::new().await;
    let flag = backends.folder.path().join("crash-now");
    let condition = format!("CRASH_IF=\"{}\"", flag.display());
    backends.wrap("libggml-cpu-fragile.so", &backends.best, &["SCORE=9001", &condition]);
    let node = InProcessNode::start(|config| backends.configure(config)).await;
    wait_for_results(&node).await;
    fs::write(&flag, "").unwrap();
    // The load decodes a token.
    node.assert_answers().await;
    assert_failed(&wait_for_results(&node).await, "libggml-cpu-fragile.so", "SIGILL");
    node.stop().await;
}

#[tokio::test]
async fn repeated_crashes_retest_good_backends_once() {
    // Signals of an unknown instruction, a wrong address, and ggml's abort.
    for signal in ["ILL", "SEGV", "ABRT"] {
        crash_twice(signal).await;
    }
}

async fn crash_twice(name: &str) {
    let backends = BackendFolder::new().await;
    let log = backends.folder.path().join("tests.log");
    let commands =
        format!("echo \"$2\" >> '{}'; exec '{}' \"$@\"", log.display(), binary("hearth").display());
    let counting = script(backends.folder.path(), &commands);
    let tests = || fs::read_to_string(&log).unwrap().lines().filter(|line| *line == "self-test").count();
    let node = InProcessNode::start(|config| {
        backends.configure(config);
        config.backends.executable = counting;
    })
    .await;
    node.assert_answers().await;
    let at_start = tests();
    for crash in 1..=2 {
        let worker = node.worker(LONG_MODEL).await;
        signal(name, worker).await;
        if name == "SEGV" {
            // The first one only removes the handler by which Rust reports a stack overflow.
            eventually("a process without a handler", async || handles_no_segv(worker).then_some(())).await;
            signal(name, worker).await;
        }
        eventually("the next worker", async || {
            node.assert_answers().await;
            node.runtime_status(LONG_MODEL).await.pid.filter(|pid| *pid != worker)
        })
        .await;
        assert_eq!(tests(), 2 * at_start, "after crash {crash} by SIG{name}");
    }
    let used = wait_for_results(&node).await;
    assert_eq!(find(&used, file_name(&backends.best)).state, BackendState::InUse);
    node.stop().await;
}

/// Returns whether SIGSEGV has its default action in a process, by `/proc`.
fn handles_no_segv(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (11 - 1)) == 0
}

#[tokio::test]
async fn cached_results_are_reused_and_a_broken_cache_is_ignored() {
    let backends = BackendFolder::new().await;
    let selector = |config: &mut NodeConfig| {
        backends.configure(config);
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
    // A new library makes the cached results invalid.
    backends.wrap("libggml-cpu-new.so", &backends.best, &["SCORE=9001"]);
    let with_new = selector.select().await;
    assert_eq!(with_new.names(), "cpu-new");
    assert!(!with_new.from_cache && selector.select().await.from_cache);
}

#[tokio::test]
async fn gpu_that_crashes_hangs_or_computes_wrong_numbers_is_excluded() {
    let backends = BackendFolder::new().await;
    // A copy, so that the GPU's function table isn't the CPU's.
    let copy = backends.folder.path().join("real-gpu.so");
    fs::copy(&backends.simplest, &copy).unwrap();
    for (definitions, failure) in [
        (
            &["SCORE=1", "GPU", "CRASH"][..],
            Some("FAKE0, F32, 1 row: its process ended with signal: 4 (SIGILL)"),
        ),
        (&["SCORE=1", "GPU", "HANG"], Some("FAKE0, F32, 1 row: it hung: no answer for 8 s")),
        (&["SCORE=1", "GPU", "WRONG"], Some("FAKE0, F32, 1 row: wrong numbers")),
        (&["SCORE=1", "GPU"], None),
    ] {
        backends.wrap("libggml-vulkan.so", &copy, definitions);
        let node = InProcessNode::start(|config| {
            backends.configure(config);
            config.backends.gpu_silence = Duration::from_secs(8);
        })
        .await;
        node.assert_answers().await;
        let results = wait_for_results(&node).await;
        let names = node.runtime_status(LONG_MODEL).await.backends.unwrap();
        assert_eq!(names.contains("vulkan"), failure.is_none(), "{names}");
        match failure {
            Some(reason) => assert_failed(&results, "libggml-vulkan.so", reason),
            None => assert_eq!(find(&results, "libggml-vulkan.so").state, BackendState::InUse, "{results:?}"),
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn result_of_a_self_test_is_in_the_log_and_in_the_list_of_nodes() {
    let home = Home::start().await;
    let client = home.client();
    // Its backends are tested again, so the result isn't that of an earlier process.
    signal("ILL", home.worker(&home.model).await).await;
    let node = eventually("the retest", async || {
        ask(&client, &home.model).await;
        let list = client.get("/v1/nodes").await.json();
        let node = list["nodes"][0].clone();
        node["status"]["devices"].as_array().is_some_and(|devices| !devices.is_empty()).then_some(node)
    })
    .await;
    let devices = node["status"]["devices"].as_array().unwrap();
    let used: Vec<&str> = devices
        .iter()
        .filter(|device| device["state"] == "in_use")
        .map(|device| device["library"].as_str().unwrap())
        .collect();
    assert_eq!(node["status"]["backend"], used.join(", "), "{node}");
    let library = used.iter().find(|library| library.starts_with("libggml-cpu-")).unwrap();
    let log = home.data().join("logs/hearth.log");
    let _folder = home.stop().await;
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let crash =
        lines.iter().position(|line| line.contains("a worker crashed; its backends are tested again"));
    let result = format!("{library} passed its self-test in ");
    assert!(lines[crash.unwrap()..].iter().any(|line| line.contains(&result)), "no {result:?} in {log}");
}

/// The variants of the CPU backend for processors without AVX-512, in the order of ggml's score.
#[cfg(target_arch = "x86_64")]
const VARIANTS: [&str; 6] = ["haswell", "piledriver", "ivybridge", "sandybridge", "sse42", "x64"];

/// QEMU's names of CPUs, and the best variant for each. QEMU doesn't emulate AVX-512, so Skylake's CPU is one without it.
#[cfg(target_arch = "x86_64")]
const PROCESSORS: [(&str, &str); 6] = [
    ("Haswell", "haswell"),
    ("Conroe", "x64"),
    ("EPYC-Rome", "haswell"),
    ("Nehalem", "sse42"),
    ("Skylake-Server", "haswell"),
    ("IvyBridge", "ivybridge"),
];

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn cpu_with_and_without_avx2_gets_the_best_variant() {
    emulate(&PROCESSORS[..2]).await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn cpu_of_another_maker_and_one_with_sse42_gets_the_best_variant() {
    emulate(&PROCESSORS[2..4]).await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
#[ignore = "half a minute per processor; with every variant built it selects the best of all of them"]
async fn every_processor_gets_the_best_variant() {
    emulate(&PROCESSORS).await;
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::print_stdout, reason = "a person reads what was selected")]
async fn emulate(processors: &[(&str, &str)]) {
    if Command::new("qemu-x86_64").arg("--version").output().is_err() {
        return skip("there is no qemu-x86_64 (Debian's package qemu-user)");
    }
    let (folder, built) = (TempDir::new().unwrap(), binary("hearth").parent().unwrap().to_owned());
    for (processor, best) in processors {
        // The reference is scalar code, the same on every processor, and takes minutes in an emulated build without optimisation.
        let commands = format!(
            "[ \"$2\" = reference ] || emulator='qemu-x86_64 -cpu {processor}'\nexec $emulator '{}' \"$@\"",
            binary("hearth").display()
        );
        let emulated = script(folder.path(), &commands);
        let selector = Selector {
            folder: Some(built.clone()),
            silence: Duration::from_secs(60),
            ..Selector::new(emulated, folder.path().join(format!("{processor}.json")))
        };
        let selection = selector.select().await;
        assert_eq!(selection.problem, None, "{processor}: {selection:?}");
        println!("{processor}: {}", selection.names());
        // The build may lack the best one.
        let is_built = |variant: &&&str| built.join(format!("libggml-cpu-{variant}.so")).exists();
        let expected = VARIANTS.iter().skip_while(|variant| *variant != best).find(is_built).unwrap();
        assert_eq!(selection.names(), format!("cpu-{expected}"), "{processor}: {selection:?}");
        let failed = selection.backends.iter().filter(|backend| backend.state == BackendState::Failed);
        assert_eq!(failed.count(), 0, "{processor}: {selection:?}");
    }
}
