//! Comparison of a model file with a node's memory, and the quantisation in a file's name.

use hearth_wire::native::hub::MemoryFit;

/// Memory beside the weights: the context of a few thousand tokens, and the process.
const BESIDE_WEIGHTS_BYTES: u64 = 512 << 20;

/// Compares the size of a file with the memory for models. Loading decides by the file's header.
pub(super) fn memory_fit(size: u64, memory: u64) -> MemoryFit {
    let need = size.saturating_add(size / 10).saturating_add(BESIDE_WEIGHTS_BYTES);
    match (need <= memory, size <= memory) {
        (true, _) => MemoryFit::Fits,
        (false, true) => MemoryFit::Tight,
        (false, false) => MemoryFit::TooLarge,
    }
}

/// The quantisation that a file's name has, such as `Q4_K_M`, `IQ2_XS` or `BF16`.
pub(super) fn quantisation(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase();
    let stem = name.rsplit('/').next()?.strip_suffix(".GGUF")?.to_owned();
    let words = stem.split(['-', '.', ' ']);
    let candidates = words.flat_map(|word| {
        // In some names an underscore precedes it: `model_Q4_K_M`.
        let starts = std::iter::once(0).chain(word.match_indices('_').map(|(index, _)| index + 1));
        starts.map(|start| &word[start..]).collect::<Vec<_>>()
    });
    candidates.filter(|word| is_quantisation(word)).max_by_key(|word| word.len()).map(str::to_owned)
}

fn is_quantisation(word: &str) -> bool {
    if matches!(word, "F16" | "F32" | "BF16" | "MXFP4") {
        return true;
    }
    let rest = ["IQ", "TQ", "Q"].iter().find_map(|prefix| word.strip_prefix(prefix));
    rest.is_some_and(|rest| {
        let mut parts = rest.split('_');
        let is_bits = parts
            .next()
            .is_some_and(|bits| matches!(bits.len(), 1) && bits.bytes().all(|b| b.is_ascii_digit()));
        is_bits
            && parts.all(|part| {
                matches!(part, "0" | "1" | "K" | "S" | "M" | "L" | "XL" | "XS" | "XXS" | "NL" | "4" | "8")
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantisation_is_read_from_names() {
        for (name, expected) in [
            ("Qwen3-0.6B-Q8_0.gguf", Some("Q8_0")),
            ("q4/model_q4_k_m.gguf", Some("Q4_K_M")),
            ("gemma-3-4b-it-IQ2_XXS.gguf", Some("IQ2_XXS")),
            ("m-BF16-00001-of-00002.gguf", Some("BF16")),
            ("m.gguf", None),
            ("Q-learning.gguf", None),
        ] {
            assert_eq!(quantisation(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn fit_leaves_room_for_the_context() {
        let gib = 1 << 30;
        assert_eq!(memory_fit(4 * gib, 8 * gib), MemoryFit::Fits);
        assert_eq!(memory_fit(8 * gib, 8 * gib), MemoryFit::Tight);
        assert_eq!(memory_fit(9 * gib, 8 * gib), MemoryFit::TooLarge);
    }
}
