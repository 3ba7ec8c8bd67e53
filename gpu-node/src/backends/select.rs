//! Choosing the backends: the best variant for the processor that passes, and every GPU's that passes.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use hearth_domain::Timestamp;
use hearth_wire::node::{BackendState, NodeBackend};

use super::{
    cache::{self, CacheKey, Record},
    child::Launcher,
    compare::Results,
    describe,
    libraries::{self, BackendLibrary},
    self_test::Event,
    survey::Survey,
    tested::{Run, Scored, milliseconds},
};

/// How long a child may print nothing on the processor. A case takes milliseconds; a machine may be busy.
const CPU_SILENCE_TIMEOUT: Duration = Duration::from_secs(20);
/// The same on a GPU, whose driver may compile its kernels first.
const GPU_SILENCE_TIMEOUT: Duration = Duration::from_secs(180);
/// Scores asked at once.
const SCORES_AT_ONCE: usize = 4;

/// What there is to compute with.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The libraries to load, in order: those for GPUs, then the processor's.
    pub libraries: Vec<PathBuf>,
    /// Every library of the build and its result, the processor's best first.
    pub backends: Vec<NodeBackend>,
    /// Why nothing can be computed.
    pub problem: Option<String>,
    /// The result was known: nothing was tested.
    pub from_cache: bool,
}

/// Chooses backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The binary whose `engine` command is the child process.
    pub executable: PathBuf,
    /// Where the libraries are; absent where there are none.
    pub folder: Option<PathBuf>,
    /// The file of known results.
    pub cache: PathBuf,
    /// How long a child may print nothing while it computes on the processor.
    pub silence: Duration,
}

impl Selector {
    /// The backends beside `executable`, with results kept in the file `cache`.
    #[must_use]
    pub fn new(executable: PathBuf, cache: PathBuf) -> Self {
        // Looked up once: the executable's file may be replaced while it runs.
        let folder = libraries::folder(&executable);
        Self { executable, folder, cache, silence: CPU_SILENCE_TIMEOUT }
    }

    /// Chooses by known results, or tests.
    pub async fn select(&self) -> Selection {
        match self.survey().await {
            Ok(survey) => match self.read(&survey).await {
                Some(record) => Selection {
                    libraries: record.libraries,
                    backends: record.backends,
                    problem: None,
                    from_cache: true,
                },
                None => self.test_and_write(survey).await,
            },
            Err(problem) => Selection::impossible(problem),
        }
    }

    /// Tests, whatever is known.
    pub async fn test_again(&self) -> Selection {
        match self.survey().await {
            Ok(survey) => {
                // Forgotten first: should this process end in the middle, the next one tests.
                self.write(&survey.key, None).await;
                self.test_and_write(survey).await
            }
            Err(problem) => Selection::impossible(problem),
        }
    }

