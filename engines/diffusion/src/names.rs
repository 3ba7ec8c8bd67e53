//! Names of tensors. The networks ask for them by the names of the library diffusers; a file may have those of the original
//! programs (`ldm`, OpenCLIP).
//!
//! The mapping is that of diffusers' `convert_original_stable_diffusion_to_diffusers.py`, backwards.

use hearth_worker::checkpoint::prefixes;

/// The tensor of a file that has a network's tensor, and the part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) part: Part,
}

/// A part of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// One of three parts of the same height: OpenCLIP has query, key and value in one tensor.
    Third(usize),
    /// The transposed matrix.
    Transposed,
}

/// The names of a network's tensors in a file.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    /// As diffusers has them.
    Diffusers,
    /// The denoising network of the original program, with so many blocks on each level.
    Unet { layers: usize },
    /// The autoencoder of the original program, with so many levels, under a prefix.
    Autoencoder { prefix: &'static str, levels: usize },
    /// A text encoder of the library transformers, under a prefix.
    Text { prefix: &'static str },
    /// A text encoder of OpenCLIP, under a prefix.
    OpenText { prefix: &'static str },
}

impl Names {
    /// Where the tensor `name` of the network is in the file.
    pub(crate) fn source(&self, name: &str) -> Source {
        let (name, part) = match self {
            Self::Diffusers => (name.to_owned(), Part::Whole),
            Self::Unet { layers } => (prefixes::UNET.to_owned() + &unet(name, *layers), Part::Whole),
            Self::Autoencoder { prefix, levels } => {
                (format!("{prefix}{}", autoencoder(name, *levels)), Part::Whole)
            }
            Self::Text { prefix } => (format!("{prefix}{name}"), Part::Whole),
            Self::OpenText { prefix } => {
                let (name, part) = open_text(name);
                (format!("{prefix}{name}"), part)
            }
        };
        Source { name, part }
    }
}

fn unet(name: &str, layers: usize) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let number = |index: usize| parts.get(index).and_then(|part| part.parse::<usize>().ok()).unwrap_or(0);
    let rest = |from: usize| parts.get(from..).unwrap_or_default().join(".");
    match parts.as_slice() {
        ["conv_in", ..] => format!("input_blocks.0.0.{}", rest(1)),
        ["time_embedding", "linear_1", ..] => format!("time_embed.0.{}", rest(2)),
        ["time_embedding", "linear_2", ..] => format!("time_embed.2.{}", rest(2)),
        ["add_embedding", "linear_1", ..] => format!("label_emb.0.0.{}", rest(2)),
        ["add_embedding", "linear_2", ..] => format!("label_emb.0.2.{}", rest(2)),
        ["conv_norm_out", ..] => format!("out.0.{}", rest(1)),
        ["conv_out", ..] => format!("out.2.{}", rest(1)),
        ["down_blocks", _, "resnets", ..] => {
            let block = 1 + number(1) * (layers + 1) + number(3);
            format!("input_blocks.{block}.0.{}", resnet(&rest(4)))
        }
        ["down_blocks", _, "attentions", ..] => {
            let block = 1 + number(1) * (layers + 1) + number(3);
            format!("input_blocks.{block}.1.{}", rest(4))
        }
        // `downsamplers.0.conv`
        ["down_blocks", _, "downsamplers", ..] => {
            format!("input_blocks.{}.0.op.{}", (number(1) + 1) * (layers + 1), rest(5))
        }
        ["mid_block", "resnets", ..] => format!("middle_block.{}.{}", 2 * number(2), resnet(&rest(3))),
        ["mid_block", "attentions", ..] => format!("middle_block.1.{}", rest(3)),
        ["up_blocks", _, "resnets", ..] => {
            format!("output_blocks.{}.0.{}", number(1) * (layers + 1) + number(3), resnet(&rest(4)))
        }
        ["up_blocks", _, "attentions", ..] => {
            format!("output_blocks.{}.1.{}", number(1) * (layers + 1) + number(3), rest(4))
        }
        // It comes after the block's attention, if it has one: the reader of weights tries the other place too.
        ["up_blocks", _, "upsamplers", ..] => {
            format!("output_blocks.{}.2.conv.{}", number(1) * (layers + 1) + layers, rest(5))
        }
        _ => name.to_owned(),
    }
}

/// The other place of an upsampler, in a block without attention.
pub(crate) fn upsampler_without_attention(name: &str) -> Option<String> {
    name.contains(".output_blocks.")
        .then(|| name.replace(".2.conv.", ".1.conv."))
        .filter(|other| other != name)
}

fn resnet(name: &str) -> String {
    let (layer, rest) = name.split_once('.').unwrap_or((name, ""));
    let layer = match layer {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        other => other,
    };
    format!("{layer}.{rest}")
}

fn autoencoder(name: &str, levels: usize) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let number = |index: usize| parts.get(index).and_then(|part| part.parse::<usize>().ok()).unwrap_or(0);
    let rest = |from: usize| parts.get(from..).unwrap_or_default().join(".");
    let shortcut = |name: String| name.replace("conv_shortcut", "nin_shortcut");
    match parts.as_slice() {
        [side, "conv_norm_out", ..] => format!("{side}.norm_out.{}", rest(2)),
        [side, "down_blocks", level, "resnets", block, ..] => {
            format!("{side}.down.{level}.block.{block}.{}", shortcut(rest(5)))
        }
        [side, "down_blocks", level, "downsamplers", ..] => {
            format!("{side}.down.{level}.downsample.conv.{}", rest(6))
        }
        [side, "up_blocks", _, "resnets", block, ..] => {
            // The original program counts the levels from the picture.
            let level = levels.saturating_sub(1 + number(2));
            format!("{side}.up.{level}.block.{block}.{}", shortcut(rest(5)))
        }
        [side, "up_blocks", _, "upsamplers", ..] => {
            format!("{side}.up.{}.upsample.conv.{}", levels.saturating_sub(1 + number(2)), rest(6))
        }
        [side, "mid_block", "resnets", _, ..] => {
            format!("{side}.mid.block_{}.{}", number(3) + 1, shortcut(rest(4)))
        }
        [side, "mid_block", "attentions", "0", "to_out", "0", ..] => {
            format!("{side}.mid.attn_1.proj_out.{}", rest(6))
        }
        [side, "mid_block", "attentions", "0", layer, ..] => {
            let layer = match *layer {
                "group_norm" => "norm",
                "to_q" | "query" => "q",
                "to_k" | "key" => "k",
                "to_v" | "value" => "v",
                "proj_attn" => "proj_out",
                other => other,
            };
            format!("{side}.mid.attn_1.{layer}.{}", rest(5))
        }
        _ => name.to_owned(),
    }
}

