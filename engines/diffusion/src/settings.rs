//! The dimensions of the networks: from the configurations of a folder, or from the shapes of a single file's tensors.

use std::{fs, path::Path};

use hearth_worker::checkpoint::{ImageFamily, prefixes};
use serde::Deserialize;
use serde_json::Value;

use crate::weights::WeightFile;

/// Limit of the bytes of a configuration.
const CONFIG_MAX_BYTES: u64 = 1 << 20;
/// Limit of a dimension: more than any model has.
const DIMENSION_MAX: usize = 1 << 20;
/// Limit of the number of layers of a kind.
const LAYERS_MAX_COUNT: usize = 256;

/// Groups of channels that are normalised together: candle's residual blocks have this number only.
const GROUPS: usize = 32;

/// A level of the denoising network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) channels: usize,
    /// Transformer blocks after each residual block; none without attention.
    pub(crate) depth: Option<usize>,
    /// Attention heads.
    pub(crate) heads: usize,
}

/// The denoising network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnetSettings {
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) levels: Vec<Level>,
    /// Residual blocks of each level.
    pub(crate) layers: usize,
    /// Transformer blocks in the middle.
    pub(crate) mid_depth: usize,
    /// Numbers of a token of the text encoder.
    pub(crate) context: usize,
    pub(crate) groups: usize,
    pub(crate) epsilon: f64,
    pub(crate) has_linear_projection: bool,
    /// The size and the pooled text as a further condition: its width, and that of each of the six numbers.
    pub(crate) addition: Option<(usize, usize)>,
}

/// The autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AutoencoderSettings {
    pub(crate) channels: Vec<usize>,
    pub(crate) layers: usize,
    pub(crate) latent_channels: usize,
    pub(crate) groups: usize,
    /// Factor of the latents that the denoising network was trained with.
    pub(crate) scale: f64,
}

/// A text encoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextSettings {
    pub(crate) vocabulary: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) layers: usize,
    pub(crate) inner: usize,
    pub(crate) positions: usize,
    /// OpenAI's activation; OpenCLIP has another.
    pub(crate) is_quick: bool,
    /// Width of the pooled text, if the encoder has a projection.
    pub(crate) projection: Option<usize>,
}

/// The noise schedule with which the model was trained.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScheduleSettings {
    pub(crate) first_beta: f64,
    pub(crate) last_beta: f64,
    pub(crate) is_scaled: bool,
    pub(crate) train_steps: usize,
    /// The network predicts a velocity and not the noise.
    pub(crate) predicts_velocity: bool,
    /// The last time of training comes first.
    pub(crate) is_trailing: bool,
    pub(crate) offset: usize,
}

impl Default for ScheduleSettings {
    /// That of Stable Diffusion 1 and XL.
    fn default() -> Self {
        Self {
            first_beta: 0.00085,
            last_beta: 0.012,
            is_scaled: true,
            train_steps: 1000,
            predicts_velocity: false,
            is_trailing: false,
            offset: 1,
        }
    }
}

/// One number for all levels, or one for each.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Each {
    One(usize),
    Many(Vec<usize>),
}

impl Each {
    fn at(&self, index: usize) -> usize {
        match self {
            Self::One(number) => *number,
            Self::Many(numbers) => numbers.get(index).copied().unwrap_or(1),
        }
    }
}

#[derive(Deserialize)]
struct UnetConfig {
    in_channels: usize,
    #[serde(default = "four")]
    out_channels: usize,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    layers_per_block: usize,
    #[serde(default)]
    attention_head_dim: Option<Each>,
    #[serde(default)]
    num_attention_heads: Option<Each>,
    cross_attention_dim: usize,
    #[serde(default)]
    transformer_layers_per_block: Option<Each>,
    #[serde(default = "thirty_two")]
    norm_num_groups: usize,
    #[serde(default = "epsilon")]
    norm_eps: f64,
    #[serde(default)]
    use_linear_projection: bool,
    #[serde(default)]
    addition_embed_type: Option<String>,
    #[serde(default)]
    addition_time_embed_dim: Option<usize>,
    #[serde(default)]
    projection_class_embeddings_input_dim: Option<usize>,
}

#[derive(Deserialize)]
struct AutoencoderConfig {
    block_out_channels: Vec<usize>,
    layers_per_block: usize,
    latent_channels: usize,
    #[serde(default = "thirty_two")]
    norm_num_groups: usize,
    #[serde(default = "latent_scale")]
    scaling_factor: f64,
}

#[derive(Deserialize)]
struct TextConfig {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    #[serde(default)]
    projection_dim: Option<usize>,
}

#[derive(Deserialize)]
#[serde(default)]
struct ScheduleConfig {
    beta_start: f64,
    beta_end: f64,
    beta_schedule: String,
    num_train_timesteps: usize,
    prediction_type: String,
    timestep_spacing: String,
    steps_offset: usize,
}

