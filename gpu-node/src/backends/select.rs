//! Selects the backends: the best variant for the processor that passes its self-test, and each GPU backend that passes.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use hearth_domain::Timestamp;
use hearth_wire::node::{BackendState, NodeBackend};

use super::{
    cache::{self, CacheKey, Record},
    child::{ChildFailure, Launcher},
    compare::Results,
    description::describe,
    inventory::Inventory,
    libraries::{self, BackendLibrary},
    self_test::Event,
    test_run::{Scored, TestRun, milliseconds},
};

/// Time without output after which a test on the processor is killed. A case takes milliseconds, but the machine may be busy.
const CPU_SILENCE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time without output after which a test on a GPU is killed. The driver may compile kernels first.
const GPU_SILENCE_TIMEOUT: Duration = Duration::from_secs(180);
/// Maximum number of concurrent processes that print scores.
const SCORES_MAX_COUNT: usize = 4;

/// The result of a selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The libraries to load, in order: the GPU backends, then the CPU backend.
    pub libraries: Vec<PathBuf>,
    /// Every library of the build with its result, the best one for the processor first.
    pub backends: Vec<NodeBackend>,
    /// The reason why no backend can be used.
    pub problem: Option<String>,
    /// True if the result was stored and nothing was tested.
    pub from_cache: bool,
}

/// Selects backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The binary of the child processes, which are started with its command `engine`.
    pub executable: PathBuf,
    /// The folder of the libraries; `None` if there are none.
    pub folder: Option<PathBuf>,
    /// The file of stored results.
    pub cache: PathBuf,
    /// The complete environment of the child processes: that of workers, so that drivers do here what they do there.
    pub environment: Vec<(OsString, OsString)>,
    /// Time without output after which a test on the processor is killed.
    pub silence: Duration,
    /// Time without output after which a test on a GPU is killed.
    pub gpu_silence: Duration,
}

impl Selector {
    /// Creates a selector of the backends beside `executable`, which stores results in the file `cache`.
    #[must_use]
    pub fn new(executable: PathBuf, cache: PathBuf) -> Self {
        // Found once: the executable may be replaced while it runs.
        let folder = libraries::folder(&executable);
        Self {
            executable,
            folder,
            cache,
            environment: Vec::new(),
            silence: CPU_SILENCE_TIMEOUT,
            gpu_silence: GPU_SILENCE_TIMEOUT,
        }
    }

    /// Selects by stored results, or by tests if there are none.
    pub async fn select(&self) -> Selection {
        match self.read_inventory().await {
            Ok(inventory) => match self.read_cache(&inventory).await {
                Some(record) => Selection {
                    libraries: record.libraries,
                    backends: record.backends,
                    problem: None,
                    from_cache: true,
                },
                None => self.test_and_store(inventory).await,
            },
            Err(problem) => Selection::impossible(problem),
        }
    }

    /// Selects by tests, and replaces stored results.
    pub async fn retest(&self) -> Selection {
        match self.read_inventory().await {
            Ok(inventory) => {
                // Removed first: if this process ends during the tests, the next one tests too.
                self.write_cache(&inventory.key, None).await;
                self.test_and_store(inventory).await
            }
            Err(problem) => Selection::impossible(problem),
        }
    }

