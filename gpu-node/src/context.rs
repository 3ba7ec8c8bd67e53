//! How many tokens a run may have.
//!
//! What the operator has set counts. Otherwise it is as much as the model was made for and a part of the memory
//! holds, since each slot's keys and values are set aside when the model is loaded.

use hearth_domain::Modality;

use crate::{
    catalog::ModelFile,
    gguf::Shape,
    memory::{self, ContextSize},
};

/// What a run may have at the most where nothing is set: agents send some ten thousand tokens, and each further one
/// costs memory for all slots.
const AUTOMATIC_MAX: u32 = 32_768;
/// The same of a text to be embedded: it is computed at once, and what that takes grows with its square.
const AUTOMATIC_EMBEDDING_MAX: u32 = 8192;
/// What a run may have at the least where nothing is set, if the model was made for as much.
pub const AUTOMATIC_MIN: u32 = 4096;
/// Keys and values of one model take this part of the models' memory, one in so many.
const CACHE_SHARE: u64 = 4;

/// How many tokens a run of the model in `file` may have, prompt and completion together: `set`, or what fits into
/// `memory` (the bytes that models may take together) with so many slots. Never more than the model was made for.
#[must_use]
pub fn length(file: &ModelFile, set: Option<u32>, slots: u32, memory: Option<u64>) -> u32 {
    let trained = file.context_length.filter(|length| *length > 0);
    let within = |most: u32| trained.map_or(most, |trained| trained.min(most)).max(1);
    match (set, &file.shape, memory) {
        (Some(set), ..) => within(set),
        (None, Some(shape), Some(memory)) if trained.is_some() => {
            automatic(file.modality, shape, within, slots, memory)
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
            name: "M".into(),
            version: None,
            modality: Modality::Text,
            capabilities: Vec::new(),
            architecture: None,
            context_length: trained,
            size_bytes: 5 * GIB,
            modified: None,
            shape: Some(shape),
            problem: None,
        }
    }

    #[test]
    fn context_is_what_the_model_the_memory_and_the_operator_allow() {
        let long = Some(131_072);
        for (trained, set, slots, memory, length) in [
            // 4 slots of 32,768 tokens take 16 GiB.
            (long, None, 4, Some(80 * GIB), 32_768),
            (long, None, 4, Some(40 * GIB), 16_384),
            (long, None, 4, Some(24 * GIB), 8192),
            (long, None, 1, Some(24 * GIB), 32_768),
            // There is a floor, and the model's own length.
            (long, None, 4, Some(6 * GIB), 4096),
            (Some(2048), None, 4, Some(80 * GIB), 2048),
            (Some(20_000), None, 1, Some(80 * GIB), 20_000),
            (long, None, 4, None, 4096),
            (None, None, 4, Some(80 * GIB), 4096),
            (Some(u32::MAX), None, 1, Some(80 * GIB), 32_768),
            (Some(0), None, 1, Some(80 * GIB), 4096),
            // What is set counts.
            (long, Some(100_000), 4, Some(6 * GIB), 100_000),
            (Some(2048), Some(100_000), 4, None, 2048),
            (long, Some(256), 4, None, 256),
        ] {
            let found = super::length(&model(trained), set, slots, memory);
            assert_eq!(found, length, "{trained:?} {set:?} {slots} {memory:?}");
        }
    }
}
