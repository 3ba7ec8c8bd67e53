//! A model to measure with: the shape of a real one, and random weights. What it says is nonsense, which
//! costs as much time as sense.

mod vocabulary;

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    gguf::{self, BLOCK, BLOCK_BYTES, Kind, Tensor, Value},
    random::Random,
};
use vocabulary::Vocabulary;

/// Raised when the file would come out otherwise.
const VERSION: u32 = 1;

const SEED: u64 = 1;

/// ChatML.
const TEMPLATE: &str = "{% for message in messages %}\
    {{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The sizes of a model of the `llama` architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) layers: u32,
    /// A multiple of 32.
    pub(crate) width: u32,
    pub(crate) heads: u32,
    pub(crate) kv_heads: u32,
    /// A multiple of 32.
    pub(crate) feed_forward: u32,
    pub(crate) context: u32,
    pub(crate) vocabulary: u32,
}

impl Shape {
    /// 487 million weights, 274 MB as Q4_0.
    pub(crate) const HALF_A_BILLION: Self = Self {
        layers: 24,
        width: 1024,
        heads: 16,
        kv_heads: 4,
        feed_forward: 4864,
        context: 8192,
        vocabulary: 32_000,
    };
}

/// The model's file in `folder`, written if it isn't there.
pub(crate) fn cached(folder: &Path) -> Result<PathBuf> {
    let path = folder.join(format!("random-0.5b-q4_0-v{VERSION}.gguf"));
    if !path.is_file() {
        fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
        let part = path.with_extension("part");
        write(&part, &Shape::HALF_A_BILLION)
            .and_then(|()| Ok(fs::rename(&part, &path)?))
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(path)
}

/// Writes a model of this shape.
pub(crate) fn write(path: &Path, shape: &Shape) -> Result<()> {
    let vocabulary = Vocabulary::new(shape.vocabulary as usize);
    let shape = &Shape { vocabulary: vocabulary.tokens.len() as u32, ..*shape };
    let words = vocabulary.words.clone();
    let mut random = Random::new(SEED);
    let mut file = BufWriter::new(File::create(path)?);
    gguf::write(&mut file, &metadata(shape, vocabulary), &tensors(shape), |tensor| {
        let mut bytes = weights(tensor, &mut random);
        if tensor.name == "output.weight" {
            // A row of zeros gives a logit of zero, far below the likeliest of so many: only words are said.
            let row = bytes.len() / shape.vocabulary as usize;
            for (token, row) in bytes.chunks_mut(row).enumerate() {
                if !words.contains(&token) {
                    row.fill(0);
                }
            }
        }
        bytes
    })?;
    file.flush()?;
    Ok(())
}

fn metadata(shape: &Shape, vocabulary: Vocabulary) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        ("general.architecture", text("llama")),
        ("general.name", text("random 0.5B")),
        ("general.quantization_version", Value::U32(2)),
        ("llama.context_length", Value::U32(shape.context)),
        ("llama.embedding_length", Value::U32(shape.width)),
        ("llama.block_count", Value::U32(shape.layers)),
        ("llama.feed_forward_length", Value::U32(shape.feed_forward)),
        ("llama.attention.head_count", Value::U32(shape.heads)),
        ("llama.attention.head_count_kv", Value::U32(shape.kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.dimension_count", Value::U32(shape.width / shape.heads)),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("llama.vocab_size", Value::U32(shape.vocabulary)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("gpt-2")),
        ("tokenizer.ggml.bos_token_id", Value::U32(vocabulary.end_of_text)),
        ("tokenizer.ggml.eos_token_id", Value::U32(vocabulary.end_of_turn)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ("tokenizer.ggml.tokens", Value::Texts(vocabulary.tokens)),
        ("tokenizer.ggml.token_type", Value::I32s(vocabulary.kinds)),
        ("tokenizer.ggml.merges", Value::Texts(vocabulary.merges)),
        ("tokenizer.chat_template", text(TEMPLATE)),
    ]
}

fn tensors(shape: &Shape) -> Vec<Tensor> {
    let [width, feed_forward, words] = [shape.width, shape.feed_forward, shape.vocabulary].map(u64::from);
    let kv = u64::from(shape.width / shape.heads * shape.kv_heads);
    let norm = |name: String| Tensor { name, kind: Kind::F32, dimensions: vec![width] };
    let matrix =
        |name: String, inputs, outputs| Tensor { name, kind: Kind::Q4_0, dimensions: vec![inputs, outputs] };
    let mut tensors = vec![matrix("token_embd.weight".to_owned(), width, words)];
    for layer in 0..shape.layers {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        tensors.extend([
            norm(name("attn_norm")),
            matrix(name("attn_q"), width, width),
            matrix(name("attn_k"), width, kv),
            matrix(name("attn_v"), width, kv),
            matrix(name("attn_output"), width, width),
            norm(name("ffn_norm")),
            matrix(name("ffn_gate"), width, feed_forward),
            matrix(name("ffn_up"), width, feed_forward),
            matrix(name("ffn_down"), feed_forward, width),
        ]);
    }
    tensors.push(norm("output_norm.weight".to_owned()));
    tensors.push(matrix("output.weight".to_owned(), width, words));
    tensors
}

/// Ones for a norm. For a matrix, weights that keep what comes in as large as it was: a deviation of one over
/// the root of the inputs; of one for the embeddings, which nothing comes into.
fn weights(tensor: &Tensor, random: &mut Random) -> Vec<u8> {
    match tensor.kind {
        Kind::F32 => 1_f32.to_le_bytes().repeat(tensor.bytes() as usize / 4),
        Kind::Q4_0 => {
            let embeddings = tensor.name == "token_embd.weight";
            let inputs = if embeddings { 1.0 } else { tensor.dimensions[0] as f32 };
            debug_assert!(tensor.dimensions[0].is_multiple_of(BLOCK), "{} has broken blocks", tensor.name);
            quantised(tensor.bytes() as usize, inputs.sqrt().recip(), random)
        }
    }
}

/// Blocks of Q4_0 with this deviation and a mean of zero.
fn quantised(bytes: usize, deviation: f32, random: &mut Random) -> Vec<u8> {
    /// That of the numbers which [`balanced`] leaves: -7 to 7, and 0 twice as often.
    const OF_THE_NUMBERS: f32 = 4.183_3;
    let scale = half(deviation / OF_THE_NUMBERS).to_le_bytes();
    let mut blocks = vec![0; bytes];
    random.fill(&mut blocks);
    for block in blocks.chunks_exact_mut(BLOCK_BYTES as usize) {
        let (head, numbers) = block.split_at_mut(scale.len());
        head.copy_from_slice(&scale);
        for pair in numbers {
            *pair = balanced(*pair & 15) | balanced(*pair >> 4) << 4;
        }
    }
    blocks
}

/// Four bits stand for -8 to 7. Without the -8, which becomes 0, their mean is 0.
fn balanced(number: u8) -> u8 {
    if number == 0 { 8 } else { number }
}

/// A positive number in half precision (IEEE 754 binary16), rounded down; from 2^-14 to 2^15.
fn half(number: f32) -> u16 {
    let bits = number.to_bits();
    let exponent = (bits >> 23) + 15 - 127;
    (exponent << 10 | bits >> 13 & 0x3ff) as u16
}

#[cfg(test)]
mod tests {
    use hearth_node::gguf::Header;

    use super::*;

    const LITTLE: Shape = Shape {
        layers: 2,
        width: 64,
        heads: 4,
        kv_heads: 2,
        feed_forward: 96,
        context: 512,
        vocabulary: 23_000,
    };

    #[test]
    fn written_model_is_readable_and_reproducible() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.gguf", "b.gguf"].map(|name| folder.path().join(name));
        for path in &paths {
            write(path, &LITTLE).unwrap();
        }
        assert!(fs::read(&paths[0]).unwrap() == fs::read(&paths[1]).unwrap());
        let header = Header::read(&paths[0]).unwrap();
        assert_eq!(header.architecture(), Some("llama"));
        assert_eq!(header.quantisation(), Some("Q4_0"));
        assert_eq!(header.context_length(), Some(512));
        assert_eq!(header.chat_template(), Some(TEMPLATE));
    }

    #[test]
    fn half_a_billion_it_is() {
        let weights = |tensor: &Tensor| tensor.dimensions.iter().product::<u64>();
        let total: u64 = tensors(&Shape::HALF_A_BILLION).iter().map(weights).sum();
        assert!((480_000_000..500_000_000).contains(&total), "{total}");
    }

    #[test]
    fn halves() {
        for (number, expected) in [(1.0, 0x3c00), (0.5, 0x3800), (1.5, 0x3e00), (0.007_476_807, 0x1fa8)] {
            assert_eq!(half(number), expected, "{number}");
        }
    }

    #[test]
    fn weights_have_the_requested_deviation() {
        let blocks = quantised(18 * 1000, 1.0, &mut Random::new(2));
        let scale = 1.0 / 4.183_3_f64;
        let numbers = blocks.chunks_exact(18).flat_map(|block| &block[2..]);
        let values: Vec<f64> =
            numbers.flat_map(|pair| [pair & 15, pair >> 4]).map(|n| (f64::from(n) - 8.0) * scale).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
