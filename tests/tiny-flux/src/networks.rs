//! The tensors of the networks, with random weights.

use candle_core::Result;

use crate::{Tensors, tensor, vocabulary};

/// Numbers of a token of the transformer, and of one of its heads.
const WIDTH: usize = 64;
const HEAD: usize = 32;
/// Numbers of a patch: 2 x 2 latents of 16.
const PATCH: usize = 64;
/// Sines and cosines of the time.
const TIME: usize = 256;
/// Blocks of each kind.
const BLOCKS: usize = 2;
/// T5: numbers of a token, of all its heads, and inner ones; heads, layers and buckets of distances.
const T5_WIDTH: usize = 32;
const T5_HEADS: usize = 2;
const T5_INNER: usize = 64;
const T5_LAYERS: usize = 2;
const T5_BUCKETS: usize = 32;
/// CLIP: numbers of a token, and the vocabulary of its tokenizer.
const CLIP_WIDTH: usize = 8;
const CLIP_VOCABULARY: usize = 49_408;
const CLIP_POSITIONS: usize = 77;
/// The autoencoder: channels of each of its levels, and of a latent.
const CHANNELS: usize = 32;
const LEVELS: usize = 4;
const LATENT: usize = 16;

/// Tensors that are added one after another.
#[derive(Default)]
struct Network(Tensors);

impl Network {
    fn add(&mut self, name: &str, shape: &[usize], offset: f32, scale: f32) -> Result<()> {
        self.0.insert(name.to_owned(), tensor(name, shape, offset, scale)?);
        Ok(())
    }

    /// Weights that keep the size of their input: their variance is one by the number of inputs.
    fn weight(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        let inputs: usize = shape[1..].iter().product();
        self.add(name, shape, 0.0, (3.0 / inputs as f32).sqrt())
    }

    fn linear(&mut self, name: &str, to: usize, of: usize) -> Result<()> {
        self.weight(&format!("{name}.weight"), &[to, of])?;
        self.add(&format!("{name}.bias"), &[to], 0.0, 0.05)
    }

    fn conv(&mut self, name: &str, to: usize, of: usize, side: usize) -> Result<()> {
        self.weight(&format!("{name}.weight"), &[to, of, side, side])?;
        self.add(&format!("{name}.bias"), &[to], 0.0, 0.05)
    }

