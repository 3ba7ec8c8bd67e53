//! Writes a GGUF file of a model of one layer with random weights of one type.

use super::weights::{self, Case, F32, Random};

/// Size of the vocabulary, of a token's vector, and of the feed-forward block. A multiple of 256, the block of the K types,
/// and of every tile.
pub(super) const WIDTH: u64 = 256;
/// Tokens of a test's context.
pub(super) const CONTEXT_TOKENS: u32 = 256;
pub(super) const HEADS: u32 = 4;
pub(super) const KEY_HEADS: u32 = 2;
/// Added to the mean square in a normalisation.
pub(super) const NORM_EPSILON: f32 = 1e-5;
/// Size of the keys of all key heads.
const KEYS: u64 = WIDTH / HEADS as u64 * KEY_HEADS as u64;
/// Alignment of the tensors' data.
const ALIGNMENT: usize = 32;

/// A metadata value.
enum Value {
    Text(&'static str),
    Number(u32),
    Float(f32),
}

/// A tensor: its name, lengths, the innermost first, and type.
pub(super) struct Tensor {
    pub(super) name: &'static str,
    lengths: Vec<u64>,
    pub(super) kind: u32,
}

impl Tensor {
    pub(super) fn weights(&self) -> u64 {
        self.lengths.iter().product()
    }
}

/// Returns the file's bytes, which are the same each time for a case.
pub(super) fn bytes(case: &Case) -> Vec<u8> {
    let metadata = metadata(case);
    let tensors = weights(case);
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in &metadata {
        write_text(&mut file, key);
        write_value(&mut file, value);
    }
    let mut data: Vec<u8> = Vec::new();
    for (tensor, blocks) in &tensors {
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
        write_text(&mut file, tensor.name);
        file.extend((tensor.lengths.len() as u32).to_le_bytes());
        tensor.lengths.iter().for_each(|length| file.extend(length.to_le_bytes()));
        file.extend(tensor.kind.to_le_bytes());
        file.extend((data.len() as u64).to_le_bytes());
        data.extend(blocks);
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    file.extend(data);
    file
}

/// Returns the model's tensors with their weights, in blocks of their types.
pub(super) fn weights(case: &Case) -> Vec<(Tensor, Vec<u8>)> {
    let mut random = Random::new(u64::from(case.kind));
    let blocks = |tensor: Tensor| {
        let mut blocks = Vec::new();
        if tensor.lengths.len() == 1 {
            weights::write_scales(&mut blocks, tensor.weights(), &mut random);
        } else {
            weights::write(&mut blocks, tensor.kind, tensor.weights(), &mut random);
        }
        (tensor, blocks)
    };
    tensors(case).into_iter().map(blocks).collect()
}

fn metadata(case: &Case) -> Vec<(&'static str, Value)> {
    let width = WIDTH as u32;
    let mut metadata = vec![
        ("general.architecture", Value::Text("llama")),
        ("llama.vocab_size", Value::Number(width)),
        ("llama.context_length", Value::Number(CONTEXT_TOKENS)),
        ("llama.embedding_length", Value::Number(width)),
        ("llama.feed_forward_length", Value::Number(width)),
        ("llama.block_count", Value::Number(1)),
        ("llama.attention.head_count", Value::Number(HEADS)),
        ("llama.attention.head_count_kv", Value::Number(KEY_HEADS)),
        ("llama.attention.layer_norm_rms_epsilon", Value::Float(NORM_EPSILON)),
        ("llama.rope.dimension_count", Value::Number(width / HEADS)),
        // Tokens are numbers here, not text.
        ("tokenizer.ggml.model", Value::Text("no_vocab")),
    ];
    if let Some(experts) = case.experts {
        metadata.push(("llama.expert_count", Value::Number(experts)));
        // All of them: a choice between near equals may depend on rounding, and with it all later results.
        metadata.push(("llama.expert_used_count", Value::Number(experts)));
    }
    metadata
}

fn tensors(case: &Case) -> Vec<Tensor> {
    let vector = |name| Tensor { name, lengths: vec![WIDTH], kind: F32 };
    let matrix = |name, rows| Tensor { name, lengths: vec![WIDTH, rows], kind: case.kind };
    let mut tensors = vec![
        matrix("token_embd.weight", WIDTH),
        vector("output_norm.weight"),
        matrix("output.weight", WIDTH),
        vector("blk.0.attn_norm.weight"),
        matrix("blk.0.attn_q.weight", WIDTH),
        matrix("blk.0.attn_k.weight", KEYS),
        matrix("blk.0.attn_v.weight", KEYS),
        matrix("blk.0.attn_output.weight", WIDTH),
        vector("blk.0.ffn_norm.weight"),
    ];
    match case.experts {
        None => tensors.extend([
            matrix("blk.0.ffn_gate.weight", WIDTH),
            matrix("blk.0.ffn_up.weight", WIDTH),
            matrix("blk.0.ffn_down.weight", WIDTH),
        ]),
        Some(experts) => {
            let experts = u64::from(experts);
            let stack = |name| Tensor { name, lengths: vec![WIDTH, WIDTH, experts], kind: case.kind };
            let router =
                Tensor { name: "blk.0.ffn_gate_inp.weight", lengths: vec![WIDTH, experts], kind: F32 };
            tensors.push(router);
            tensors.extend([
                stack("blk.0.ffn_gate_exps.weight"),
                stack("blk.0.ffn_up_exps.weight"),
                stack("blk.0.ffn_down_exps.weight"),
            ]);
        }
    }
    tensors
}

fn write_value(file: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => {
            file.extend(4_u32.to_le_bytes());
            file.extend(number.to_le_bytes());
        }
        Value::Float(number) => {
            file.extend(6_u32.to_le_bytes());
            file.extend(number.to_le_bytes());
        }
        Value::Text(text) => {
            file.extend(8_u32.to_le_bytes());
            write_text(file, text);
        }
    }
}

fn write_text(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{super::weights::CASES, *};
    use crate::gguf::Header;

    #[test]
    fn every_file_is_a_valid_model() {
        let folder = tempfile::tempdir().unwrap();
        for case in &CASES {
            let path = folder.path().join(case.file_name());
            std::fs::write(&path, bytes(case)).unwrap();
            let header = Header::read(&path).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert!(!header.is_embedding());
            assert_eq!(bytes(case), bytes(case), "{} is not the same each time", case.name);
        }
    }
}
