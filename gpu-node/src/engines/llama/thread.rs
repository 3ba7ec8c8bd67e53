//! The engine's thread: what it is handed, and what it does first.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    time::Duration,
};

use hearth_domain::RunId;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    attempt::Finished,
    backend,
    embed::{self, EmbedJob},
    fit,
    load::{self, BATCH},
    prefix_files::PrefixFiles,
    prompt::{Admission, Preparer},
    steps::Steps,
    template_probe,
};
use crate::{
    frames::{Facts, LoadSpec, Report},
    gguf::Header,
};

/// What the I/O side hands over.
pub(super) enum Work {
    /// A run for the slots.
    Admit(Box<Admission>),
    /// A run that wants vectors.
    Embed(EmbedJob),
    /// Stop a run.
    Cancel(RunId),
    /// An answer was checked.
    Checked(Box<Finished>),
    /// A grammar has said what may come next.
    Wake,
    /// Nothing comes any more.
    Stop,
}

/// How long to wait for work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// Not at all: there is something else to do.
    No,
    AtMost(Duration),
    Forever,
}

/// The next work, if it comes in time. An error when none can come any more.
pub(super) fn receive(work: &Receiver<Work>, wait: Wait) -> Result<Option<Work>, ()> {
    let received = match wait {
        Wait::Forever => work.recv().map(Some).map_err(drop),
        Wait::AtMost(limit) => match work.recv_timeout(limit) {
            Ok(work) => Ok(Some(work)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        },
        Wait::No => match work.try_recv() {
            Ok(work) => Ok(Some(work)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(()),
        },
    };
    match received? {
        Some(Work::Stop) => Err(()),
        other => Ok(other),
    }
}

/// Loads the model, says so with a [`Preparer`], and steps until the process ends.
pub(super) fn thread_main(
    spec: &LoadSpec,
    (inbox, work): (Sender<Work>, Receiver<Work>),
    reports: &UnboundedSender<Report>,
    loaded: oneshot::Sender<Preparer>,
) {
    if let Err(reason) = load_and_step(spec, (inbox, work), reports, loaded) {
        let _ = reports.send(Report::LoadFailed { reason });
    }
}

fn load_and_step(
    spec: &LoadSpec,
    (inbox, work): (Sender<Work>, Receiver<Work>),
    reports: &UnboundedSender<Report>,
    ready: oneshot::Sender<Preparer>,
) -> Result<(), String> {
    let header = Header::read(&spec.path).map_err(|error| error.to_string())?;
    let abilities = template_probe::probe(&header, reports)?;
    let backend = backend::init(&spec.backends)?;
    let spec = &fit::fitted(&header, spec)?;
    let loaded = load::model(header, backend, spec, reports)?;
    let preparer = Preparer::new(&loaded, spec, abilities)?;
    let facts = Facts { context_length: spec.context_length, capabilities: preparer.capabilities() };
    if loaded.header.is_embedding() {
        let mut context = load::embedding_context(&loaded, spec)?;
        let _ = ready.send(preparer);
        let _ = reports.send(Report::Ready(facts));
        let batch_tokens = spec.context_length.max(BATCH) as usize;
        embed::run(&mut context, batch_tokens, &work, reports);
    } else {
        let mut cache = load::text_cache(&loaded, spec)?;
        let files = PrefixFiles::of(spec)
            .inspect_err(|error| tracing::warn!(%error, "nothing is kept on disk of prompts and answers"));
        let files = files.ok().flatten();
        if let Some(taken) = files.as_ref().and_then(PrefixFiles::take) {
            cache.read(&taken, spec.context_length as usize);
        }
        let _ = ready.send(preparer);
        let _ = reports.send(Report::Ready(facts));
        let mut cache =
            Steps::new(cache, Arc::clone(&loaded.vocabulary), spec, work, inbox, reports.clone()).run();
        if let Some(files) = files {
            cache.write(&files);
        }
    }
    Ok(())
}