    async fn read_inventory(&self) -> Result<Inventory, String> {
        let selector = self.clone();
        let inventory = tokio::task::spawn_blocking(move || Inventory::read(&selector)).await;
        inventory.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn read_cache(&self, inventory: &Inventory) -> Option<Record> {
        let (path, key) = (self.cache.clone(), inventory.key.clone());
        tokio::task::spawn_blocking(move || cache::read(&path, &key)).await.ok().flatten()
    }

    async fn write_cache(&self, key: &CacheKey, record: Option<Record>) {
        let (path, key) = (self.cache.clone(), key.clone());
        let written = tokio::task::spawn_blocking(move || cache::write(&path, &key, record)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            let path = self.cache.display();
            tracing::warn!(%path, %error, "results of self-tests cannot be stored; the next start tests again");
        }
    }

    async fn test_and_store(&self, inventory: Inventory) -> Selection {
        let started = Instant::now();
        let selection = self.test(&inventory.libraries).await;
        for backend in &selection.backends {
            match backend.state {
                BackendState::Failed => tracing::warn!("{}; it is not used", describe(backend)),
                _ => tracing::info!("{}", describe(backend)),
            }
        }
        let Selection { libraries, backends, problem, .. } = &selection;
        match problem {
            Some(problem) => tracing::error!(problem, "no backend passed its self-test"),
            None => {
                tracing::info!(
                    processor = inventory.machine.processor,
                    seconds = started.elapsed().as_secs_f32(),
                    "backends are tested"
                );
                let record = Record {
                    processor: inventory.machine.processor,
                    tested_at: Timestamp::now().unix(),
                    libraries: libraries.clone(),
                    backends: backends.clone(),
                };
                self.write_cache(&inventory.key, Some(record)).await;
            }
        }
        selection
    }

    async fn test(&self, libraries: &[BackendLibrary]) -> Selection {
        if libraries.is_empty() {
            return self.test_static_backends().await;
        }
        let scores: Vec<_> = libraries.iter().map(|library| self.score(library)).collect();
        let mut scored: Vec<Scored> = stream::iter(scores).buffered(SCORES_MAX_COUNT).collect().await;
        // Then by name, so that the order is always the same.
        scored.sort_by(|a, b| b.order().cmp(&a.order()).then_with(|| a.library.name.cmp(&b.library.name)));
        let (cpus, others): (Vec<Scored>, Vec<Scored>) =
            scored.into_iter().partition(|scored| scored.library.is_cpu);
        let (mut selection, reference) = self.test_cpus(&cpus).await;
        let Some(cpu) = selection.libraries.first().cloned() else { return selection };
        for other in &others {
            let backend = self.test_gpu(other, &cpu, reference.as_ref()).await;
            if backend.state == BackendState::InUse {
                let before_cpu = selection.libraries.len() - 1;
                selection.libraries.insert(before_cpu, other.library.path.clone());
            }
            selection.backends.push(backend);
        }
        selection
    }

    async fn score<'a>(&self, library: &'a BackendLibrary) -> Scored<'a> {
        Scored { library, score: self.cpu_launcher().score(&library.path).await }
    }

    /// Tests the variants for the processor, the best first, until one passes. Also returns the expected results.
    async fn test_cpus(&self, cpus: &[Scored<'_>]) -> (Selection, Option<Results>) {
        let usable: Vec<&Scored> = cpus.iter().filter(|cpu| cpu.is_usable()).collect();
        let Some(best) = usable.first() else {
            let backends: Vec<NodeBackend> = cpus.iter().map(Scored::unusable).collect();
            return (Selection { backends, ..Selection::impossible(none_usable(cpus)) }, None);
        };
        let (reference, first_run) = tokio::join!(self.reference(), self.test_cpu(&best.library.path));
        let mut first_run = Some(first_run);
        let mut selection = Selection::impossible(String::new());
        for cpu in cpus {
            if !cpu.is_usable() {
                selection.backends.push(cpu.unusable());
                continue;
            }
            let mut backend = cpu.backend(BackendState::NotTested);
            if selection.libraries.is_empty() {
                let run = match first_run.take() {
                    Some(run) => run,
                    None => self.test_cpu(&cpu.library.path).await,
                };
                backend.milliseconds = Some(run.milliseconds);
                match run.check(reference.as_ref()) {
                    Err(reason) => (backend.state, backend.reason) = (BackendState::Failed, Some(reason)),
                    Ok(()) => {
                        backend.state = BackendState::InUse;
                        selection.libraries.push(cpu.library.path.clone());
                    }
                }
            }
            selection.backends.push(backend);
        }
        selection.problem = selection.libraries.is_empty().then(|| {
            let reasons: Vec<String> = selection.backends.iter().map(describe).collect();
            format!("no backend for this processor passed its self-test: {}", reasons.join("; "))
        });
        (selection, reference)
    }

    /// Tests a GPU backend, or another one that isn't a CPU backend, together with the CPU backend.
    async fn test_gpu(&self, other: &Scored<'_>, cpu: &Path, reference: Option<&Results>) -> NodeBackend {
        if !other.is_usable() {
            return other.unusable();
        }
        let started = Instant::now();
        let libraries = [other.library.path.clone(), cpu.to_owned()];
        let outcome = self.gpu_launcher().self_test(&libraries).await;
        let mut backend = other.backend(BackendState::InUse);
        if outcome.as_ref().is_ok_and(|events| events.contains(&Event::NoDevice)) {
            backend.state = BackendState::NoDevice;
            return backend;
        }
        let run = TestRun { outcome, milliseconds: milliseconds(started) };
        backend.milliseconds = Some(run.milliseconds);
        if let Err(reason) = run.check(reference) {
            backend.state = BackendState::Failed;
            backend.reason = Some(reason);
        }
        backend
    }

    /// Tests the backends of a build with static backends, all together.
    async fn test_static_backends(&self) -> Selection {
        let started = Instant::now();
        let (reference, outcome) = tokio::join!(self.reference(), self.gpu_launcher().self_test(&[]));
        let run = TestRun { outcome, milliseconds: milliseconds(started) };
        let problem = run.check(reference.as_ref()).err();
        let state = if problem.is_some() { BackendState::Failed } else { BackendState::InUse };
        let backend = NodeBackend {
            library: "built in".to_owned(),
            state,
            score: None,
            reason: problem.clone(),
            milliseconds: Some(run.milliseconds),
        };
        let problem = problem.map(|reason| format!("the build's backend failed its self-test: {reason}"));
        Selection { libraries: Vec::new(), backends: vec![backend], problem, from_cache: false }
    }

    /// Computes the expected results. Without them a backend is checked by its answer of tiny-chat alone.
    async fn reference(&self) -> Option<Results> {
        let computed = self.cpu_launcher().reference().await.map_err(ChildFailure::reason);
        let results = computed.and_then(|events| Results::of(&events));
        if let Err(reason) = &results {
            tracing::warn!(reason, "the expected results of the self-test can't be computed");
        }
        results.ok().and_then(|mut results| results.pop())
    }

    fn cpu_launcher(&self) -> Launcher<'_> {
        let Self { executable, environment, silence, .. } = self;
        Launcher { executable, environment, silence: *silence }
    }

    fn gpu_launcher(&self) -> Launcher<'_> {
        Launcher { silence: self.gpu_silence, ..self.cpu_launcher() }
    }

    async fn test_cpu(&self, library: &Path) -> TestRun {
        let started = Instant::now();
        let outcome = self.cpu_launcher().self_test(&[library.to_owned()]).await;
        TestRun { outcome, milliseconds: milliseconds(started) }
    }
}