fn open_text(name: &str) -> (String, Part) {
    let Some(rest) = name.strip_prefix("text_model.") else {
        return match name {
            "text_projection.weight" => ("text_projection".to_owned(), Part::Transposed),
            other => (other.to_owned(), Part::Whole),
        };
    };
    let whole = |name: String| (name, Part::Whole);
    match rest {
        "embeddings.token_embedding.weight" => return whole("token_embedding.weight".to_owned()),
        "embeddings.position_embedding.weight" => return whole("positional_embedding".to_owned()),
        _ => {}
    }
    if let Some(field) = rest.strip_prefix("final_layer_norm.") {
        return whole(format!("ln_final.{field}"));
    }
    let parts: Vec<&str> = rest.split('.').collect();
    let ["encoder", "layers", layer, inner @ ..] = parts.as_slice() else { return whole(rest.to_owned()) };
    let block = format!("transformer.resblocks.{layer}");
    match inner {
        ["layer_norm1", field] => whole(format!("{block}.ln_1.{field}")),
        ["layer_norm2", field] => whole(format!("{block}.ln_2.{field}")),
        ["mlp", "fc1", field] => whole(format!("{block}.mlp.c_fc.{field}")),
        ["mlp", "fc2", field] => whole(format!("{block}.mlp.c_proj.{field}")),
        ["self_attn", "out_proj", field] => whole(format!("{block}.attn.out_proj.{field}")),
        ["self_attn", projection, field] => {
            let third = ["q_proj", "k_proj", "v_proj"].iter().position(|name| name == projection);
            (format!("{block}.attn.in_proj_{field}"), Part::Third(third.unwrap_or(0)))
        }
        _ => whole(format!("{block}.{}", inner.join("."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of `convert_original_stable_diffusion_to_diffusers.py` for Stable Diffusion 1, with two blocks on each of four
    /// levels.
    #[test]
    fn names_of_the_denoising_network_are_those_of_the_original() {
        let names = Names::Unet { layers: 2 };
        for (diffusers, original) in [
            ("conv_in.weight", "input_blocks.0.0.weight"),
            ("time_embedding.linear_2.bias", "time_embed.2.bias"),
            ("down_blocks.0.resnets.0.norm1.weight", "input_blocks.1.0.in_layers.0.weight"),
            ("down_blocks.0.resnets.1.time_emb_proj.bias", "input_blocks.2.0.emb_layers.1.bias"),
            ("down_blocks.0.downsamplers.0.conv.weight", "input_blocks.3.0.op.weight"),
            ("down_blocks.1.resnets.0.conv_shortcut.weight", "input_blocks.4.0.skip_connection.weight"),
            (
                "down_blocks.2.attentions.1.transformer_blocks.0.attn2.to_k.weight",
                "input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight",
            ),
            ("down_blocks.3.resnets.1.conv2.weight", "input_blocks.11.0.out_layers.3.weight"),
            ("mid_block.resnets.1.conv1.weight", "middle_block.2.in_layers.2.weight"),
            ("mid_block.attentions.0.proj_in.weight", "middle_block.1.proj_in.weight"),
            ("up_blocks.0.resnets.2.norm2.bias", "output_blocks.2.0.out_layers.0.bias"),
            ("up_blocks.1.attentions.0.norm.weight", "output_blocks.3.1.norm.weight"),
            ("up_blocks.1.upsamplers.0.conv.bias", "output_blocks.5.2.conv.bias"),
            ("up_blocks.3.resnets.2.conv1.weight", "output_blocks.11.0.in_layers.2.weight"),
            ("conv_norm_out.bias", "out.0.bias"),
            ("add_embedding.linear_1.weight", "label_emb.0.0.weight"),
        ] {
            assert_eq!(names.source(diffusers).name, prefixes::UNET.to_owned() + original, "{diffusers}");
        }
        let without = upsampler_without_attention("model.diffusion_model.output_blocks.2.2.conv.weight");
        assert_eq!(without.as_deref(), Some("model.diffusion_model.output_blocks.2.1.conv.weight"));
        assert_eq!(upsampler_without_attention("model.diffusion_model.out.2.weight"), None);
    }

    #[test]
    fn names_of_the_autoencoder_are_those_of_the_original() {
        let names = Names::Autoencoder { prefix: prefixes::VAE, levels: 4 };
        for (diffusers, original) in [
            ("encoder.conv_in.bias", "encoder.conv_in.bias"),
            (
                "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
                "encoder.down.1.block.0.nin_shortcut.weight",
            ),
            ("encoder.down_blocks.2.downsamplers.0.conv.weight", "encoder.down.2.downsample.conv.weight"),
            ("encoder.mid_block.resnets.1.norm1.weight", "encoder.mid.block_2.norm1.weight"),
            ("decoder.mid_block.attentions.0.to_q.weight", "decoder.mid.attn_1.q.weight"),
            ("decoder.mid_block.attentions.0.to_out.0.bias", "decoder.mid.attn_1.proj_out.bias"),
            ("decoder.mid_block.attentions.0.group_norm.bias", "decoder.mid.attn_1.norm.bias"),
            ("decoder.up_blocks.0.resnets.2.conv1.weight", "decoder.up.3.block.2.conv1.weight"),
            ("decoder.up_blocks.2.upsamplers.0.conv.weight", "decoder.up.1.upsample.conv.weight"),
            ("decoder.conv_norm_out.weight", "decoder.norm_out.weight"),
            ("quant_conv.weight", "quant_conv.weight"),
        ] {
            assert_eq!(names.source(diffusers).name, prefixes::VAE.to_owned() + original, "{diffusers}");
        }
    }

    #[test]
    fn query_key_and_value_of_open_clip_are_thirds() {
        let names = Names::OpenText { prefix: prefixes::TEXT_2 };
        let source = |name: &str| {
            let Source { name, part } = names.source(name);
            (name.strip_prefix(prefixes::TEXT_2).unwrap().to_owned(), part)
        };
        assert_eq!(
            source("text_model.encoder.layers.7.self_attn.k_proj.bias"),
            ("transformer.resblocks.7.attn.in_proj_bias".to_owned(), Part::Third(1))
        );
        assert_eq!(source("text_projection.weight"), ("text_projection".to_owned(), Part::Transposed));
        assert_eq!(source("text_model.final_layer_norm.bias"), ("ln_final.bias".to_owned(), Part::Whole));
        assert_eq!(
            source("text_model.embeddings.position_embedding.weight"),
            ("positional_embedding".to_owned(), Part::Whole)
        );
    }
}
