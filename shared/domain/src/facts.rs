//! What is known of a provider's model before it is asked: what it takes and makes, and what it costs.

use serde::{Deserialize, Serialize};

use crate::{
    Capability, Modality, Usage,
    money::{Cost, Rate},
};

/// What a model is given.
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

/// Whether a model costs its user something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// It doesn't.
    Free,
    /// It does, or may.
    #[default]
    Commercial,
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Its makers' name for it.
    pub name: Option<String>,
    /// What it makes.
    pub modality: Modality,
    /// What it takes.
    pub inputs: Vec<Input>,
    /// What else it can do.
    pub capabilities: Vec<Capability>,
    /// The tokens that prompt and completion may have together.
    pub context_length: Option<u32>,
    /// The tokens that a completion may have.
    pub max_output_tokens: Option<u32>,
    /// What it costs; none where that isn't known.
    pub price: Option<Price>,
    /// Whether it costs something.
    pub tier: Tier,
}

impl Default for Facts {
    /// What is taken for granted of a model of which nothing is known: it makes text from text.
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

impl Facts {
    /// Whether it can do this.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Whether it takes this.
    #[must_use]
    pub fn takes(&self, input: Input) -> bool {
        self.inputs.contains(&input)
    }
}

/// What a model costs. What isn't there isn't known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// A token of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Rate>,
    /// A token of the completion, thoughts included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Rate>,
    /// A token of the prompt that was cached; as any other if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Rate>,
    /// An image that is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Cost>,
    /// What all tokens of a run cost instead if its prompt is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrice>,
}

/// What a model's tokens cost when a prompt is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// A prompt of more tokens than this is long.
    pub above: u32,
    /// A token of the prompt.
    pub input: Rate,
    /// A token of the completion.
    pub output: Rate,
    /// A token of the prompt that was cached; as any other if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Rate>,
}

impl Price {
    /// Of what costs nothing.
    #[must_use]
    pub fn free() -> Self {
        Self { input: Some(Rate::FREE), output: Some(Rate::FREE), ..Self::default() }
    }

    /// What a run costs that took so many tokens; none if the price of some of them isn't known.
    ///
    /// Cached tokens are a part of the prompt's, and those of thoughts a part of the completion's.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> Option<Cost> {
        let long = self.long.filter(|long| usage.prompt_tokens > long.above);
        let (input, output, cached) = match long {
            Some(long) => (Some(long.input), Some(long.output), long.cached_input),
            None => (self.input, self.output, self.cached_input),
        };
        if input.is_none() && output.is_none() {
            return None;
        }
        let cached_tokens = usage.cached_tokens.min(usage.prompt_tokens);
        let parts = [
            (cached.or(input), cached_tokens),
            (input, usage.prompt_tokens - cached_tokens),
            (output, usage.completion_tokens),
        ];
        parts
            .into_iter()
            .map(|(rate, tokens)| if tokens == 0 { Some(Cost::ZERO) } else { Some(rate?.of(tokens)) })
            .sum()
    }

    /// What so many images cost; none if their price isn't known.
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
        Usage { prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens: completion_tokens / 2 }
    }

    fn told(price: &Price, usage: &Usage) -> Option<String> {
        price.of(usage).map(|cost| cost.to_string())
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let all = price(json!({"input": 1.25, "output": 10, "cached_input": 0.125}));
        // 400 of 1000 are cached: 600 × 1.25 + 400 × 0.125 + 100 × 10 are 1800 millionths.
        assert_eq!(told(&all, &usage(1000, 400, 100)).as_deref(), Some("0.0018"));
        let plain = price(json!({"input": 1.25, "output": 10}));
        assert_eq!(told(&plain, &usage(1000, 400, 100)).as_deref(), Some("0.00225"));
        let embeds = price(json!({"input": 0.02}));
        assert_eq!(told(&embeds, &usage(50, 0, 0)).as_deref(), Some("0.000001"));
        // What isn't known is never nothing.
        assert_eq!(told(&embeds, &usage(50, 0, 1)), None);
        assert_eq!(told(&price(json!({"image": 0.04})), &usage(50, 0, 0)), None);
        assert_eq!(
            price(json!({"image": 0.04})).of_images(3).map(|cost| cost.to_string()).as_deref(),
            Some("0.12")
        );
        assert_eq!(told(&Price::free(), &usage(50, 0, 7)).as_deref(), Some("0"));
    }

    #[test]
    fn a_long_prompt_has_a_price_of_its_own() {
        let long = price(json!({
            "input": 1.25, "output": 10, "cached_input": 0.125,
            "long": {"above": 200_000, "input": 2.5, "output": 15},
        }));
        assert_eq!(told(&long, &usage(200_000, 0, 0)).as_deref(), Some("0.25"));
        assert_eq!(told(&long, &usage(200_001, 1, 1)).as_deref(), Some("0.5000175"));
    }

    fn rate() -> impl Strategy<Value = Rate> {
        (0_u64..=1_000_000_000_000).prop_map(|millionths| {
            format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000).parse().unwrap()
        })
    }

    proptest! {
        /// Whatever the prices, no number of tokens overflows, and one token more never costs less.
        #[test]
        fn sums_neither_overflow_nor_fall(
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
