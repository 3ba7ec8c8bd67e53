//! The context length: the maximum number of tokens of a run.
//!
//! It is the operator's setting, or else as long as the model was trained for and as fits in a part of the memory, since
//! the cache of all slots is allocated when the model is loaded.

use hearth_domain::Modality;

use crate::{
    gguf::Shape,
    memory::{self, ContextSize},
    model_files::ModelFile,
};

/// Maximum context length without a setting: agents send tens of thousands of tokens, and each further token uses memory
/// for all slots.
const AUTOMATIC_MAX: u32 = 32_768;
/// Maximum for embedding models: a text is computed at once, with buffers that grow with its square.
const AUTOMATIC_EMBEDDING_MAX: u32 = 8192;
/// Minimum context length without a setting, if the model was trained for as much.
pub const AUTOMATIC_MIN: u32 = 4096;
/// Inverse of the share of the memory for all models that the cache of one model may use.
const CACHE_SHARE: u64 = 4;

/// Returns the context length for the model in `file`, prompt and completion together: the operator's `setting`, or the
/// length that fits into `memory` (the bytes for all models together) with so many slots. It never exceeds the length that
/// the model was trained for.
#[must_use]
pub fn length(file: &ModelFile, setting: Option<u32>, slots: u32, memory: Option<u64>) -> u32 {
    let trained = file.description.context_length.filter(|length| *length > 0);
    let within = |length: u32| trained.map_or(length, |trained| trained.min(length)).max(1);
    match (setting, &file.shape, memory) {
        (Some(setting), ..) => within(setting),
        (None, Some(shape), Some(memory)) if trained.is_some() => {
            automatic(file.description.modality, shape, within, slots, memory)
        }
        _ => within(AUTOMATIC_MIN),
    }
}

fn automatic(modality: Modality, shape: &Shape, within: impl Fn(u32) -> u32, slots: u32, memory: u64) -> u32 {
    let embeds = modality == Modality::Embedding;
    let fits = |length: u32| {
        let context = match embeds {
            true => ContextSize::for_embedding(length),
            false => ContextSize::for_text(length, slots),
        };
        let prediction = memory::predict(shape, &context);
        let cache = prediction.cache.saturating_add(prediction.compute);
        cache <= memory / CACHE_SHARE && prediction.total() <= memory
    };
    let least = within(AUTOMATIC_MIN);
    let mut length = within(if embeds { AUTOMATIC_EMBEDDING_MAX } else { AUTOMATIC_MAX });
    while length > least && !fits(length) {
        length = (length / 2).max(least);
    }
    length
}

#[cfg(test)]
mod tests {
    use hearth_domain::ModelDescription;

    use super::*;
    use crate::gguf::Layer;

    const GIB: u64 = 1 << 30;

    /// A model of 8 billion weights in 4 bits: 128 KiB of keys and values for each token.
    fn model(trained: Option<u32>) -> ModelFile {
        let layer = Layer { kv_heads: 8, key_length: 128, value_length: 128, ..Layer::default() };
        let shape = Shape {
            layers: vec![layer; 32],
            embedding_length: 4096,
            feed_forward_length: 14_336,
            vocabulary: 128_256,
            tensor_bytes: 5 * GIB,
            ..Shape::default()
        };
        ModelFile {
            id: "m".into(),
            path: "m.gguf".into(),
            parts: Vec::new(),
            description: ModelDescription {
                context_length: trained,
                ..ModelDescription::new("M", Modality::Text)
            },
            size_bytes: 5 * GIB,
            modified: None,
            shape: Some(shape),
            problem: None,
        }
    }

    #[test]
    fn length_depends_on_the_model_the_memory_and_the_setting() {
        let long = Some(131_072);
        for (trained, set, slots, memory, length) in [
            // 4 slots of 32,768 tokens take 16 GiB.
            (long, None, 4, Some(80 * GIB), 32_768),
            (long, None, 4, Some(40 * GIB), 16_384),
            (long, None, 4, Some(24 * GIB), 8192),
            (long, None, 1, Some(24 * GIB), 32_768),
            // The minimum, and the trained length.
            (long, None, 4, Some(6 * GIB), 4096),
            (Some(2048), None, 4, Some(80 * GIB), 2048),
            (Some(20_000), None, 1, Some(80 * GIB), 20_000),
            (long, None, 4, None, 4096),
            (None, None, 4, Some(80 * GIB), 4096),
            (Some(u32::MAX), None, 1, Some(80 * GIB), 32_768),
            (Some(0), None, 1, Some(80 * GIB), 4096),
            // The setting has precedence.
            (long, Some(100_000), 4, Some(6 * GIB), 100_000),
            (Some(2048), Some(100_000), 4, None, 2048),
            (long, Some(256), 4, None, 256),
        ] {
            let actual = super::length(&model(trained), set, slots, memory);
            assert_eq!(actual, length, "{trained:?} {set:?} {slots} {memory:?}");
        }
    }
}
