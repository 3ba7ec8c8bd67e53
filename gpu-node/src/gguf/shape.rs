//! The dimensions of a model that its memory depends on.
//!
//! Keys and defaults are those of llama.cpp (`llama_model_base::load_hparams` and the
//! `load_arch_hparams` of each architecture).

use hearth_worker::gguf::Value;

use super::header::Header;

/// Maximum number of layers: llama.cpp's limit.
const LAYERS_MAX_COUNT: u64 = 512;

/// The architecture whose layers are both attention and recurrent.
const FALCON_H1: &str = "falcon-h1";

/// A model's dimensions. Those that the header doesn't have are 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Its layers, from the input to the output.
    pub layers: Vec<Layer>,
    /// Attention heads of its widest layer.
    pub heads: u32,
    /// The width of the vector that goes from layer to layer.
    pub embedding_length: u32,
    /// The widest inner vector of a feed-forward block, or of one expert.
    pub feed_forward_length: u32,
    /// Size of its vocabulary.
    pub vocabulary: u32,
    /// Tokens in the window of its windowed layers.
    pub sliding_window: Option<u32>,
    /// The experts of its feed-forward blocks, if it is a mixture of experts.
    pub experts: Option<Experts>,
    /// The state of a recurrent layer for one sequence, in numbers of four bytes.
    pub recurrent_state: u64,
    /// The bytes of its tensors.
    pub tensor_bytes: u64,
}

/// The cache of a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layer {
    /// Heads with keys and values of their own; 0 in a layer without attention.
    pub kv_heads: u32,
    /// The length of a key.
    pub key_length: u32,
    /// The length of a value; 0 if it is computed from the key (MLA).
    pub value_length: u32,
    /// Its attention is limited to the model's sliding window.
    pub windowed: bool,
    /// It has a state of a fixed size for each sequence.
    pub recurrent: bool,
}

/// The experts of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Experts {
    /// Number of experts.
    pub count: u32,
    /// Number of experts that compute each token.
    pub used: u32,
}

impl Shape {
    /// Reads the dimensions from a header.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        let keys = Keys(header);
        let count = keys.number("block_count").min(LAYERS_MAX_COUNT);
        let heads = keys.largest("attention.head_count");
        let embedding_length = keys.length("embedding_length");
        let experts = Experts { count: keys.length("expert_count"), used: keys.largest("expert_used_count") };
        let wide = ["feed_forward_length", "expert_feed_forward_length", "expert_shared_feed_forward_length"];
        Self {
            layers: (0..count).map(|index| layer(&keys, index, count, heads, embedding_length)).collect(),
            heads,
            embedding_length,
            feed_forward_length: wide.into_iter().map(|name| keys.largest(name)).max().unwrap_or(0),
            vocabulary: vocabulary(header),
            sliding_window: keys.window(),
            experts: (experts.count > 0).then_some(experts),
            recurrent_state: recurrent_state(&keys, heads, embedding_length),
            tensor_bytes: header.tensor_bytes(),
        }
    }
}

fn layer(keys: &Keys<'_>, index: u64, count: u64, heads: u32, embedding_length: u32) -> Layer {
    let recurrent = keys.is_recurrent(index);
    // Gemma's last layers use the cache of earlier ones.
    let shares = index >= count.saturating_sub(keys.number("attention.shared_kv_layers"));
    let attends = !recurrent || keys.0.architecture() == Some(FALCON_H1);
    if keys.0.is_encoder() || shares || !attends {
        return Layer { recurrent, ..Layer::default() };
    }
    let windowed = keys.is_windowed(index);
    let head_length = embedding_length.checked_div(heads).unwrap_or(0);
    let length = |name: &str| {
        let everywhere = keys.optional(name).unwrap_or(head_length);
        if windowed { keys.optional(&format!("{name}_swa")).unwrap_or(everywhere) } else { everywhere }
    };
    // Multi-head latent attention (MLA) caches one compressed vector, from which key and value are computed.
    let latent = keys.optional("attention.key_length_mla").is_some_and(|length| length > 0);
    Layer {
        kv_heads: keys.of_layer("attention.head_count_kv", index).unwrap_or(heads),
        key_length: length("attention.key_length"),
        value_length: if latent { 0 } else { length("attention.value_length") },
        windowed,
        recurrent,
    }
}

