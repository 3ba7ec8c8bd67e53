//! Loading a model, and making a context for it.

use std::{num::NonZeroU32, sync::Arc};

use hearth_domain::RunId;
use llama_cpp_2::{
    LogOptions,
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    model::{LlamaModel, params::LlamaModelParams},
    send_logs_to_tracing,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    frames::{LoadSpec, Report},
    gguf::Header,
};

/// Tokens that one decode takes at most.
pub(super) const BATCH: u32 = 512;

/// The model in memory.
pub(super) struct Loaded {
    pub(super) backend: LlamaBackend,
    pub(super) model: Arc<LlamaModel>,
    pub(super) header: Header,
}

/// Reads the model that `spec` names, reporting how far it is.
pub(super) fn model(spec: &LoadSpec, reports: &UnboundedSender<Report>) -> Result<Loaded, String> {
    let header = Header::read(&spec.path).map_err(|error| error.to_string())?;
    // llama.cpp tells everything on standard error unless it is given somewhere else to tell it.
    send_logs_to_tracing(LogOptions::default());
    let backend = LlamaBackend::init().map_err(|error| error.to_string())?;
    let progress = reports.clone();
    let mut last = 0.0;
    let params =
        LlamaModelParams::default().with_n_gpu_layers(spec.gpu_layers).with_progress_callback(move |now| {
            if now - last >= 0.01 {
                last = now;
                let _ = progress.send(Report::Progress { progress: now });
            }
            true
        });
    let model = LlamaModel::load_from_file(&backend, &spec.path, &params)
        .map_err(|error| format!("llama.cpp can't load the file: {error}"))?;
    Ok(Loaded { backend, model: Arc::new(model), header })
}

/// A context in which each of the slots has `spec.context_length` tokens of its own.
pub(super) fn context<'a>(loaded: &'a Loaded, spec: &LoadSpec) -> Result<LlamaContext<'a>, String> {
    let cells = spec.context_length.checked_mul(spec.slots).filter(|n| *n <= i32::MAX as u32);
    let cells = cells.ok_or("the context is too large for so many slots")?;
    let threads = i32::try_from(spec.threads.max(1)).unwrap_or(1);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(cells))
        .with_n_seq_max(spec.slots)
        .with_n_batch(BATCH)
        .with_kv_unified(false)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_no_perf(true);
    loaded
        .model
        .new_context(&loaded.backend, params)
        .map_err(|error| format!("no context of {cells} tokens can be made: {error}"))
}

/// Logged with a run's faults.
pub(super) fn fault(run: RunId, what: &str) -> hearth_wire::ApiError {
    tracing::error!(%run, what, "the engine failed a run");
    hearth_wire::ApiError::new(
        hearth_wire::ErrorCode::ProviderError,
        format!("the model's engine failed: {what}"),
    )
}
