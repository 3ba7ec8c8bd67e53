//! How thoughts appear in a message: as blocks of `thinking` where the client asked for them. Elsewhere their text
//! stays out of the message, and what the maker of the thoughts has to be given back with the next turn travels in
//! blocks of `redacted_thinking`, which no client shows.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hearth_domain::Reasoning;

use super::{MessagesAnswerBlock, MessagesThinking};

/// The first bytes of `data` that is a whole block of thoughts: JSON in base64 follows.
const PACKED_PREFIX: &str = "hearth:";

/// How a message shows thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ThoughtsMode {
    /// Their text and their seal: `thinking` is `enabled` or `adaptive`.
    Shown,
    /// Their seal alone, in blocks of `thinking` without text: the client asked for `display: "omitted"`.
    Omitted,
    /// Only what a conversation with tool calls needs, as `redacted_thinking`: the client didn't ask.
    Sealed,
}

impl ThoughtsMode {
    /// The mode of a request with this `thinking`.
    pub(super) fn of(thinking: Option<&MessagesThinking>) -> Self {
        match thinking {
            Some(thinking) if thinking.kind == "disabled" => Self::Sealed,
            Some(thinking) if thinking.other.get("display").is_some_and(|display| display == "omitted") => {
                Self::Omitted
            }
            Some(_) => Self::Shown,
            None => Self::Sealed,
        }
    }
}

/// The blocks that tell `block` to a client that asked for thoughts: what can be read, and then what only the maker
/// can read. A block of this dialect has the one or the other.
pub(super) fn open_blocks(block: &Reasoning, with_text: bool) -> Vec<MessagesAnswerBlock> {
    let thinking = if with_text { block.text.clone() } else { String::new() };
    let signature = block.signature.clone().unwrap_or_default();
    let open = !thinking.is_empty() || !signature.is_empty();
    let open = open.then_some(MessagesAnswerBlock::Thinking { thinking, signature });
    let sealed = block.encrypted.clone().map(|data| MessagesAnswerBlock::RedactedThinking { data });
    open.into_iter().chain(sealed).collect()
}

/// The block that carries `block` back to its maker without showing it. Some makers seal nothing, and want the thoughts
/// before a call back all the same.
pub(super) fn sealed_block(block: &Reasoning) -> Option<MessagesAnswerBlock> {
    let signature = block.signature.as_ref().filter(|signature| !signature.is_empty());
    let data = match &block.encrypted {
        None if signature.is_none() && block.text.is_empty() => return None,
        Some(encrypted) if signature.is_none() && block.text.is_empty() => encrypted.clone(),
        // A signature is worth nothing without the thoughts under it.
        _ => format!("{PACKED_PREFIX}{}", BASE64.encode(serde_json::to_vec(block).ok()?)),
    };
    Some(MessagesAnswerBlock::RedactedThinking { data })
}

/// The thoughts in a block of `redacted_thinking`.
pub(super) fn unpack(data: String) -> Reasoning {
    let packed = data.strip_prefix(PACKED_PREFIX).and_then(|packed| BASE64.decode(packed).ok());
    let block = packed.and_then(|json| serde_json::from_slice(&json).ok());
    block.unwrap_or_else(|| Reasoning { encrypted: Some(data), ..Reasoning::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mode(thinking: serde_json::Value) -> ThoughtsMode {
        let thinking: Option<MessagesThinking> = serde_json::from_value(thinking).unwrap();
        ThoughtsMode::of(thinking.as_ref())
    }

    #[test]
    fn thinking_decides_how_thoughts_appear() {
        assert_eq!(mode(json!(null)), ThoughtsMode::Sealed);
        assert_eq!(mode(json!({"type": "disabled"})), ThoughtsMode::Sealed);
        assert_eq!(mode(json!({"type": "enabled", "budget_tokens": 1024})), ThoughtsMode::Shown);
        assert_eq!(mode(json!({"type": "adaptive"})), ThoughtsMode::Shown);
        assert_eq!(mode(json!({"type": "adaptive", "display": "omitted"})), ThoughtsMode::Omitted);
    }

    #[test]
    fn withheld_thoughts_survive_the_way_through_the_client() {
        let signed = Reasoning { text: "Hm.".into(), signature: Some("sig".into()), encrypted: None };
        let encrypted = Reasoning { encrypted: Some("EncR".into()), ..Reasoning::default() };
        let both = Reasoning { encrypted: Some("EncS".into()), ..signed.clone() };
        let plain = Reasoning { text: "Hm.".into(), ..Reasoning::default() };
        for block in [signed, encrypted, both, plain] {
            let Some(MessagesAnswerBlock::RedactedThinking { data }) = sealed_block(&block) else {
                panic!("{block:?} has to go back")
            };
            assert!(!data.contains("Hm."));
            assert_eq!(unpack(data), block);
        }
        assert_eq!(sealed_block(&Reasoning::default()), None);
    }

    #[test]
    fn foreign_redacted_thoughts_stay_as_they_are() {
        for data in ["EncR", "hearth:no base64!", "hearth:bm8ganNvbg=="] {
            assert_eq!(
                unpack(data.into()),
                Reasoning { encrypted: Some(data.into()), ..Reasoning::default() }
            );
        }
    }
}
