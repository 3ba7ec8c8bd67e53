//! The engine's thread: loads the model, then runs the engine.

use std::sync::{
    Arc,
    mpsc::{Receiver, Sender},
};

use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    embedder,
    engine_loop::EngineLoop,
    gpu_fit,
    load::{self, BATCH_MAX_TOKENS},
    prefix_files::PrefixFiles,
    preparer::Preparer,
    template_sandbox,
    work::Work,
};
use crate::{
    backends::llama_cpp,
    frames::{LoadSpec, ModelProperties, Report},
    gguf::Header,
};

/// Loads the model, sends a [`Preparer`] for it, and runs the engine until the process is to end. A failed load is
/// reported.
pub(super) fn run(
    spec: &LoadSpec,
    (inbox, work): (Sender<Work>, Receiver<Work>),
    reports: &UnboundedSender<Report>,
    loaded: oneshot::Sender<Preparer>,
) {
    if let Err(reason) = load_and_run(spec, (inbox, work), reports, loaded) {
        let _ = reports.send(Report::LoadFailed { reason });
    }
}

fn load_and_run(
    spec: &LoadSpec,
    (inbox, work): (Sender<Work>, Receiver<Work>),
    reports: &UnboundedSender<Report>,
    ready: oneshot::Sender<Preparer>,
) -> Result<(), String> {
    let header = Header::read(&spec.path).map_err(|error| error.to_string())?;
    let abilities = template_sandbox::probe_template(&header, reports)?;
    let backend = llama_cpp::init(&spec.backends)?;
    let spec = &gpu_fit::fit_context(&header, spec)?;
    let loaded = load::load_model(header, backend, spec, reports)?;
    let preparer = Preparer::new(&loaded, spec, abilities)?;
    let properties =
        ModelProperties { context_length: spec.context_length, capabilities: preparer.capabilities() };
    if loaded.header.is_embedding() {
        let mut context = load::new_embedding_context(&loaded, spec)?;
        let _ = ready.send(preparer);
        let _ = reports.send(Report::Ready(properties));
        let batch_tokens = spec.context_length.max(BATCH_MAX_TOKENS) as usize;
        embedder::run(&mut context, batch_tokens, &work, reports);
    } else {
        let mut cache = load::new_kv_cache(&loaded, spec)?;
        let files = PrefixFiles::new(spec)
            .inspect_err(|error| tracing::warn!(%error, "the prefix cache is not kept on disk"));
        let files = files.ok().flatten();
        if let Some(saved) = files.as_ref().and_then(PrefixFiles::take) {
            cache.load_prefixes(&saved, spec.context_length as usize);
        }
        let _ = ready.send(preparer);
        let _ = reports.send(Report::Ready(properties));
        let vocabulary = Arc::clone(&loaded.vocabulary);
        let mut cache = EngineLoop::new(cache, vocabulary, spec, work, inbox, reports.clone()).run();
        if let Some(files) = files {
            cache.save_prefixes(&files);
        }
    }
    Ok(())
}
