//! Predicts the memory that a model needs, and reads the memory of the machine.
//!
//! A prediction uses the numbers of the header only, before a worker is started. It is rather too high than too low: a
//! refused model can be loaded with a shorter context, but one that doesn't fit can bring the machine down.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::gguf::Shape;

/// Memory of a worker without a model: its code, its threads, its allocator's reserve.
const PROCESS_BYTES: u64 = 40 << 20;
/// Bytes of a number in the cache of keys and values, which is `f16`.
const CACHE_NUMBER_BYTES: u64 = 2;
/// Bytes of a computed number, which is `f32`.
const NUMBER_BYTES: u64 = 4;
/// llama.cpp rounds the tokens of a cache up to a multiple of this.
const CELL_BLOCK: u64 = 256;
/// Vectors of the model's width that are in use at once: the residual, the input and output of attention, and copies.
const WIDE_VECTORS: u64 = 8;
/// Inner vectors of a feed-forward block that are in use at once: gate, up, and their product.
const INNER_VECTORS: u64 = 3;

/// Bounds of the buffers of one step of an image model.
const IMAGE_COMPUTE_MIN_BYTES: u64 = 64 << 20;
const IMAGE_COMPUTE_MAX_BYTES: u64 = 4 << 30;

/// The context that a worker creates for its model, in llama.cpp's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextSize {
    /// Tokens of all sequences together (`n_ctx`).
    pub cells: u64,
    /// Sequences at once (`n_seq_max`).
    pub sequences: u32,
    /// Maximum number of tokens that are computed at once (`n_ubatch`).
    pub batch: u32,
    /// All sequences share the cells (`kv_unified`); otherwise each has its part.
    pub unified: bool,
    /// Windowed layers cache every token (`swa_full`, the default), so that a prefix can be reused; otherwise only those of
    /// the window.
    pub full_windows: bool,
}

impl ContextSize {
    /// The context for `slots` runs of `context_length` tokens, with a sequence for each.
    #[must_use]
    pub fn for_text(context_length: u32, slots: u32) -> Self {
        let cells = u64::from(context_length).saturating_mul(u64::from(slots));
        Self { cells, sequences: slots, batch: 512, unified: false, full_windows: true }
    }

    /// The context for embedding texts of up to `context_length` tokens. A text is computed at once.
    #[must_use]
    pub fn for_embedding(context_length: u32) -> Self {
        let tokens = context_length.max(512);
        Self { cells: u64::from(tokens), sequences: 64, batch: tokens, unified: true, full_windows: true }
    }

    /// Number of caches, and tokens of each.
    fn streams(&self) -> (u64, u64) {
        let streams = if self.unified { 1 } else { u64::from(self.sequences.max(1)) };
        let cells = self.cells.div_ceil(streams).checked_next_multiple_of(CELL_BLOCK).unwrap_or(u64::MAX);
        (streams, cells)
    }

    /// Tokens of a windowed layer in each cache.
    fn window(&self, window: Option<u32>, cells: u64) -> u64 {
        let Some(window) = window.filter(|_| !self.full_windows) else { return cells };
        let sharing = if self.unified { u64::from(self.sequences.max(1)) } else { 1 };
        let cached = u64::from(window).saturating_mul(sharing).saturating_add(u64::from(self.batch));
        cached.checked_next_multiple_of(CELL_BLOCK).unwrap_or(u64::MAX).min(cells)
    }
}

/// The predicted memory of a model, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prediction {
    /// The weights. They are mapped from the file. If llama.cpp copies them into another layout for the processor, the copy
    /// has the same size, and the mapped pages can be dropped.
    pub weights: u64,
    /// Keys and values of the context, and the state of recurrent layers.
    pub cache: u64,
    /// The buffers of one step.
    pub compute: u64,
    /// The process itself.
    pub process: u64,
}

impl Prediction {
    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        sum([self.weights, self.cache, self.compute, self.process])
    }
}