/// The reason why none of the variants for the processor can be tested: the failures to read their scores, each once, or the
/// processor.
fn none_usable(cpus: &[Scored<'_>]) -> String {
    let failures = cpus.iter().filter_map(|cpu| cpu.score.as_ref().err());
    let reasons: BTreeSet<String> = failures.map(|failure| failure.clone().reason()).collect();
    if reasons.is_empty() {
        return "none of the CPU backends (libggml-cpu-*.so) supports this processor".to_owned();
    }
    let reasons = reasons.into_iter().collect::<Vec<_>>().join("; ");
    format!("none of the CPU backends (libggml-cpu-*.so) can be loaded: {reasons}")
}

impl Selection {
    fn impossible(problem: String) -> Self {
        Self { libraries: Vec::new(), backends: Vec::new(), problem: Some(problem), from_cache: false }
    }

    /// The names of the selected libraries, such as `cuda, cpu-haswell`, or `built in`.
    #[must_use]
    pub fn names(&self) -> String {
        let used = self.backends.iter().filter(|backend| backend.state == BackendState::InUse);
        let name = |library: &str| {
            let bare = library.strip_prefix("libggml-").and_then(|rest| rest.strip_suffix(".so"));
            bare.unwrap_or(library).to_owned()
        };
        let names: Vec<String> = used.map(|backend| name(&backend.library)).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_that_of_the_failures_unless_the_processor_is_too_old() {
        let library =
            BackendLibrary { path: PathBuf::new(), name: "libggml-cpu-x64.so".to_owned(), is_cpu: true };
        let scored = |score| Scored { library: &library, score };
        let failed = |reason: &str| scored(Err(ChildFailure::Broken(reason.to_owned())));
        let problem =
            none_usable(&[scored(Ok(Some(0))), failed("too many open files"), failed("too many open files")]);
        assert_eq!(problem, "none of the CPU backends (libggml-cpu-*.so) can be loaded: too many open files");
        let problem = none_usable(&[scored(Ok(Some(0))), scored(Ok(Some(-1)))]);
        assert!(problem.ends_with("supports this processor"), "{problem}");
    }
}