    fn scale(&mut self, name: &str, width: usize) -> Result<()> {
        self.add(name, &[width], 1.0, 0.1)
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<()> {
        self.scale(&format!("{name}.weight"), width)?;
        self.add(&format!("{name}.bias"), &[width], 0.0, 0.05)
    }

    fn resnet(&mut self, name: &str) -> Result<()> {
        for index in 1..=2 {
            self.norm(&format!("{name}.norm{index}"), CHANNELS)?;
            self.conv(&format!("{name}.conv{index}"), CHANNELS, CHANNELS, 3)?;
        }
        Ok(())
    }

    /// The middle of an encoder or a decoder.
    fn middle(&mut self, side: &str) -> Result<()> {
        self.resnet(&format!("{side}.mid.block_1"))?;
        self.norm(&format!("{side}.mid.attn_1.norm"), CHANNELS)?;
        for layer in ["q", "k", "v", "proj_out"] {
            self.conv(&format!("{side}.mid.attn_1.{layer}"), CHANNELS, CHANNELS, 1)?;
        }
        self.resnet(&format!("{side}.mid.block_2"))
    }
}

/// The transformer by the names of Black Forest Labs.
pub(crate) fn transformer(is_guided: bool) -> Result<Tensors> {
    let mut network = Network::default();
    network.linear("img_in", WIDTH, PATCH)?;
    network.linear("txt_in", WIDTH, T5_WIDTH)?;
    let guidance = is_guided.then_some(("guidance_in", TIME));
    for (name, of) in [("time_in", TIME), ("vector_in", CLIP_WIDTH)].into_iter().chain(guidance) {
        network.linear(&format!("{name}.in_layer"), WIDTH, of)?;
        network.linear(&format!("{name}.out_layer"), WIDTH, WIDTH)?;
    }
    for block in 0..BLOCKS {
        for stream in ["img", "txt"] {
            let name = format!("double_blocks.{block}.{stream}");
            network.linear(&format!("{name}_mod.lin"), 6 * WIDTH, WIDTH)?;
            network.linear(&format!("{name}_attn.qkv"), 3 * WIDTH, WIDTH)?;
            for kind in ["query", "key"] {
                network.scale(&format!("{name}_attn.norm.{kind}_norm.scale"), HEAD)?;
            }
            network.linear(&format!("{name}_attn.proj"), WIDTH, WIDTH)?;
            network.linear(&format!("{name}_mlp.0"), 4 * WIDTH, WIDTH)?;
            network.linear(&format!("{name}_mlp.2"), WIDTH, 4 * WIDTH)?;
        }
    }
    for block in 0..BLOCKS {
        let name = format!("single_blocks.{block}");
        network.linear(&format!("{name}.modulation.lin"), 3 * WIDTH, WIDTH)?;
        network.linear(&format!("{name}.linear1"), 7 * WIDTH, WIDTH)?;
        network.linear(&format!("{name}.linear2"), WIDTH, 5 * WIDTH)?;
        for kind in ["query", "key"] {
            network.scale(&format!("{name}.norm.{kind}_norm.scale"), HEAD)?;
        }
    }
    network.linear("final_layer.adaLN_modulation.1", 2 * WIDTH, WIDTH)?;
    network.linear("final_layer.linear", PATCH, WIDTH)?;
    Ok(network.0)
}

/// T5's encoder by the names of llama.cpp.
pub(crate) fn t5() -> Result<Tensors> {
    let mut network = Network::default();
    network.add("token_embd.weight", &[vocabulary::count(), T5_WIDTH], 0.0, 1.0)?;
    for layer in 0..T5_LAYERS {
        let name = |tensor: &str| format!("enc.blk.{layer}.{tensor}.weight");
        for norm in ["attn_norm", "ffn_norm"] {
            network.scale(&name(norm), T5_WIDTH)?;
        }
        for matrix in ["attn_q", "attn_k", "attn_v", "attn_o"] {
            network.weight(&name(matrix), &[T5_WIDTH, T5_WIDTH])?;
        }
        network.weight(&name("ffn_gate"), &[T5_INNER, T5_WIDTH])?;
        network.weight(&name("ffn_up"), &[T5_INNER, T5_WIDTH])?;
        network.weight(&name("ffn_down"), &[T5_WIDTH, T5_INNER])?;
    }
    network.add("enc.blk.0.attn_rel_b.weight", &[T5_BUCKETS, T5_HEADS], 0.0, 1.0)?;
    network.scale("enc.output_norm.weight", T5_WIDTH)?;
    Ok(network.0)
}

/// The name of a tensor of T5 in the library transformers.
pub(crate) fn t5_name(name: &str) -> String {
    let mut name =
        name.replace("token_embd", "shared").replace("enc.output_norm", "encoder.final_layer_norm");
    for (llama, transformers) in [
        ("enc.blk.", "encoder.block."),
        (".attn_norm.", ".layer.0.layer_norm."),
        (".attn_rel_b.", ".layer.0.SelfAttention.relative_attention_bias."),
        (".attn_", ".layer.0.SelfAttention."),
        (".ffn_norm.", ".layer.1.layer_norm."),
        (".ffn_gate.", ".layer.1.DenseReluDense.wi_0."),
        (".ffn_up.", ".layer.1.DenseReluDense.wi_1."),
        (".ffn_down.", ".layer.1.DenseReluDense.wo."),
    ] {
        name = name.replace(llama, transformers);
    }
    name
}

/// CLIP's text encoder by the names of transformers.
pub(crate) fn clip() -> Result<Tensors> {
    let mut network = Network::default();
    let model = "text_model";
    network.add(
        &format!("{model}.embeddings.token_embedding.weight"),
        &[CLIP_VOCABULARY, CLIP_WIDTH],
        0.0,
        1.0,
    )?;
    network.add(
        &format!("{model}.embeddings.position_embedding.weight"),
        &[CLIP_POSITIONS, CLIP_WIDTH],
        0.0,
        1.0,
    )?;
    let layer = format!("{model}.encoder.layers.0");
    for norm in ["layer_norm1", "layer_norm2"] {
        network.norm(&format!("{layer}.{norm}"), CLIP_WIDTH)?;
    }
    for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        network.linear(&format!("{layer}.self_attn.{projection}"), CLIP_WIDTH, CLIP_WIDTH)?;
    }
    network.linear(&format!("{layer}.mlp.fc1"), 2 * CLIP_WIDTH, CLIP_WIDTH)?;
    network.linear(&format!("{layer}.mlp.fc2"), CLIP_WIDTH, 2 * CLIP_WIDTH)?;
    network.norm(&format!("{model}.final_layer_norm"), CLIP_WIDTH)?;
    Ok(network.0)
}

/// The autoencoder by the names of the original program.
pub(crate) fn autoencoder() -> Result<Tensors> {
    let mut network = Network::default();
    network.conv("encoder.conv_in", CHANNELS, 3, 3)?;
    network.conv("decoder.conv_in", CHANNELS, LATENT, 3)?;
    for level in 0..LEVELS {
        network.resnet(&format!("encoder.down.{level}.block.0"))?;
        if level + 1 < LEVELS {
            network.conv(&format!("encoder.down.{level}.downsample.conv"), CHANNELS, CHANNELS, 3)?;
        }
        for block in 0..2 {
            network.resnet(&format!("decoder.up.{level}.block.{block}"))?;
        }
        if level > 0 {
            network.conv(&format!("decoder.up.{level}.upsample.conv"), CHANNELS, CHANNELS, 3)?;
        }
    }
    for (side, to) in [("encoder", 2 * LATENT), ("decoder", 3)] {
        network.middle(side)?;
        network.norm(&format!("{side}.norm_out"), CHANNELS)?;
        network.conv(&format!("{side}.conv_out"), to, CHANNELS, 3)?;
    }
    Ok(network.0)
}