/// Predicts the memory of a model of this shape with this context. The sums saturate at [`u64::MAX`].
#[must_use]
pub fn predict(shape: &Shape, context: &ContextSize) -> Prediction {
    Prediction {
        weights: shape.tensor_bytes,
        cache: cache(shape, context),
        compute: compute(shape, context),
        process: PROCESS_BYTES,
    }
}

/// Predicts the memory of an image model with these weights, for a picture of the size that it was trained for. The buffers of
/// a step grow with the picture and the width of the networks; half the weights' bytes is more than both need.
#[must_use]
pub fn predict_image(shape: &Shape) -> Prediction {
    Prediction {
        weights: shape.tensor_bytes,
        cache: 0,
        compute: (shape.tensor_bytes / 2).clamp(IMAGE_COMPUTE_MIN_BYTES, IMAGE_COMPUTE_MAX_BYTES),
        process: PROCESS_BYTES,
    }
}

fn cache(shape: &Shape, context: &ContextSize) -> u64 {
    let (streams, cells) = context.streams();
    let window = context.window(shape.sliding_window, cells);
    let states = u64::from(context.sequences.max(1));
    let layers = shape.layers.iter().map(|layer| {
        let numbers = u64::from(layer.key_length).saturating_add(u64::from(layer.value_length));
        let cells = if layer.windowed { window } else { cells };
        let attention = product([streams, u64::from(layer.kv_heads), numbers, cells, CACHE_NUMBER_BYTES]);
        let state = if layer.recurrent { product([states, shape.recurrent_state, NUMBER_BYTES]) } else { 0 };
        attention.saturating_add(state)
    });
    sum(layers)
}

/// Estimates the buffers for one step, as llama.cpp allocates them for a context with flash attention: the vectors of the
/// model's width for each token of the batch; the inner vectors of a feed-forward block or the logits of the vocabulary,
/// which share a buffer; the attention mask; and the returned logits. On a GPU they are allocated at once; on a processor
/// a step uses a part of them.
fn compute(shape: &Shape, context: &ContextSize) -> u64 {
    let (_, cells) = context.streams();
    let (batch, sequences) = (u64::from(context.batch), u64::from(context.sequences.max(1)));
    let used = shape.experts.map_or(1, |experts| u64::from(experts.used.max(1)));
    let wide = product([u64::from(shape.embedding_length), WIDE_VECTORS, batch, NUMBER_BYTES]);
    let inner = product([u64::from(shape.feed_forward_length), used, INNER_VECTORS, batch, NUMBER_BYTES]);
    let scores = product([u64::from(shape.vocabulary), batch, NUMBER_BYTES]);
    let mask = product([cells, batch, CACHE_NUMBER_BYTES]);
    let returned = product([u64::from(shape.vocabulary), sequences, NUMBER_BYTES]);
    sum([wide, inner.max(scores), mask, returned])
}

/// The memory of the machine, or of the container of this process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The total memory.
    pub total: u64,
    /// Memory that a new process can use without swapping. Pages of mapped files count as available, since the system can
    /// read them again; for models in use they should be subtracted.
    pub available: u64,
    /// True if a limit of a container (a cgroup) is lower than the machine's memory.
    pub limited: bool,
}

/// The memory limit of a container, and its usage.
#[derive(Debug, Clone, Copy)]
struct Limit {
    total: u64,
    /// Bytes that are neither used nor cache files.
    free: u64,
    /// Used bytes that aren't backed by files.
    anonymous: u64,
}

/// Reads the memory; `None` if the system doesn't report it.
#[must_use]
pub fn available() -> Option<Memory> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let memory =
        Memory { total: system.total_memory(), available: system.available_memory(), limited: false };
    (memory.total > 0).then(|| bounded(memory, limit(&mut system)))
}

