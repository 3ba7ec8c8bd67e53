//! The flags that `chat` and `generate` have in common.

/// The model, and the parameters of its answer.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Sampling {
    /// The model's id, or `auto` for the gateway's choice
    #[arg(short, long, default_value = "auto", value_name = "ID")]
    pub(crate) model: String,
    /// Instructions before the conversation
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Randomness of the choice of tokens, 0 to 2; 0 always takes the likeliest
    #[arg(short, long, value_name = "NUMBER")]
    pub(crate) temperature: Option<f32>,
    /// Tokens to generate at most
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub(crate) max_tokens: Option<u32>,
    /// Seed of the random choice, which makes the answer repeatable
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u32>,
}
