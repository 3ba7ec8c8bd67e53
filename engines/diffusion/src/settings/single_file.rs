//! Dimensions by the shapes of a single file's tensors.

use hearth_worker::checkpoint::{ImageFamily, prefixes};

use super::{AutoencoderSettings, GROUPS, LAYERS_MAX_COUNT, Level, TextSettings, UnetSettings};
use crate::weights::WeightFile;

/// Factor and shift of FLUX.1's latents (`flux/util.py` of Black Forest Labs).
const FLUX_SCALE: f64 = 0.3611;
const FLUX_SHIFT: f64 = 0.1159;

impl UnetSettings {
    /// By the shapes of the tensors of a single file.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn of_file(file: &WeightFile, family: ImageFamily, pooled: usize) -> Result<Self, String> {
        let name = |suffix: &str| prefixes::UNET.to_owned() + suffix;
        let has = |suffix: &str| file.header.tensors.contains_key(&name(suffix));
        let dimension = |suffix: &str, index: usize| dimension(file, &name(suffix), index);
        let blocks = (1..LAYERS_MAX_COUNT).take_while(|block| {
            has(&format!("input_blocks.{block}.0.op.weight"))
                || has(&format!("input_blocks.{block}.0.in_layers.2.weight"))
        });
        let blocks = blocks.count();
        let first_op = (1..=blocks).find(|block| has(&format!("input_blocks.{block}.0.op.weight")));
        let layers = first_op.map_or(blocks, |block| block - 1);
        let depth = |block: &str| {
            (0..LAYERS_MAX_COUNT)
                .take_while(|index| has(&format!("{block}.transformer_blocks.{index}.norm1.weight")))
                .count()
        };
        let mut levels = Vec::new();
        let mut block = 1;
        while block <= blocks {
            let channels = dimension(&format!("input_blocks.{block}.0.in_layers.2.weight"), 0)?;
            let depth = Some(depth(&format!("input_blocks.{block}.1"))).filter(|depth| *depth > 0);
            let heads = if family == ImageFamily::Sd1 { 8 } else { (channels / 64).max(1) };
            levels.push(Level { channels, depth, heads });
            block += layers + 1;
        }
        let key = file
            .header
            .tensors
            .keys()
            .find(|key| key.starts_with(prefixes::UNET) && key.ends_with("attn2.to_k.weight"));
        let key = key.ok_or("its denoising network has no attention to the text")?;
        let projection = file.shape(&name("middle_block.1.proj_in.weight"));
        let addition = if family == ImageFamily::Sdxl {
            let all = dimension("label_emb.0.0.weight", 1)?;
            let time = all.checked_sub(pooled).filter(|rest| *rest > 0 && rest % 6 == 0).map(|rest| rest / 6);
            Some((all, time.ok_or("the width of its further condition doesn't fit its text encoder")?))
        } else {
            None
        };
        let settings = Self {
            in_channels: dimension("input_blocks.0.0.weight", 1)?,
            out_channels: dimension("out.2.weight", 0)?,
            levels,
            layers,
            mid_depth: depth("middle_block.1").max(1),
            context: self::dimension(file, key, 1)?,
            groups: GROUPS,
            epsilon: 1e-5,
            has_linear_projection: projection.is_some_and(|shape| shape.len() == 2),
            addition,
        };
        settings.check()
    }
}

impl AutoencoderSettings {
    /// By the shapes of the tensors of a single file.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn of_file(file: &WeightFile, family: ImageFamily) -> Result<Self, String> {
        let scale = if family == ImageFamily::Sdxl { 0.13025 } else { 0.18215 };
        let settings =
            Self { scale, shift: 0.0, has_quant_layers: true, ..Self::of_tensors(file, prefixes::VAE)? };
        settings.check()
    }

    /// By the shapes of the tensors of FLUX.1's autoencoder, which has a file of its own.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn of_flux(file: &WeightFile) -> Result<Self, String> {
        Self::of_tensors(file, "")?.check()
    }

    /// The dimensions, with the scale of FLUX.1's latents.
    fn of_tensors(file: &WeightFile, prefix: &str) -> Result<Self, String> {
        let name = |suffix: &str| format!("{prefix}{suffix}");
        let has = |suffix: &str| file.header.tensors.contains_key(&name(suffix));
        let levels = (0..LAYERS_MAX_COUNT)
            .take_while(|level| has(&format!("encoder.down.{level}.block.0.conv1.weight")));
        let channels = levels
            .map(|level| dimension(file, &name(&format!("encoder.down.{level}.block.0.conv1.weight")), 0))
            .collect::<Result<Vec<_>, _>>()?;
        let layers = (0..LAYERS_MAX_COUNT)
            .take_while(|layer| has(&format!("encoder.down.0.block.{layer}.conv1.weight")))
            .count();
        Ok(Self {
            channels,
            layers,
            latent_channels: dimension(file, &name("decoder.conv_in.weight"), 1)?,
            groups: 32,
            scale: FLUX_SCALE,
            shift: FLUX_SHIFT,
            has_quant_layers: false,
        })
    }
}

impl TextSettings {
    /// By the shapes of the tensors of transformers' encoder in a single file.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn of_file(file: &WeightFile, prefix: &str) -> Result<Self, String> {
        let name = |suffix: &str| format!("{prefix}text_model.{suffix}");
        let layer = |index: usize| name(&format!("encoder.layers.{index}.mlp.fc1.weight"));
        let token = name("embeddings.token_embedding.weight");
        let width = dimension(file, &token, 1)?;
        let settings = Self {
            vocabulary: dimension(file, &token, 0)?,
            width,
            heads: (width / 64).max(1),
            layers: (0..LAYERS_MAX_COUNT).take_while(|index| file.shape(&layer(*index)).is_some()).count(),
            inner: dimension(file, &layer(0), 0)?,
            positions: dimension(file, &name("embeddings.position_embedding.weight"), 0)?,
            is_quick: true,
            projection: None,
        };
        settings.check()
    }

    /// By the shapes of the tensors of OpenCLIP's encoder in a single file.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn of_open_clip(file: &WeightFile, prefix: &str) -> Result<Self, String> {
        let name = |suffix: &str| format!("{prefix}{suffix}");
        let layer = |index: usize| name(&format!("transformer.resblocks.{index}.mlp.c_fc.weight"));
        let width = dimension(file, &name("token_embedding.weight"), 1)?;
        let settings = Self {
            vocabulary: dimension(file, &name("token_embedding.weight"), 0)?,
            width,
            heads: (width / 64).max(1),
            layers: (0..LAYERS_MAX_COUNT).take_while(|index| file.shape(&layer(*index)).is_some()).count(),
            inner: dimension(file, &layer(0), 0)?,
            positions: dimension(file, &name("positional_embedding"), 0)?,
            is_quick: false,
            projection: Some(dimension(file, &name("text_projection"), 1)?),
        };
        settings.check()
    }
}

fn dimension(file: &WeightFile, name: &str, index: usize) -> Result<usize, String> {
    let shape = file.shape(name).ok_or_else(|| format!("the tensor {name:?} is missing"))?;
    shape.get(index).copied().ok_or_else(|| format!("the tensor {name:?} has too few dimensions"))
}
