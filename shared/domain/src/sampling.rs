//! Sampling parameters and stop conditions.

use serde::{Deserialize, Serialize};

/// Sampling parameters. The engine has defaults for those that are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Flattens (above 1) or sharpens the distribution, 0 to 2; 0 always chooses the likeliest token.
    pub temperature: Option<f32>,
    /// Keeps the likeliest tokens that together reach this probability, 0 to 1.
    pub top_p: Option<f32>,
    /// Keeps this many of the likeliest tokens; 0 keeps all.
    pub top_k: Option<u32>,
    /// Keeps tokens at least this likely relative to the likeliest, 0 to 1.
    pub min_p: Option<f32>,
    /// Multiplies down tokens that were generated lately, above 0 to 2; 1 changes nothing.
    pub repeat_penalty: Option<f32>,
    /// Subtracted from tokens that were generated at all, -2 to 2.
    pub presence_penalty: Option<f32>,
    /// Subtracted from tokens for each time they were generated, -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Seed for reproducible results.
    pub seed: Option<u32>,
    /// Ends the completion before any of these texts; at most [`MAX_STOPS`].
    pub stop: Vec<String>,
    /// The most tokens to generate, at least 1.
    pub max_tokens: Option<u32>,
    /// Goes on past the end-of-turn token, until `max_tokens`.
    pub ignore_eos: bool,
    /// Added to tokens' logits before anything else, -100 to 100; at most [`MAX_BIASES`] tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logit_bias: Vec<(u32, f32)>,
}

/// Temperature on nodes if a request has none.
pub const DEFAULT_TEMPERATURE: f32 = 0.8;

/// `top_p` on nodes if a request has none.
pub const DEFAULT_TOP_P: f32 = 0.95;

/// Maximum number of tokens with a bias.
pub const MAX_BIASES: usize = 1024;

/// Maximum number of stop texts.
pub const MAX_STOPS: usize = 16;

/// Parameter out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param} must be {expected}")]
pub struct OutOfRange {
    /// Name of the parameter.
    pub param: &'static str,
    /// Allowed values.
    pub expected: &'static str,
}

impl Sampling {
    /// Checks every range.
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let within = |param, value: Option<f32>, ok: fn(f32) -> bool, expected| match value {
            Some(v) if !ok(v) => Err(OutOfRange { param, expected }),
            _ => Ok(()),
        };
        let unit = |v: f32| (0.0..=1.0).contains(&v);
        let penalty = |v: f32| (-2.0..=2.0).contains(&v);
        within("temperature", self.temperature, |v| (0.0..=2.0).contains(&v), "between 0 and 2")?;
        within("top_p", self.top_p, unit, "between 0 and 1")?;
        within("min_p", self.min_p, unit, "between 0 and 1")?;
        within("repeat_penalty", self.repeat_penalty, |v| v > 0.0 && v <= 2.0, "above 0 and at most 2")?;
        within("presence_penalty", self.presence_penalty, penalty, "between -2 and 2")?;
        within("frequency_penalty", self.frequency_penalty, penalty, "between -2 and 2")?;
        let biased = self.logit_bias.iter().all(|(_, bias)| (-100.0..=100.0).contains(bias));
        if !biased || self.logit_bias.len() > MAX_BIASES {
            return Err(OutOfRange {
                param: "logit_bias",
                expected: "at most 1024 tokens, each with -100 to 100",
            });
        }
        if self.max_tokens == Some(0) {
            return Err(OutOfRange { param: "max_tokens", expected: "at least 1" });
        }
        if self.stop.len() > MAX_STOPS || self.stop.iter().any(|s| s.is_empty() || s.len() > 1024) {
            return Err(OutOfRange { param: "stop", expected: "at most 16 texts of 1 to 1024 bytes" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_closed_and_nan_is_outside() {
        let with = |f: fn(&mut Sampling)| {
            let mut sampling = Sampling::default();
            f(&mut sampling);
            sampling.check().map_err(|e| e.param)
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|s| s.temperature = Some(2.0)), Ok(()));
        assert_eq!(with(|s| s.temperature = Some(2.1)), Err("temperature"));
        assert_eq!(with(|s| s.temperature = Some(f32::NAN)), Err("temperature"));
        assert_eq!(with(|s| s.top_p = Some(-0.1)), Err("top_p"));
        assert_eq!(with(|s| s.min_p = Some(1.5)), Err("min_p"));
        assert_eq!(with(|s| s.repeat_penalty = Some(0.0)), Err("repeat_penalty"));
        assert_eq!(with(|s| s.presence_penalty = Some(-2.5)), Err("presence_penalty"));
        assert_eq!(with(|s| s.frequency_penalty = Some(9.0)), Err("frequency_penalty"));
        assert_eq!(with(|s| s.logit_bias = vec![(1, 101.0)]), Err("logit_bias"));
        assert_eq!(with(|s| s.max_tokens = Some(0)), Err("max_tokens"));
        assert_eq!(with(|s| s.stop = vec![String::new()]), Err("stop"));
        assert_eq!(with(|s| s.stop = vec!["x".into(); 17]), Err("stop"));
    }
}
