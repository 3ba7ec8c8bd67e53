//! Thoughts with what their maker wants back, as OpenRouter writes them in chat completions
//! (<https://openrouter.ai/docs/use-cases/reasoning-tokens>). The native dialect writes them the same.

use hearth_domain::Reasoning;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const TEXT: &str = "reasoning.text";
const ENCRYPTED: &str = "reasoning.encrypted";

/// A block of thoughts, or one side of it. Whoever is given them sends them back unchanged with the message
/// that they came with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasoningDetail {
    /// `reasoning.text`, `reasoning.summary` or `reasoning.encrypted`.
    #[serde(rename = "type")]
    #[schema(example = "reasoning.text")]
    pub kind: String,
    /// Which block it is of, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Of `reasoning.text`: the thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of `reasoning.summary`: the thoughts in short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Of `reasoning.text`: their maker's seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Of `reasoning.encrypted`: the thoughts as only their maker can read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl ReasoningDetail {
    /// The block number `index`: what can be read of it, and what can't.
    pub(crate) fn of(index: u32, block: &Reasoning) -> Vec<Self> {
        let detail = |kind: &str| Self { kind: kind.to_owned(), index: Some(index), ..Self::default() };
        let open = (!block.text.is_empty() || block.signature.is_some()).then(|| Self {
            text: Some(block.text.clone()),
            signature: block.signature.clone(),
            ..detail(TEXT)
        });
        let sealed = block.encrypted.clone().map(|data| Self { data: Some(data), ..detail(ENCRYPTED) });
        open.into_iter().chain(sealed).collect()
    }
}

/// All of an answer's thoughts; nothing if none of them has a seal: their text says it all then.
pub(crate) fn details(blocks: &[Reasoning]) -> Option<Vec<ReasoningDetail>> {
    let sealed = blocks.iter().any(|block| block.signature.is_some() || block.encrypted.is_some());
    sealed.then(|| (0..).zip(blocks).flat_map(|(index, block)| ReasoningDetail::of(index, block)).collect())
}

/// The blocks that details are of: those with the same number are sides of one.
pub(crate) fn blocks(details: Vec<ReasoningDetail>) -> Vec<Reasoning> {
    let mut blocks: Vec<(Option<u32>, Reasoning)> = Vec::new();
    for detail in details {
        let number = detail.index;
        let block = match blocks.iter().position(|(other, _)| number.is_some() && *other == number) {
            Some(place) => &mut blocks[place].1,
            None => &mut blocks.push_mut((number, Reasoning::default())).1,
        };
        block.text.push_str(&detail.text.or(detail.summary).unwrap_or_default());
        block.signature = detail.signature.or_else(|| block.signature.take());
        block.encrypted = detail.data.or_else(|| block.encrypted.take());
    }
    blocks.into_iter().map(|(_, block)| block).filter(|block| *block != Reasoning::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str, signature: Option<&str>, encrypted: Option<&str>) -> Reasoning {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Reasoning { text: text.to_owned(), signature: owned(signature), encrypted: owned(encrypted) }
    }

    #[test]
    fn sealed_thoughts_come_back_as_they_were() {
        let cases = [
            vec![block("Hm.", Some("s"), None), block("", None, Some("x"))],
            vec![block("Hm.", None, Some("x"))],
            vec![block("Hm.", None, None), block("", Some("s"), Some("x"))],
        ];
        for case in cases {
            assert_eq!(blocks(details(&case).unwrap()), case);
        }
        assert_eq!(details(&[block("Hm.", None, None)]), None);
    }

    #[test]
    fn pieces_of_a_stream_are_put_together_by_their_number() {
        let text =
            |text: &str| ReasoningDetail { index: Some(0), text: Some(text.into()), ..Default::default() };
        let seal = ReasoningDetail { index: Some(0), signature: Some("s".into()), ..Default::default() };
        assert_eq!(blocks(vec![text("H"), text("m."), seal]), [block("Hm.", Some("s"), None)]);
        let apart = ReasoningDetail { summary: Some("a".into()), ..Default::default() };
        assert_eq!(blocks(vec![apart.clone(), apart]).len(), 2);
    }
}
