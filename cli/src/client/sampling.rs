//! The options that `chat` and `generate` have in common.

/// Which model answers, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Sampling {
    /// The model's id, or `auto` for the gateway's choice
    #[arg(short, long, default_value = "auto", value_name = "ID")]
    pub model: String,
    /// Instructions that go before the conversation
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Flattens (above 1) or sharpens the choice of words, 0 to 2; 0 always takes the likeliest
    #[arg(short, long, value_name = "NUMBER")]
    pub temperature: Option<f32>,
    /// The most tokens to generate
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub max_tokens: Option<u32>,
    /// Makes the answer repeatable
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,
}