/// Returns the state size of Mamba, gated delta nets, RWKV and short convolutions, in numbers.
fn recurrent_state(keys: &Keys<'_>, heads: u32, embedding_length: u32) -> u64 {
    let width = u64::from(embedding_length);
    let rwkv = keys.number("wkv_head_size");
    if rwkv > 0 {
        let shifts = keys.optional("token_shift_count").unwrap_or(2);
        return width.saturating_mul(rwkv.saturating_add(u64::from(shifts)));
    }
    let convolution = keys.number("shortconv.l_cache");
    if convolution > 0 {
        return width.saturating_mul(convolution - 1);
    }
    let delta = keys.number("kda.head_dim");
    if delta > 0 {
        let kernel = keys.number("ssm.conv_kernel").saturating_sub(1);
        return delta
            .saturating_mul(u64::from(heads))
            .saturating_mul(delta.saturating_add(3 * kernel.min(64)));
    }
    let (inner, state) = (keys.number("ssm.inner_size"), keys.number("ssm.state_size"));
    let groups = keys.number("ssm.group_count");
    let channels = inner.saturating_add(groups.saturating_mul(state).saturating_mul(2));
    let history = keys.number("ssm.conv_kernel").saturating_sub(1).saturating_mul(channels);
    history.saturating_add(state.saturating_mul(inner))
}

fn vocabulary(header: &Header) -> u32 {
    let tokens = match header.get("tokenizer.ggml.tokens") {
        Some(Value::Array(count)) => Some(*count),
        _ => header.get_of_architecture("vocab_size").and_then(Value::number),
    };
    saturate(tokens.unwrap_or(0))
}

/// Limits a number to `u32`: no real dimension is larger, but a header may have any.
fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The keys of a header's architecture.
struct Keys<'a>(&'a Header);

impl Keys<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get_of_architecture(name)
    }

    fn optional(&self, name: &str) -> Option<u32> {
        self.value(name)?.number().map(saturate)
    }

    fn number(&self, name: &str) -> u64 {
        self.value(name).and_then(Value::number).unwrap_or(0)
    }

    fn length(&self, name: &str) -> u32 {
        saturate(self.number(name))
    }

    /// The number of a layer, from one number for all layers or one for each.
    fn of_layer(&self, name: &str, index: u64) -> Option<u32> {
        match self.value(name)? {
            Value::Numbers(numbers) => numbers.get(usize::try_from(index).ok()?).copied().map(saturate),
            other => other.number().map(saturate),
        }
    }

    fn largest(&self, name: &str) -> u32 {
        match self.value(name) {
            Some(Value::Numbers(numbers)) => saturate(numbers.iter().copied().max().unwrap_or(0)),
            Some(other) => saturate(other.number().unwrap_or(0)),
            None => 0,
        }
    }

    fn window(&self) -> Option<u32> {
        // Files of Gemma 2 lack the key, but it has a window.
        let default = if self.0.architecture() == Some("gemma2") { Some(4096) } else { None };
        self.optional("attention.sliding_window").or(default).filter(|window| *window > 0)
    }

    /// Returns whether the layer has a window in llama.cpp. Many files have a window that it doesn't use, so this lists the
    /// architectures for which it does, with the default period: one layer of so many has no window. An architecture that
    /// isn't listed gets a prediction of too much memory, never too little.
    fn is_windowed(&self, index: u64) -> bool {
        if self.window().is_none() {
            return false;
        }
        if let Some(Value::Numbers(pattern)) = self.value("attention.sliding_window_pattern") {
            return usize::try_from(index)
                .ok()
                .and_then(|index| pattern.get(index))
                .is_some_and(|on| *on > 0);
        }
        let default = match self.0.architecture() {
            Some("gemma2" | "gpt-oss") => 2,
            Some("afmoe" | "cohere2" | "exaone-moe" | "exaone4" | "mellum" | "olmo2") => 4,
            Some("gemma3n") => 5,
            Some("gemma3") => 6,
            Some("plamo3") => 8,
            _ => return false,
        };
        let period = self.optional("attention.sliding_window_pattern").map_or(default, u64::from);
        period == 0 || index % period < period - 1
    }

    fn is_recurrent(&self, index: u64) -> bool {
        if let Some(recurrent) = self.of_layer("attention.recurrent_layers", index) {
            return recurrent > 0;
        }
        match self.0.architecture() {
            Some("mamba" | "mamba2" | "rwkv6" | "rwkv6qwen2" | "rwkv7" | "arwkv7" | FALCON_H1) => true,
            Some("qwen3next" | "qwen35" | "qwen35moe") => {
                let interval = self.optional("full_attention_interval").filter(|n| *n > 0).unwrap_or(4);
                !(index + 1).is_multiple_of(u64::from(interval))
            }
            // In hybrid models a recurrent layer has no heads.
            _ => self.of_layer("attention.head_count_kv", index) == Some(0),
        }
    }
}
