//! Loading a model, and making a context for it.

use std::{num::NonZeroU32, sync::Arc};

use hearth_domain::RunId;
use llama_cpp_2::{
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    model::{LlamaModel, params::LlamaModelParams},
};
use tokio::sync::mpsc::UnboundedSender;

use super::{backend, vocabulary::Vocabulary};

use crate::{
    frames::{LoadSpec, Report},
    gguf::Header,
};

/// Tokens that one decode takes at most.
pub(super) const BATCH: u32 = 512;
/// Sequences for what is kept of earlier runs, whatever the number of slots.
const KEPT: u32 = 8;
/// Texts that one batch embeds at most.
pub(super) const EMBEDDINGS_AT_ONCE: u32 = 64;

/// The model in memory.
pub(super) struct Loaded {
    pub(super) backend: LlamaBackend,
    pub(super) model: Arc<LlamaModel>,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) header: Header,
}

/// Reads the model that `spec` names, reporting how far it is.
pub(super) fn model(spec: &LoadSpec, reports: &UnboundedSender<Report>) -> Result<Loaded, String> {
    let header = Header::read(&spec.path).map_err(|error| error.to_string())?;
    let backend = backend::init()?;
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
    let vocabulary = Arc::new(Vocabulary::of(&model));
    Ok(Loaded { backend, model: Arc::new(model), vocabulary, header })
}

/// How many sequences a context for `slots` runs has: one for each, and as many again, and some, for
/// what is kept of earlier ones. llama.cpp takes at most 256.
pub(super) fn sequences(slots: u32) -> u32 {
    slots.saturating_mul(2).saturating_add(KEPT).min(256)
}

/// A context with room for `spec.slots` runs of `spec.context_length` tokens. All sequences share its
/// cells, and so can share tokens.
pub(super) fn text_context<'a>(loaded: &'a Loaded, spec: &LoadSpec) -> Result<LlamaContext<'a>, String> {
    let cells = spec.context_length.checked_mul(spec.slots).filter(|n| *n <= i32::MAX as u32);
    let cells = cells.ok_or("the context is too large for so many slots")?;
    let params = params(spec).with_n_ctx(NonZeroU32::new(cells)).with_n_seq_max(sequences(spec.slots));
    new_context(loaded, params.with_n_batch(BATCH).with_kv_unified(true), cells)
}

/// A context that gives a vector for each of its sequences. A text that is read in both directions
/// must be computed at once: so a batch holds a whole context.
pub(super) fn embedding_context<'a>(loaded: &'a Loaded, spec: &LoadSpec) -> Result<LlamaContext<'a>, String> {
    let tokens = spec.context_length.max(BATCH);
    let params = params(spec).with_n_ctx(NonZeroU32::new(tokens)).with_n_seq_max(EMBEDDINGS_AT_ONCE);
    let params = params.with_n_batch(tokens).with_n_ubatch(tokens).with_kv_unified(true);
    new_context(loaded, params.with_embeddings(true), tokens)
}

fn params(spec: &LoadSpec) -> LlamaContextParams {
    let threads = i32::try_from(spec.threads.max(1)).unwrap_or(1);
    LlamaContextParams::default().with_n_threads(threads).with_n_threads_batch(threads).with_no_perf(true)
}

fn new_context<'a>(
    loaded: &'a Loaded,
    params: LlamaContextParams,
    tokens: u32,
) -> Result<LlamaContext<'a>, String> {
    let context = loaded.model.new_context(&loaded.backend, params);
    context.map_err(|error| format!("no context of {tokens} tokens can be made: {error}"))
}

/// Logged with a run's faults.
pub(super) fn fault(run: RunId, what: &str) -> hearth_wire::ApiError {
    tracing::error!(%run, what, "the engine failed a run");
    hearth_wire::ApiError::new(
        hearth_wire::ErrorCode::ProviderError,
        format!("the model's engine failed: {what}"),
    )
}