impl Default for ScheduleConfig {
    /// The defaults of diffusers for a field that a configuration leaves out.
    fn default() -> Self {
        Self {
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: "scaled_linear".to_owned(),
            num_train_timesteps: 1000,
            prediction_type: "epsilon".to_owned(),
            timestep_spacing: "leading".to_owned(),
            steps_offset: 1,
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(folder: &Path, name: &str) -> Result<T, String> {
    let path = folder.join(name);
    let size = fs::metadata(&path).map_err(|error| format!("its {name} can't be read: {}", error.kind()))?.len();
    if size > CONFIG_MAX_BYTES {
        return Err(format!("its {name} has {size} bytes"));
    }
    let text = fs::read(&path).map_err(|error| format!("its {name} can't be read: {}", error.kind()))?;
    serde_json::from_slice(&text).map_err(|error| format!("its {name} is damaged: {error}"))
}

impl UnetSettings {
    /// By `unet/config.json` of a folder.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, String> {
        let config: UnetConfig = read(folder, "unet/config.json")?;
        // In early configurations the number of heads is called the dimension of one.
        let heads = config.num_attention_heads.or(config.attention_head_dim).unwrap_or(Each::One(8));
        let depths = config.transformer_layers_per_block.unwrap_or(Each::One(1));
        let levels = config.block_out_channels.iter().zip(&config.down_block_types).enumerate();
        let levels: Vec<Level> = levels
            .map(|(index, (channels, kind))| Level {
                channels: *channels,
                depth: kind.contains("CrossAttn").then(|| depths.at(index)),
                heads: heads.at(index),
            })
            .collect();
        let addition = match config.addition_embed_type.as_deref() {
            None => None,
            Some("text_time") => {
                let (Some(time), Some(all)) =
                    (config.addition_time_embed_dim, config.projection_class_embeddings_input_dim)
                else {
                    return Err("its unet/config.json lacks the widths of the further condition".to_owned());
                };
                Some((all, time))
            }
            Some(other) => return Err(format!("its unet has a condition of the type {other:?}, which isn't supported")),
        };
        let mid_depth = levels.last().and_then(|level| level.depth).unwrap_or(1);
        let settings = Self {
            in_channels: config.in_channels,
            out_channels: config.out_channels,
            levels,
            layers: config.layers_per_block,
            mid_depth,
            context: config.cross_attention_dim,
            groups: config.norm_num_groups,
            epsilon: config.norm_eps,
            has_linear_projection: config.use_linear_projection,
            addition,
        };
        settings.check()
    }

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
        let key = file.header.tensors.keys().find(|key| {
            key.starts_with(prefixes::UNET) && key.ends_with("attn2.to_k.weight")
        });
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

    fn check(self) -> Result<Self, String> {
        let channels = self.levels.iter().map(|level| level.channels);
        let numbers = channels.chain([self.in_channels, self.out_channels, self.context, self.groups]);
        let (all, time) = self.addition.unwrap_or((1, 1));
        check_dimensions("denoising network", numbers.chain([all, time]))?;
        check_layers("denoising network", &[self.levels.len(), self.layers, self.mid_depth])?;
        for level in &self.levels {
            check_layers("denoising network", &[level.depth.unwrap_or(1)])?;
            if level.channels % self.groups != 0 || level.heads == 0 || level.channels % level.heads != 0 {
                return Err(format!(
                    "its denoising network has {} channels for {} groups and {} heads",
                    level.channels, self.groups, level.heads
                ));
            }
        }
        if self.groups != GROUPS {
            return Err(format!("its denoising network has {} groups of channels; the engine has {GROUPS}", self.groups));
        }
        if ![4, 9].contains(&self.in_channels) {
            return Err(format!(
                "its denoising network takes {} channels; the engine has networks of 4, and of 9 for masks",
                self.in_channels
            ));
        }
        Ok(self)
    }
}

impl AutoencoderSettings {
    /// By `vae/config.json` of a folder.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, String> {
        let config: AutoencoderConfig = read(folder, "vae/config.json")?;
        let settings = Self {
            channels: config.block_out_channels,
            layers: config.layers_per_block,
            latent_channels: config.latent_channels,
            groups: config.norm_num_groups,
            scale: config.scaling_factor,
        };
        settings.check()
    }

    /// By the shapes of the tensors of a single file.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn of_file(file: &WeightFile, family: ImageFamily) -> Result<Self, String> {
        let name = |suffix: &str| prefixes::VAE.to_owned() + suffix;
        let has = |suffix: &str| file.header.tensors.contains_key(&name(suffix));
        let levels = (0..LAYERS_MAX_COUNT)
            .take_while(|level| has(&format!("encoder.down.{level}.block.0.conv1.weight")));
        let channels = levels
            .map(|level| dimension(file, &name(&format!("encoder.down.{level}.block.0.conv1.weight")), 0))
            .collect::<Result<Vec<_>, _>>()?;
        let layers = (0..LAYERS_MAX_COUNT)
            .take_while(|layer| has(&format!("encoder.down.0.block.{layer}.conv1.weight")))
            .count();
        let settings = Self {
            channels,
            layers,
            latent_channels: dimension(file, &name("decoder.conv_in.weight"), 1)?,
            groups: 32,
            scale: if family == ImageFamily::Sdxl { 0.13025 } else { 0.18215 },
        };
        settings.check()
    }

