//! Dimensions by the configurations of a folder of the library diffusers.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::{AutoencoderSettings, Level, ScheduleSettings, TextSettings, UnetSettings};

/// Limit of the bytes of a configuration.
const CONFIG_MAX_BYTES: u64 = 1 << 20;

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
    let size =
        fs::metadata(&path).map_err(|error| format!("its {name} can't be read: {}", error.kind()))?.len();
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
            Some(other) => {
                return Err(format!("its unet has a condition of the type {other:?}, which isn't supported"));
            }
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
            shift: 0.0,
            has_quant_layers: true,
        };
        settings.check()
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
