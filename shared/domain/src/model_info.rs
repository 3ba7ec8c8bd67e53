//! Metadata of a provider's model: inputs, modality, capabilities, limits and prices.

use serde::{Deserialize, Serialize};

use crate::{
    Capability, Modality, Usage,
    money::{Cost, Rate},
};

/// Kind of input of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Meshes.
    Mesh,
    /// Sound.
    Audio,
}

/// Pricing tier of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Free of charge.
    Free,
    /// Charged, or possibly charged.
    #[default]
    Commercial,
}

/// Metadata of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Display name.
    pub name: Option<String>,
    /// Modality of its output.
    pub modality: Modality,
    /// Accepted inputs.
    pub inputs: Vec<Input>,
    /// Further capabilities.
    pub capabilities: Vec<Capability>,
    /// Maximum tokens of prompt and completion together.
    pub context_length: Option<u32>,
    /// Maximum tokens of a completion.
    pub max_output_tokens: Option<u32>,
    /// Price; `None` if it isn't known.
    pub price: Option<Price>,
    /// Pricing tier.
    pub tier: Tier,
}

impl Default for ModelInfo {
    /// Assumptions about an unknown model: text in, text out.
    fn default() -> Self {
        Self {
            name: None,
            modality: Modality::Text,
            inputs: vec![Input::Text],
            capabilities: Vec::new(),
            context_length: None,
            max_output_tokens: None,
            price: None,
            tier: Tier::Commercial,
        }
    }
}

impl ModelInfo {
    /// Returns whether the model has a capability.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Returns whether the model accepts an input.
    #[must_use]
    pub fn takes(&self, input: Input) -> bool {
        self.inputs.contains(&input)
    }
}

/// Price of a model. An absent part isn't known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Price of a prompt token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Rate>,
    /// Price of a completion token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Rate>,
    /// Price of a cached prompt token; the price of a prompt token if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Rate>,
    /// Price of a prompt token that is written to the provider's cache; the price of a prompt token if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
    /// Price of a reasoning token; the price of a completion token if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
    /// Price of a generated image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Cost>,
    /// Prices of all tokens of a run with a long prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrice>,
}

/// Prices of a model's tokens in runs with a long prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// Number of prompt tokens above which a prompt is long.
    pub above: u32,
    /// Price of a prompt token.
    pub input: Rate,
    /// Price of a completion token.
    pub output: Rate,
    /// Price of a cached prompt token; the price of a prompt token if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Rate>,
    /// Price of a prompt token that is written to the provider's cache; the price of a prompt token if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
}

impl Price {
    /// Returns the price of a free model.
    #[must_use]
    pub fn free() -> Self {
        Self { input: Some(Rate::FREE), output: Some(Rate::FREE), ..Self::default() }
    }

