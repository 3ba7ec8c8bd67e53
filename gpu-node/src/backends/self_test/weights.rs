//! Random weights of every type, in ggml's block layouts (`ggml-common.h`).
//!
//! Every bit of a block may be random except its scales, and the codes of ternary weights. The scales are chosen so that weights
//! are about as large as a model's: with a standard deviation near 0.06, one over the square root of the width.

/// ggml's number of the type `F32`.
pub(super) const F32: u32 = 0;
/// Scale of the types IQ1_S and IQ1_M, before the scales of their groups.
const IQ1_SCALE: f32 = 0.0084;

/// A model of the test.
#[derive(Debug)]
pub(super) struct Case {
    /// The type's name, followed by `experts` for a mixture of experts, which has other kernels.
    pub(super) name: &'static str,
    /// ggml's number of the type.
    pub(super) kind: u32,
    /// Number of experts of the layer.
    pub(super) experts: Option<u32>,
    /// Number of compute threads. Several threads wait for each other after each of many small operations: on a busy machine
    /// the test took ten times as long with two.
    pub(super) threads: i32,
}

impl Case {
    const fn of(name: &'static str, kind: u32) -> Self {
        Self { name, kind, experts: None, threads: 1 }
    }

    const fn experts(name: &'static str, kind: u32) -> Self {
        Self { experts: Some(2), ..Self::of(name, kind) }
    }

    /// A case whose matrices are divided among threads.
    const fn threads(name: &'static str, kind: u32) -> Self {
        Self { threads: 2, ..Self::of(name, kind) }
    }

    pub(super) fn file_name(&self) -> String {
        format!("{}.gguf", self.name.replace(' ', "-"))
    }
}

/// The types of models' weights: those that llama.cpp writes whole models in (`llama_ftype` in `llama.h`).
pub(super) const CASES: [Case; 31] = [
    Case::of("F32", F32),
    Case::of("F16", 1),
    Case::of("BF16", 30),
    Case::of("Q4_0", 2),
    Case::of("Q4_1", 3),
    Case::of("Q5_0", 6),
    Case::of("Q5_1", 7),
    Case::of("Q8_0", 8),
    Case::of("Q2_K", 10),
    Case::of("Q3_K", 11),
    Case::of("Q4_K", 12),
    Case::of("Q5_K", 13),
    Case::of("Q6_K", 14),
    Case::of("IQ1_S", 19),
    Case::of("IQ1_M", 29),
    Case::of("IQ2_XXS", 16),
    Case::of("IQ2_XS", 17),
    Case::of("IQ2_S", 22),
    Case::of("IQ3_XXS", 18),
    Case::of("IQ3_S", 21),
    Case::of("IQ4_NL", 20),
    Case::of("IQ4_XS", 23),
    Case::of("TQ1_0", 34),
    Case::of("TQ2_0", 35),
    Case::of("MXFP4", 39),
    Case::of("NVFP4", 40),
    Case::of("Q1_0", 41),
    Case::of("Q2_0", 42),
    Case::experts("Q4_K experts", 12),
    Case::experts("MXFP4 experts", 39),
    Case::threads("Q4_0 with 2 threads", 2),
];

/// A generator of random numbers (SplitMix64). The same seed gives the same weights on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from -1 to 1.
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}

/// The layout of a block: its weights, its bytes, and the offsets and values of its scales (half precision).
struct Layout {
    weights: u64,
    bytes: usize,
    scales: &'static [(usize, f32)],
}

fn layout(kind: u32) -> Option<Layout> {
    let (weights, bytes, scales): (u64, usize, &'static [(usize, f32)]) = match kind {
        2 => (32, 18, &[(0, 0.0135)]),
        3 => (32, 20, &[(0, 0.0135), (2, -0.101)]),
        6 => (32, 22, &[(0, 0.0068)]),
        7 => (32, 24, &[(0, 0.0068), (2, -0.105)]),
        8 => (32, 34, &[(0, 0.000_85)]),
        10 => (256, 84, &[(80, 0.005), (82, 0.0075)]),
        11 => (256, 110, &[(108, 0.0015)]),
        12 => (256, 144, &[(0, 0.0003), (2, 0.002_25)]),
        13 => (256, 176, &[(0, 0.000_14), (2, 0.002_17)]),
        14 => (256, 210, &[(208, 0.000_18)]),
        16 => (256, 66, &[(0, 0.0012)]),
        17 => (256, 74, &[(0, 0.0012)]),
        18 => (256, 98, &[(0, 0.0005)]),
        19 => (256, 50, &[(0, IQ1_SCALE)]),
        20 => (32, 18, &[(0, 0.000_85)]),
        21 => (256, 110, &[(0, 0.0005)]),
        22 => (256, 82, &[(0, 0.0012)]),
        23 => (256, 136, &[(0, 0.0001)]),
        29 => (256, 56, &[]),
        34 => (256, 54, &[(52, 0.074)]),
        35 => (256, 66, &[(64, 0.074)]),
        39 => (32, 17, &[]),
        40 => (64, 36, &[]),
        41 => (128, 18, &[(0, 0.0605)]),
        42 => (64, 18, &[(0, 0.0494)]),
        _ => return None,
    };
    Some(Layout { weights, bytes, scales })
}

