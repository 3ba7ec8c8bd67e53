//! Signed and encrypted reasoning in OpenRouter's format for chat completions
//! (<https://openrouter.ai/docs/use-cases/reasoning-tokens>), which the native and Ollama's dialects use too.

use hearth_domain::Reasoning;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const TEXT: &str = "reasoning.text";
const ENCRYPTED: &str = "reasoning.encrypted";

/// A reasoning block, or its text or encrypted part. The client sends it back unchanged with the message that contained
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasoningDetail {
    /// `reasoning.text`, `reasoning.summary` or `reasoning.encrypted`.
    #[serde(rename = "type")]
    #[schema(example = "reasoning.text")]
    pub kind: String,
    /// Index of its block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Of `reasoning.text`: the reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of `reasoning.summary`: the summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Of `reasoning.text`: the vendor's signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Of `reasoning.encrypted`: the encrypted reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl ReasoningDetail {
    /// Converts the block number `index` to a text detail, an encrypted one, or both.
    pub(crate) fn of(index: u32, block: &Reasoning) -> Vec<Self> {
        let detail = |kind: &str| Self { kind: kind.to_owned(), index: Some(index), ..Self::default() };
        let readable = (!block.text.is_empty() || block.signature.is_some()).then(|| Self {
            text: Some(block.text.clone()),
            signature: block.signature.clone(),
            ..detail(TEXT)
        });
        let encrypted = block.encrypted.clone().map(|data| Self { data: Some(data), ..detail(ENCRYPTED) });
        readable.into_iter().chain(encrypted).collect()
    }
}

/// Converts an answer's reasoning blocks. `None` if no block is signed or encrypted: their text is in another field.
pub(crate) fn reasoning_details(blocks: &[Reasoning]) -> Option<Vec<ReasoningDetail>> {
    let is_protected = blocks.iter().any(|block| block.signature.is_some() || block.encrypted.is_some());
    is_protected
        .then(|| (0..).zip(blocks).flat_map(|(index, block)| ReasoningDetail::of(index, block)).collect())
}

/// Joins details to reasoning blocks. Details with the same index belong to one block.
pub(crate) fn reasoning_blocks(details: Vec<ReasoningDetail>) -> Vec<Reasoning> {
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
    fn protected_reasoning_survives_conversion() {
        let cases = [
            vec![block("Hm.", Some("s"), None), block("", None, Some("x"))],
            vec![block("Hm.", None, Some("x"))],
            vec![block("Hm.", None, None), block("", Some("s"), Some("x"))],
        ];
        for case in cases {
            assert_eq!(reasoning_blocks(reasoning_details(&case).unwrap()), case);
        }
        assert_eq!(reasoning_details(&[block("Hm.", None, None)]), None);
    }

    #[test]
    fn streamed_pieces_are_joined_by_index() {
        let text =
            |text: &str| ReasoningDetail { index: Some(0), text: Some(text.into()), ..Default::default() };
        let signature = ReasoningDetail { index: Some(0), signature: Some("s".into()), ..Default::default() };
        assert_eq!(reasoning_blocks(vec![text("H"), text("m."), signature]), [block("Hm.", Some("s"), None)]);
        let apart = ReasoningDetail { summary: Some("a".into()), ..Default::default() };
        assert_eq!(reasoning_blocks(vec![apart.clone(), apart]).len(), 2);
    }
}