    /// Returns the cost of a run; `None` if the price of some of its tokens isn't known.
    ///
    /// Cached tokens and those written to a cache are part of the prompt tokens, and reasoning tokens part of the completion
    /// tokens.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> Option<Cost> {
        let long = self.long.filter(|long| usage.prompt_tokens > long.above);
        let (input, output, cached, written) = match long {
            Some(long) => (Some(long.input), Some(long.output), long.cached_input, long.cache_write),
            None => (self.input, self.output, self.cached_input, self.cache_write),
        };
        if input.is_none() && output.is_none() {
            return None;
        }
        let cached_tokens = usage.cached_tokens.min(usage.prompt_tokens);
        let written_tokens = usage.cache_write_tokens.min(usage.prompt_tokens - cached_tokens);
        let reasoning_tokens = usage.reasoning_tokens.min(usage.completion_tokens);
        let parts = [
            (cached.or(input), cached_tokens),
            (written.or(input), written_tokens),
            (input, usage.prompt_tokens - cached_tokens - written_tokens),
            (self.reasoning.or(output), reasoning_tokens),
            (output, usage.completion_tokens - reasoning_tokens),
        ];
        parts
            .into_iter()
            .map(|(rate, tokens)| if tokens == 0 { Some(Cost::ZERO) } else { Some(rate?.of(tokens)) })
            .sum()
    }

    /// Returns the cost of this many images; `None` if their price isn't known.
    #[must_use]
    pub fn of_images(&self, count: u32) -> Option<Cost> {
        Some(self.image?.times(count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn price(json: serde_json::Value) -> Price {
        serde_json::from_value(json).unwrap()
    }

    fn usage(prompt_tokens: u32, cached_tokens: u32, completion_tokens: u32) -> Usage {
        let reasoning_tokens = completion_tokens / 2;
        Usage { prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, ..Usage::default() }
    }

    fn cost_text(price: &Price, usage: &Usage) -> Option<String> {
        price.of(usage).map(|cost| cost.to_string())
    }

    #[test]
    fn cost_sums_the_price_of_each_kind_of_token() {
        let all = price(json!({"input": 1.25, "output": 10, "cached_input": 0.125}));
        // 400 of 1000 are cached: 600 × 1.25 + 400 × 0.125 + 100 × 10 are 1800 millionths.
        assert_eq!(cost_text(&all, &usage(1000, 400, 100)).as_deref(), Some("0.0018"));
        let plain = price(json!({"input": 1.25, "output": 10}));
        assert_eq!(cost_text(&plain, &usage(1000, 400, 100)).as_deref(), Some("0.00225"));
        let embeds = price(json!({"input": 0.02}));
        assert_eq!(cost_text(&embeds, &usage(50, 0, 0)).as_deref(), Some("0.000001"));
        // An unknown price makes the cost unknown, and not zero.
        assert_eq!(cost_text(&embeds, &usage(50, 0, 1)), None);
        assert_eq!(cost_text(&price(json!({"image": 0.04})), &usage(50, 0, 0)), None);
        assert_eq!(
            price(json!({"image": 0.04})).of_images(3).map(|cost| cost.to_string()).as_deref(),
            Some("0.12")
        );
        assert_eq!(cost_text(&Price::free(), &usage(50, 0, 7)).as_deref(), Some("0"));
    }

    #[test]
    fn written_and_reasoning_tokens_have_their_own_prices() {
        let all = price(json!({
            "input": 3, "output": 15, "cached_input": 0.3, "cache_write": 3.75, "reasoning": 20,
            "long": {"above": 5000, "input": 6, "output": 22, "cache_write": 7.5},
        }));
        let usage = Usage {
            prompt_tokens: 1000,
            cached_tokens: 400,
            cache_write_tokens: 200,
            completion_tokens: 100,
            reasoning_tokens: 40,
        };
        // 400 × 0.3, 200 × 3.75, 400 × 3, 40 × 20 and 60 × 15 are 3770 millionths.
        assert_eq!(cost_text(&all, &usage).as_deref(), Some("0.00377"));
        let long = Usage { prompt_tokens: 5001, cached_tokens: 0, cache_write_tokens: 5001, ..usage };
        // 5001 × 7.5, 40 × 20 and 60 × 22.
        assert_eq!(cost_text(&all, &long).as_deref(), Some("0.0396275"));
        // Counts that a provider reports wrongly are never charged twice.
        let wrong = Usage { cached_tokens: 900, cache_write_tokens: 900, reasoning_tokens: 900, ..usage };
        assert_eq!(cost_text(&all, &wrong).as_deref(), Some("0.002645"));
        // The smallest price gives a cost above zero.
        let least = price(json!({"input": 0.000_001, "output": 0}));
        let one = Usage { prompt_tokens: 1, ..Usage::default() };
        assert_eq!(least.of(&one).map(Cost::nanodollars), Some(1));
    }

    #[test]
    fn a_long_prompt_has_other_prices() {
        let long = price(json!({
            "input": 1.25, "output": 10, "cached_input": 0.125,
            "long": {"above": 200_000, "input": 2.5, "output": 15},
        }));
        assert_eq!(cost_text(&long, &usage(200_000, 0, 0)).as_deref(), Some("0.25"));
        assert_eq!(cost_text(&long, &usage(200_001, 1, 1)).as_deref(), Some("0.5000175"));
    }

    fn rate() -> impl Strategy<Value = Rate> {
        (0_u64..=1_000_000_000_000).prop_map(|millionths| {
            format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000).parse().unwrap()
        })
    }

    proptest! {
        /// For any prices, no number of tokens overflows, and one more token never costs less.
        #[test]
        fn cost_neither_overflows_nor_decreases(
            input in rate(), output in rate(), cached in proptest::option::of(rate()),
            prompt in any::<u32>(), cached_tokens in any::<u32>(), completion in any::<u32>(),
        ) {
            let price = Price { input: Some(input), output: Some(output), cached_input: cached, ..Price::default() };
            let cost = price.of(&usage(prompt, cached_tokens, completion)).unwrap();
            let exact = (0..100).map(|_| cost).sum::<Cost>();
            prop_assert_eq!(exact, cost.times(100));
            let text = cost.to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{}", text);
            let cached_tokens = cached_tokens.min(prompt);
            for more in [
                usage(prompt.saturating_add(1), cached_tokens, completion),
                usage(prompt, cached_tokens, completion.saturating_add(1)),
            ] {
                prop_assert!(price.of(&more).unwrap() >= cost);
            }
            // A discount for cached tokens never raises the sum.
            if cached.is_none_or(|cached| cached <= input) {
                prop_assert!(cost <= price.of(&usage(prompt, 0, completion)).unwrap());
            }
        }
    }
}
