//! Numbers that depend on a name alone.

/// Numbers of -1 to 1 that depend on `name` alone: the name's hash (FNV-1a) is the seed, and each number a step of SplitMix64.
pub fn numbers(name: &str, count: usize) -> impl Iterator<Item = f32> + use<> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    (1..=count as u64).map(move |index| {
        let mut number = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^= number >> 31;
        // 24 bits are all that an `f32` holds.
        (number >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    })
}
