//! Loads a model and creates its context.

use std::{num::NonZeroU32, sync::Arc};

use llama_cpp_2::{
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{kv_cache::KvCache, prefix_index::PrefixIndex, vocabulary::Vocabulary};

use crate::{
    frames::{LoadSpec, Report},
    gguf::Header,
};

/// Maximum number of tokens of one decode.
pub(super) const BATCH_MAX_TOKENS: u32 = 512;
/// Maximum number of texts of one embedding batch.
pub(super) const EMBEDDING_BATCH_MAX_TEXTS: u32 = 64;

/// A model in memory.
pub(super) struct LoadedModel {
    pub(super) backend: LlamaBackend,
    pub(super) model: Arc<LlamaModel>,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) header: Header,
}

/// Loads the model that `spec` names, and reports the progress.
///
/// # Errors
/// If llama.cpp can't load the file.
pub(super) fn load_model(
    header: Header,
    backend: LlamaBackend,
    spec: &LoadSpec,
    reports: &UnboundedSender<Report>,
) -> Result<LoadedModel, String> {
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
    let vocabulary = Arc::new(Vocabulary::read(&model));
    Ok(LoadedModel { backend, model: Arc::new(model), vocabulary, header })
}

/// Creates the context of a text model, with a sequence of `spec.context_length` tokens for each of `spec.slots` slots.
pub(super) fn new_kv_cache<'a>(loaded: &'a LoadedModel, spec: &LoadSpec) -> Result<KvCache<'a>, String> {
    let cells = spec.context_length.checked_mul(spec.slots).filter(|n| *n <= i32::MAX as u32);
    let cells = cells.ok_or("the context is too large for so many slots")?;
    let params = params(spec).with_n_ctx(NonZeroU32::new(cells)).with_n_seq_max(spec.slots);
    let mut context =
        new_context(loaded, params.with_n_batch(BATCH_MAX_TOKENS).with_kv_unified(false), cells)?;
    warm_up(&mut context)?;
    // A recurrent model's state can't be truncated.
    let truncatable = !loaded.model.is_recurrent() && !loaded.model.is_hybrid();
    Ok(KvCache::new(context, PrefixIndex::new(spec.slots as usize, spec.saved_prefix_bytes, truncatable)))
}

/// Creates a context that computes a vector for each of its sequences. A model that reads a text in both directions
/// must compute it at once, so a batch holds a whole context.
pub(super) fn new_embedding_context<'a>(
    loaded: &'a LoadedModel,
    spec: &LoadSpec,
) -> Result<LlamaContext<'a>, String> {
    let tokens = spec.context_length.max(BATCH_MAX_TOKENS);
    let params = params(spec).with_n_ctx(NonZeroU32::new(tokens)).with_n_seq_max(EMBEDDING_BATCH_MAX_TEXTS);
    let params = params.with_n_batch(tokens).with_n_ubatch(tokens).with_kv_unified(true);
    let mut context = new_context(loaded, params.with_embeddings(true), tokens)?;
    warm_up(&mut context)?;
    Ok(context)
}

/// Decodes one token, so that the first run finds all memory and kernels ready.
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
    loaded: &'a LoadedModel,
    params: LlamaContextParams,
    tokens: u32,
) -> Result<LlamaContext<'a>, String> {
    let context = loaded.model.new_context(&loaded.backend, params);
    context.map_err(|error| format!("no context of {tokens} tokens can be created: {error}"))
}
