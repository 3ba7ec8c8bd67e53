//! Seeds of requests.

/// Converts a client's seed. The engine's seeds have 32 bits; the low half of a longer one is enough to repeat a choice.
pub(crate) fn engine_seed(seed: i64) -> u32 {
    (seed & i64::from(u32::MAX)) as u32
}
