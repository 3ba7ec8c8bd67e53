//! The dimensions of the networks: from the configurations of a folder, or from the shapes of a single file's tensors.

mod folder;
mod single_file;

/// Limit of a dimension: more than any model has.
const DIMENSION_MAX: usize = 1 << 20;
/// Limit of the number of layers of a kind.
const LAYERS_MAX_COUNT: usize = 256;

/// Channels of FLUX.1's latents.
const FLUX_LATENT_CHANNELS: usize = 16;
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
    /// Subtracted from the latents before they are scaled.
    pub(crate) shift: f64,
    /// It has a layer of its own between encoder, latents and decoder, as Stable Diffusion's has and FLUX.1's hasn't.
    pub(crate) has_quant_layers: bool,
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

impl UnetSettings {
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
            return Err(format!(
                "its denoising network has {} groups of channels; the engine has {GROUPS}",
                self.groups
            ));
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
    fn check(self) -> Result<Self, String> {
        let numbers = self.channels.iter().copied().chain([self.latent_channels, self.groups]);
        check_dimensions("autoencoder", numbers)?;
        check_layers("autoencoder", &[self.channels.len(), self.layers])?;
        if self.channels.iter().any(|channels| channels % self.groups != 0) {
            return Err("its autoencoder has channels that don't fit its groups".to_owned());
        }
        let needed = if self.has_quant_layers { 4 } else { FLUX_LATENT_CHANNELS };
        if self.latent_channels != needed || self.scale <= 0.0 {
            return Err(format!(
                "its autoencoder has latents of {} channels, and not {needed}",
                self.latent_channels
            ));
        }
        Ok(self)
    }

    /// Pixels of a latent's side.
    pub(crate) fn factor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }
}

impl TextSettings {
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