    fn check(self) -> Result<Self, String> {
        let numbers = self.channels.iter().copied().chain([self.latent_channels, self.groups]);
        check_dimensions("autoencoder", numbers)?;
        check_layers("autoencoder", &[self.channels.len(), self.layers])?;
        if self.channels.iter().any(|channels| channels % self.groups != 0) {
            return Err("its autoencoder has channels that don't fit its groups".to_owned());
        }
        if self.latent_channels != 4 || self.scale <= 0.0 {
            return Err(format!("its autoencoder has latents of {} channels, and not 4", self.latent_channels));
        }
        Ok(self)
    }

    /// Pixels of a latent's side.
    pub(crate) fn factor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }
}

impl TextSettings {
    /// By the `config.json` of a text encoder's folder, such as `text_encoder_2`.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub(crate) fn of_folder(folder: &Path, encoder: &str) -> Result<Self, String> {
        let config: TextConfig = read(folder, &format!("{encoder}/config.json"))?;
        let settings = Self {
            vocabulary: config.vocab_size,
            width: config.hidden_size,
            heads: config.num_attention_heads,
            layers: config.num_hidden_layers,
            inner: config.intermediate_size,
            positions: config.max_position_embeddings,
            is_quick: config.hidden_act == "quick_gelu",
            projection: config.projection_dim.filter(|_| encoder == "text_encoder_2"),
        };
        settings.check()
    }

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

    fn check(self) -> Result<Self, String> {
        let numbers = [self.vocabulary, self.width, self.inner, self.positions, self.projection.unwrap_or(1)];
        check_dimensions("text encoder", numbers)?;
        check_layers("text encoder", &[self.layers])?;
        if self.heads == 0 || !self.width.is_multiple_of(self.heads) || self.positions < 3 {
            return Err("its text encoder has a width that doesn't fit its heads".to_owned());
        }
        Ok(self)
    }
}

impl ScheduleSettings {
    /// By `scheduler/scheduler_config.json` of a folder.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, String> {
        const NAME: &str = "scheduler/scheduler_config.json";
        if !folder.join(NAME).is_file() {
            return Ok(Self::default());
        }
        // Unknown fields are those of other samplers.
        let value: Value = read(folder, NAME)?;
        let config: ScheduleConfig =
            serde_json::from_value(value).map_err(|error| format!("its {NAME} is damaged: {error}"))?;
        let predicts_velocity = match config.prediction_type.as_str() {
            "epsilon" => false,
            "v_prediction" => true,
            other => return Err(format!("its network predicts {other:?}, which isn't supported")),
        };
        let is_scaled = match config.beta_schedule.as_str() {
            "scaled_linear" => true,
            "linear" => false,
            other => return Err(format!("its noise schedule is {other:?}, which isn't supported")),
        };
        let betas = [config.beta_start, config.beta_end];
        if !(10..=100_000).contains(&config.num_train_timesteps)
            || betas.iter().any(|beta| !(*beta > 0.0 && *beta < 1.0))
        {
            return Err(format!("its {NAME} has numbers that no schedule has"));
        }
        Ok(Self {
            first_beta: config.beta_start,
            last_beta: config.beta_end,
            is_scaled,
            train_steps: config.num_train_timesteps,
            predicts_velocity,
            is_trailing: config.timestep_spacing == "trailing",
            offset: config.steps_offset.min(1),
        })
    }
}

fn dimension(file: &WeightFile, name: &str, index: usize) -> Result<usize, String> {
    let shape = file.shape(name).ok_or_else(|| format!("the tensor {name:?} is missing"))?;
    shape.get(index).copied().ok_or_else(|| format!("the tensor {name:?} has too few dimensions"))
}

fn check_dimensions(network: &str, numbers: impl IntoIterator<Item = usize>) -> Result<(), String> {
    match numbers.into_iter().find(|number| !(1..=DIMENSION_MAX).contains(number)) {
        Some(number) => Err(format!("its {network} has a dimension of {number}")),
        None => Ok(()),
    }
}

fn check_layers(network: &str, counts: &[usize]) -> Result<(), String> {
    match counts.iter().find(|count| !(1..=LAYERS_MAX_COUNT).contains(*count)) {
        Some(count) => Err(format!("its {network} has {count} layers of a kind")),
        None => Ok(()),
    }
}

fn four() -> usize {
    4
}

fn thirty_two() -> usize {
    32
}

fn epsilon() -> f64 {
    1e-5
}

fn latent_scale() -> f64 {
    0.18215
}
