//! Loading a model, and making a context for it.

use std::{num::NonZeroU32, sync::Arc};

use hearth_domain::RunId;
use llama_cpp_2::{
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{cache::Cache, prefixes::Prefixes, vocabulary::Vocabulary};

use crate::{
    frames::{LoadSpec, Report},
    gguf::Header,
};

/// Tokens that one decode takes at most.
pub(super) const BATCH: u32 = 512;
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
///
/// # Errors
/// Why it can't be loaded.
pub(super) fn model(
    header: Header,
    backend: LlamaBackend,
    spec: &LoadSpec,
    reports: &UnboundedSender<Report>,
) -> Result<Loaded, String> {
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

/// The context with a sequence for each of `spec.slots` runs, each of which has room for
/// `spec.context_length` tokens of its own.
pub(super) fn text_cache<'a>(loaded: &'a Loaded, spec: &LoadSpec) -> Result<Cache<'a>, String> {
    let cells = spec.context_length.checked_mul(spec.slots).filter(|n| *n <= i32::MAX as u32);
    let cells = cells.ok_or("the context is too large for so many slots")?;
    let params = params(spec).with_n_ctx(NonZeroU32::new(cells)).with_n_seq_max(spec.slots);
    let mut context = new_context(loaded, params.with_n_batch(BATCH).with_kv_unified(false), cells)?;
    warm_up(&mut context)?;
    // A recurrent model's state can't be cut.
    let divisible = !loaded.model.is_recurrent() && !loaded.model.is_hybrid();
    Ok(Cache::new(context, Prefixes::new(spec.slots as usize, spec.saved_prefix_bytes, divisible)))
}

/// A context that gives a vector for each of its sequences. A text that is read in both directions
/// must be computed at once: so a batch holds a whole context.
pub(super) fn embedding_context<'a>(loaded: &'a Loaded, spec: &LoadSpec) -> Result<LlamaContext<'a>, String> {
    let tokens = spec.context_length.max(BATCH);
    let params = params(spec).with_n_ctx(NonZeroU32::new(tokens)).with_n_seq_max(EMBEDDINGS_AT_ONCE);
    let params = params.with_n_batch(tokens).with_n_ubatch(tokens).with_kv_unified(true);
    let mut context = new_context(loaded, params.with_embeddings(true), tokens)?;
    warm_up(&mut context)?;
    Ok(context)
}

/// One token through the whole model: the first run then finds everything in place.
fn warm_up(context: &mut LlamaContext<'_>) -> Result<(), String> {
    let mut batch = LlamaBatch::new(1, 1);
    batch.add(LlamaToken(0), 0, &[0], true).map_err(|error| error.to_string())?;
    context.decode(&mut batch).map_err(|error| format!("the model can't decode: {error}"))?;
    context.clear_kv_cache();
    Ok(())
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