/// Appends `weights` random weights of a type, in whole blocks.
pub(super) fn write(data: &mut Vec<u8>, kind: u32, weights: u64, random: &mut Random) {
    let Some(layout) = layout(kind) else { return write_plain(data, kind, weights, random) };
    for _ in 0..weights / layout.weights {
        let start = data.len();
        data.resize(start + layout.bytes, 0);
        let block = &mut data[start..];
        random.fill(block);
        let variation = 1.0 + random.signed() / 4.0;
        for (at, scale) in layout.scales {
            block[*at..at + 2].copy_from_slice(&half(scale * variation).to_le_bytes());
        }
        restrict(block, kind, variation);
    }
}

/// Replaces random bits that a model's block wouldn't have: scales that aren't half precision, and codes without a weight.
fn restrict(block: &mut [u8], kind: u32, variation: f32) {
    match kind {
        // Q6_K: scales of eight bits, from -32 to 31.
        14 => block[192..208].iter_mut().for_each(|scale| *scale = (*scale % 64).wrapping_sub(32)),
        // IQ4_XS: two high bits for each of eight scales, of 1 or 2, so that scales are from -16 to 15.
        23 => block[2..4].iter_mut().for_each(|bits| *bits = 0b0101_0101 << (*bits & 1)),
        // IQ1_M: the four bits of each digit of the scale are the highest of four pairs of bytes.
        29 => {
            let scale = half(IQ1_SCALE * variation);
            for digit in 0..4 {
                let byte = &mut block[49 + 2 * digit];
                *byte = (*byte & 0x0f) | (((scale >> (4 * digit)) as u8) << 4);
            }
        }
        // TQ1_0: five ternary digits in a byte, as a fraction of 256; four of them in the last bytes.
        34 => {
            block[..48].iter_mut().for_each(|byte| *byte = ternary(*byte % 243));
            block[48..52].iter_mut().for_each(|byte| *byte = ternary(*byte % 81 * 3));
        }
        // TQ2_0: four ternary digits in a byte, of two bits each.
        35 => block[..64].iter_mut().for_each(|byte| {
            let number = *byte;
            *byte = [27, 9, 3, 1].iter().fold(0, |byte, place| (byte << 2) | (number / place % 3));
        }),
        // MXFP4: the scale is a power of two.
        39 => block[0] = 120 + block[0] % 3,
        // NVFP4: four scales of eight bits, from 2^-7 to 2^-6.
        40 => block[..4].iter_mut().for_each(|scale| *scale = 0b1000 | (*scale & 0b111)),
        _ => {}
    }
}

/// The byte of five ternary digits, of which `number` is the value: the fraction of 243, as one of 256, rounded up.
fn ternary(number: u8) -> u8 {
    ((u32::from(number) * 256).div_ceil(243)) as u8
}

/// Appends the weights of a normalisation, about 1, so that the output of a layer is not small compared with its input.
pub(super) fn write_scales(data: &mut Vec<u8>, weights: u64, random: &mut Random) {
    for _ in 0..weights {
        data.extend((1.0 + random.signed() / 4.0).to_le_bytes());
    }
}

fn write_plain(data: &mut Vec<u8>, kind: u32, weights: u64, random: &mut Random) {
    for _ in 0..weights {
        let weight = random.signed() / 10.0;
        match kind {
            1 => data.extend(half(weight).to_le_bytes()),
            30 => data.extend(((weight.to_bits() >> 16) as u16).to_le_bytes()),
            _ => data.extend(weight.to_le_bytes()),
        }
    }
}

/// Converts a number to half precision, rounded towards zero; 0 if it is too small.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = (bits >> 23 & 0xff) as i32 - 127 + 15;
    if exponent <= 0 {
        return sign;
    }
    sign | ((exponent.min(30) as u16) << 10) | (bits >> 13 & 0x3ff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_equals_ieee() {
        for (value, bits) in [
            (0.0, 0),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (0.5, 0x3800),
            (1.5, 0x3e00),
            (1e-9, 0),
            (6.1035156e-5, 0x400),
        ] {
            assert_eq!(half(value), bits, "{value}");
        }
    }

    #[test]
    fn blocks_are_whole_and_weights_have_the_right_deviation() {
        for case in &CASES {
            let mut data = Vec::new();
            write(&mut data, case.kind, 512, &mut Random::new(1));
            let expected = match case.kind {
                F32 => 2048,
                1 | 30 => 1024,
                kind => {
                    let layout = layout(kind).unwrap();
                    512 / layout.weights as usize * layout.bytes
                }
            };
            assert_eq!(data.len(), expected, "{}", case.name);
        }
        let mut data = Vec::new();
        write(&mut data, F32, 512, &mut Random::new(1));
        let weights: Vec<f32> = data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let deviation = (weights.iter().map(|x| x * x).sum::<f32>() / 512.0).sqrt();
        assert!((0.05..0.07).contains(&deviation), "{deviation}");
    }
}