/// Reads the limit of this process' cgroup and its parents, or of the container's root.
fn limit(system: &mut System) -> Option<Limit> {
    let own = Pid::from_u32(std::process::id());
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, ProcessRefreshKind::nothing());
    let of_process = system.process(own).and_then(sysinfo::Process::cgroup_limits);
    let limits = of_process.or_else(|| system.cgroup_limits())?;
    Some(Limit { total: limits.total_memory, free: limits.free_memory, anonymous: limits.rss })
}

/// Applies a limit. It counts file caches as used, but they are dropped when the limit is reached.
fn bounded(memory: Memory, limit: Option<Limit>) -> Memory {
    let Some(limit) = limit.filter(|limit| limit.total < memory.total) else { return memory };
    let available = limit.total.saturating_sub(limit.anonymous).max(limit.free);
    Memory { total: limit.total, available: memory.available.min(available), limited: true }
}

fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

fn product<const N: usize>(numbers: [u64; N]) -> u64 {
    numbers.into_iter().fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Experts, Layer};

    const MIB: u64 = 1 << 20;

    fn layers(count: usize, kv_heads: u32, length: u32) -> Vec<Layer> {
        let layer = Layer { kv_heads, key_length: length, value_length: length, ..Layer::default() };
        vec![layer; count]
    }

    /// A context with one cache for all sequences.
    fn context(cells: u64, sequences: u32) -> ContextSize {
        ContextSize { cells, sequences, batch: 512, unified: true, full_windows: true }
    }

    /// A context with a part of the cells for each sequence.
    fn split_context(cells: u64, sequences: u32) -> ContextSize {
        ContextSize { unified: false, ..context(cells, sequences) }
    }

    /// Sizes that llama.cpp logs for known models ("KV buffer size").
    #[test]
    fn cache_has_the_size_that_llama_cpp_allocates() {
        let llama_8b = Shape { layers: layers(32, 8, 128), ..Shape::default() };
        let gemma_2b = Shape {
            layers: (0..26).map(|index| Layer { windowed: index % 2 == 0, ..layers(1, 4, 256)[0] }).collect(),
            sliding_window: Some(4096),
            ..Shape::default()
        };
        let mla = Layer { kv_heads: 1, key_length: 576, value_length: 0, ..Layer::default() };
        let deepseek_lite = Shape { layers: vec![mla; 27], ..Shape::default() };
        let recurrent = Layer { recurrent: true, ..Layer::default() };
        let mamba = Shape { layers: vec![recurrent; 64], recurrent_state: 1 << 18, ..Shape::default() };
        let narrow = |cells| ContextSize { full_windows: false, ..context(cells, 1) };
        for (shape, context, mib) in [
            (&llama_8b, context(8192, 1), 1024),
            (&llama_8b, split_context(8192, 4), 1024),
            (&llama_8b, context(4 * 100, 4), 64),
            // The size of each part is rounded up.
            (&llama_8b, split_context(4 * 100, 4), 128),
            (&gemma_2b, context(8192, 1), 832),
            (&gemma_2b, narrow(8192), 416 + 234),
            (&gemma_2b, narrow(2048), 208),
            // Two windows in one cache need as much as the context.
            (&gemma_2b, ContextSize { sequences: 2, ..narrow(8192) }, 832),
            (&deepseek_lite, context(4096, 1), 121),
            (&mamba, context(8192, 1), 64),
            (&mamba, context(8192, 4), 256),
        ] {
            assert_eq!(predict(shape, &context).cache / MIB, mib, "{context:?} {:?}", shape.layers[0]);
        }
    }

    /// Sizes that llama.cpp logged for models with random weights ("compute buffer size").
    #[test]
    fn predicted_buffers_are_slightly_larger_than_those_of_llama_cpp() {
        let shape = |embedding_length, feed_forward_length, vocabulary| Shape {
            embedding_length,
            feed_forward_length,
            vocabulary,
            ..Shape::default()
        };
        for (shape, context, mib) in [
            (shape(896, 4864, 151_936), split_context(16_384, 4), 309.5),
            (shape(896, 4864, 151_936), context(16_384, 4), 323.3),
            (shape(4096, 14_336, 32_000), context(4096, 1), 128.0),
            (shape(4096, 14_336, 32_000), context(16_384, 4), 140.0),
            (shape(128, 352, 768), context(16_384, 4), 19.3),
        ] {
            let predicted = predict(&shape, &context).compute as f64 / MIB as f64;
            assert!((mib..1.25 * mib).contains(&predicted), "{predicted} for {mib}: {shape:?}");
        }
    }

    #[test]
    fn prediction_grows_with_its_parameters() {
        let shape = Shape {
            layers: layers(28, 8, 128),
            heads: 16,
            embedding_length: 1024,
            feed_forward_length: 3072,
            vocabulary: 32_000,
            tensor_bytes: 600 * MIB,
            ..Shape::default()
        };
        let base = predict(&shape, &context(16_384, 4));
        assert_eq!(base.weights, 600 * MIB);
        assert_eq!(base.total(), base.weights + base.cache + base.compute + base.process);
        assert!(predict(&shape, &context(32_768, 4)).total() > base.total());
        assert!(predict(&shape, &context(16_384, 8)).total() > base.total());
        let embedding = ContextSize { batch: 4096, ..context(4096, 64) };
        assert!(predict(&shape, &embedding).compute > 4 * base.compute);
        let experts = Some(Experts { count: 64, used: 32 });
        assert!(predict(&Shape { experts, ..shape.clone() }, &context(16_384, 4)).total() > base.total());
        let nothing = predict(&Shape::default(), &context(0, 0));
        assert_eq!((nothing.weights, nothing.cache, nothing.process), (0, 0, PROCESS_BYTES));
    }

    #[test]
    fn hostile_numbers_saturate() {
        let shape = Shape {
            layers: vec![
                Layer {
                    kv_heads: u32::MAX,
                    key_length: u32::MAX,
                    value_length: u32::MAX,
                    windowed: true,
                    recurrent: true
                };
                512
            ],
            heads: u32::MAX,
            embedding_length: u32::MAX,
            feed_forward_length: u32::MAX,
            vocabulary: u32::MAX,
            sliding_window: Some(u32::MAX),
            experts: Some(Experts { count: u32::MAX, used: u32::MAX }),
            recurrent_state: u64::MAX,
            tensor_bytes: u64::MAX,
        };
        for full_windows in [true, false] {
            for unified in [true, false] {
                let (cells, sequences, batch) = (u64::MAX, u32::MAX, u32::MAX);
                let context = ContextSize { cells, sequences, batch, unified, full_windows };
                assert_eq!(predict(&shape, &context).total(), u64::MAX);
            }
        }
    }

    #[test]
    fn container_limit_bounds_the_memory() {
        let machine = Memory { total: 1000, available: 600, limited: false };
        let limit = |total, free, anonymous| Some(Limit { total, free, anonymous });
        for (limit, total, available) in [
            (None, 1000, 600),
            // No limit, as cgroups write it.
            (limit(u64::MAX, u64::MAX, 10), 1000, 600),
            (limit(1000, 990, 10), 1000, 600),
            (limit(400, 390, 10), 400, 390),
            // File caches are dropped when the limit is reached.
            (limit(400, 0, 100), 400, 300),
            (limit(400, 0, 500), 400, 0),
            // The machine has less than the limit allows.
            (limit(900, 890, 10), 900, 600),
        ] {
            let found = bounded(machine, limit);
            assert_eq!((found.total, found.available), (total, available), "{limit:?}");
            assert_eq!(found.limited, total < 1000);
        }
    }

    #[test]
    fn this_machine_has_memory() {
        let memory = available().unwrap();
        assert!(memory.total >= memory.available && memory.available > 0, "{memory:?}");
    }
}