    async fn survey(&self) -> Result<Survey, String> {
        let selector = self.clone();
        let surveyed = tokio::task::spawn_blocking(move || Survey::of(&selector)).await;
        surveyed.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn read(&self, survey: &Survey) -> Option<Record> {
        let (path, key) = (self.cache.clone(), survey.key.clone());
        tokio::task::spawn_blocking(move || cache::read(&path, &key)).await.ok().flatten()
    }

    async fn write(&self, key: &CacheKey, record: Option<Record>) {
        let (path, key) = (self.cache.clone(), key.clone());
        let written = tokio::task::spawn_blocking(move || cache::write(&path, &key, record)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            let path = self.cache.display();
            tracing::warn!(%path, %error, "results of self-tests cannot be stored; the next start tests again");
        }
    }

    async fn test_and_write(&self, survey: Survey) -> Selection {
        let begun = Instant::now();
        let tested = self.test(&survey.libraries).await;
        for backend in &tested.backends {
            match backend.state {
                BackendState::Failed => tracing::warn!("{}; it is not used", describe(backend)),
                _ => tracing::info!("{}", describe(backend)),
            }
        }
        let Selection { libraries, backends, problem, .. } = &tested;
        match problem {
            Some(problem) => tracing::error!(problem, "no backend passed its self-test"),
            None => {
                tracing::info!(
                    processor = survey.machine.processor,
                    seconds = begun.elapsed().as_secs_f32(),
                    "backends are tested"
                );
                let record = Record {
                    processor: survey.machine.processor,
                    tested_at: Timestamp::now().unix(),
                    libraries: libraries.clone(),
                    backends: backends.clone(),
                };
                self.write(&survey.key, Some(record)).await;
            }
        }
        tested
    }

    async fn test(&self, libraries: &[BackendLibrary]) -> Selection {
        if libraries.is_empty() {
            return self.test_built_in().await;
        }
        let scores: Vec<_> = libraries.iter().map(|library| self.score(library)).collect();
        let mut scored: Vec<Scored> = stream::iter(scores).buffered(SCORES_AT_ONCE).collect().await;
        // Names make the order of equals the same each time.
        scored.sort_by(|a, b| b.order().cmp(&a.order()).then_with(|| a.library.name.cmp(&b.library.name)));
        let (cpus, others): (Vec<Scored>, Vec<Scored>) =
            scored.into_iter().partition(|one| one.library.is_cpu);
        let (mut selection, reference) = self.test_cpus(&cpus).await;
        let Some(cpu) = selection.libraries.first().cloned() else { return selection };
        for other in &others {
            let backend = self.test_gpu(other, &cpu, reference.as_ref()).await;
            if backend.state == BackendState::InUse {
                let before_the_cpu = selection.libraries.len() - 1;
                selection.libraries.insert(before_the_cpu, other.library.path.clone());
            }
            selection.backends.push(backend);
        }
        selection
    }

    async fn score<'a>(&self, library: &'a BackendLibrary) -> Scored<'a> {
        Scored { library, score: self.cpu().score(&library.path).await }
    }

    /// Tests the processor's variants, the best first, until one passes. Gives the reference's numbers too, if the
    /// reference is right as far as it can be checked.
    async fn test_cpus(&self, cpus: &[Scored<'_>]) -> (Selection, Option<Results>) {
        let usable: Vec<&Scored> = cpus.iter().filter(|one| one.is_usable()).collect();
        // The simplest code of all is what the others are measured by.
        let (Some(best), Some(simplest)) = (usable.first(), usable.last()) else {
            let backends: Vec<NodeBackend> = cpus.iter().map(Scored::unusable).collect();
            let problem =
                "none of the backends for processors (libggml-cpu-*.so) runs on this one".to_owned();
            return (Selection { backends, ..Selection::impossible(problem) }, None);
        };
        let alone = usable.len() == 1;
        let first = async { if alone { None } else { Some(self.time(&best.library.path).await) } };
        let (simplest_run, mut first_run) = tokio::join!(self.time(&simplest.library.path), first);
        let reference = simplest_run.results().ok().and_then(|mut devices| devices.pop());
        let mut simplest_run = Some(simplest_run);
        let mut selection = Selection::impossible(String::new());
        for one in cpus {
            if !one.is_usable() {
                selection.backends.push(one.unusable());
                continue;
            }
            let is_simplest = one.library == simplest.library;
            let run = if is_simplest {
                simplest_run.take()
            } else if selection.libraries.is_empty() {
                Some(match first_run.take() {
                    Some(run) => run,
                    None => self.time(&one.library.path).await,
                })
            } else {
                None
            };
            let mut backend = one.backend(BackendState::NotTested);
            if let Some(run) = run {
                backend.milliseconds = Some(run.milliseconds);
                match run.check(reference.as_ref()) {
                    Err(reason) => (backend.state, backend.reason) = (BackendState::Failed, Some(reason)),
                    Ok(()) if selection.libraries.is_empty() => {
                        backend.state = BackendState::InUse;
                        selection.libraries.push(one.library.path.clone());
                    }
                    Ok(()) => backend.state = BackendState::Passed,
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

    /// Tests a library for GPUs, or another one beside the processor's, together with the processor's.
    async fn test_gpu(&self, other: &Scored<'_>, cpu: &Path, reference: Option<&Results>) -> NodeBackend {
        if !other.is_usable() {
            return other.unusable();
        }
        let begun = Instant::now();
        let libraries = [other.library.path.clone(), cpu.to_owned()];
        let launcher =
            Launcher { executable: &self.executable, silence: self.silence.max(GPU_SILENCE_TIMEOUT) };
        let ended = launcher.self_test(&libraries).await;
        let mut backend = other.backend(BackendState::InUse);
        if ended.as_ref().is_ok_and(|events| events.contains(&Event::NoDevice)) {
            backend.state = BackendState::NoDevice;
            return backend;
        }
        let run = Run { ended, milliseconds: milliseconds(begun) };
        backend.milliseconds = Some(run.milliseconds);
        if let Err(reason) = run.check(reference) {
            backend.state = BackendState::Failed;
            backend.reason = Some(reason);
        }
        backend
    }

    /// The backends of a build that has them inside: they pass together, or there is nothing to compute with.
    async fn test_built_in(&self) -> Selection {
        let launcher =
            Launcher { executable: &self.executable, silence: self.silence.max(GPU_SILENCE_TIMEOUT) };
        let begun = Instant::now();
        let run = Run { ended: launcher.self_test(&[]).await, milliseconds: milliseconds(begun) };
        let problem = run.check(None).err();
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

    fn cpu(&self) -> Launcher<'_> {
        Launcher { executable: &self.executable, silence: self.silence }
    }

    async fn time(&self, library: &Path) -> Run {
        let begun = Instant::now();
        let ended = self.cpu().self_test(&[library.to_owned()]).await;
        Run { ended, milliseconds: milliseconds(begun) }
    }
}

impl Selection {
    fn impossible(problem: String) -> Self {
        Self { libraries: Vec::new(), backends: Vec::new(), problem: Some(problem), from_cache: false }
    }

    /// The names of the libraries in use, such as `cuda, cpu-haswell`, or `built in`.
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
