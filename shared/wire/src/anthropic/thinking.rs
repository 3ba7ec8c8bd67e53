//! Reasoning in a message: `thinking` blocks if the client asked for them.
//!
//! If it didn't, the message has no text of the reasoning. The parts that the vendor needs in the next turn are in
//! `redacted_thinking` blocks, which clients send back and don't show.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hearth_domain::Reasoning;

use super::{MessagesAnswerBlock, MessagesThinking};

/// Prefix of `data` that is a whole reasoning block, as JSON in base64.
const PACKED_PREFIX: &str = "hearth:";

/// Form of the reasoning in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ThinkingDisplay {
    /// `thinking` blocks with text and signature: the client asked for `enabled` or `adaptive`.
    Full,
    /// `thinking` blocks with the signature alone: the client asked for `display: "omitted"`.
    SignatureOnly,
    /// `redacted_thinking` blocks, only before tool calls: the client didn't ask.
    Redacted,
}

impl ThinkingDisplay {
    /// The display of a request with this `thinking`.
    pub(super) fn of(thinking: Option<&MessagesThinking>) -> Self {
        match thinking {
            Some(thinking) if thinking.kind == "disabled" => Self::Redacted,
            Some(thinking) if thinking.other.get("display").is_some_and(|display| display == "omitted") => {
                Self::SignatureOnly
            }
            Some(_) => Self::Full,
            None => Self::Redacted,
        }
    }
}

/// Converts a reasoning block for a client that asked for reasoning: a readable block, then an encrypted one. A block of
/// an Anthropic model is one of the two.
pub(super) fn thinking_blocks(block: &Reasoning, with_text: bool) -> Vec<MessagesAnswerBlock> {
    let thinking = if with_text { block.text.clone() } else { String::new() };
    let signature = block.signature.clone().unwrap_or_default();
    let has_content = !thinking.is_empty() || !signature.is_empty();
    let readable = has_content.then_some(MessagesAnswerBlock::Thinking { thinking, signature });
    let encrypted = block.encrypted.clone().map(|data| MessagesAnswerBlock::RedactedThinking { data });
    readable.into_iter().chain(encrypted).collect()
}

/// Packs a reasoning block into a `redacted_thinking` block. Some vendors neither sign nor encrypt their reasoning, and
/// still need the reasoning before a call in the next turn.
pub(super) fn redacted_block(block: &Reasoning) -> Option<MessagesAnswerBlock> {
    let signature = block.signature.as_ref().filter(|signature| !signature.is_empty());
    let data = match &block.encrypted {
        None if signature.is_none() && block.text.is_empty() => return None,
        Some(encrypted) if signature.is_none() && block.text.is_empty() => encrypted.clone(),
        // A signature is valid only with the text that it signs.
        _ => format!("{PACKED_PREFIX}{}", BASE64.encode(serde_json::to_vec(block).ok()?)),
    };
    Some(MessagesAnswerBlock::RedactedThinking { data })
}

/// Unpacks the `data` of a `redacted_thinking` block.
pub(super) fn unpack_redacted(data: String) -> Reasoning {
    let packed = data.strip_prefix(PACKED_PREFIX).and_then(|packed| BASE64.decode(packed).ok());
    let block = packed.and_then(|json| serde_json::from_slice(&json).ok());
    block.unwrap_or_else(|| Reasoning { encrypted: Some(data), ..Reasoning::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn display(thinking: serde_json::Value) -> ThinkingDisplay {
        let thinking: Option<MessagesThinking> = serde_json::from_value(thinking).unwrap();
        ThinkingDisplay::of(thinking.as_ref())
    }

    #[test]
    fn thinking_option_selects_the_display() {
        assert_eq!(display(json!(null)), ThinkingDisplay::Redacted);
        assert_eq!(display(json!({"type": "disabled"})), ThinkingDisplay::Redacted);
        assert_eq!(display(json!({"type": "enabled", "budget_tokens": 1024})), ThinkingDisplay::Full);
        assert_eq!(display(json!({"type": "adaptive"})), ThinkingDisplay::Full);
        assert_eq!(
            display(json!({"type": "adaptive", "display": "omitted"})),
            ThinkingDisplay::SignatureOnly
        );
    }

    #[test]
    fn redacted_reasoning_survives_a_round_trip() {
        let signed = Reasoning { text: "Hm.".into(), signature: Some("sig".into()), encrypted: None };
        let encrypted = Reasoning { encrypted: Some("EncR".into()), ..Reasoning::default() };
        let both = Reasoning { encrypted: Some("EncS".into()), ..signed.clone() };
        let plain = Reasoning { text: "Hm.".into(), ..Reasoning::default() };
        for block in [signed, encrypted, both, plain] {
            let Some(MessagesAnswerBlock::RedactedThinking { data }) = redacted_block(&block) else {
                panic!("{block:?} has a redacted block")
            };
            assert!(!data.contains("Hm."));
            assert_eq!(unpack_redacted(data), block);
        }
        assert_eq!(redacted_block(&Reasoning::default()), None);
    }

    #[test]
    fn redacted_thinking_of_anthropic_stays_as_it_is() {
        for data in ["EncR", "hearth:no base64!", "hearth:bm8ganNvbg=="] {
            assert_eq!(
                unpack_redacted(data.into()),
                Reasoning { encrypted: Some(data.into()), ..Reasoning::default() }
            );
        }
    }
}
