//! The fields of a chunk, read leniently.

use std::fmt;

use hearth_domain::{Logprob, TokenLogprob, Usage};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use crate::lenient;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk {
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) choices: Vec<ChunkChoice>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) usage: Option<ChunkUsage>,
    pub(super) error: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChunkChoice {
    #[serde(deserialize_with = "lenient::count")]
    pub(super) index: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) delta: Option<Delta>,
    /// The whole message of a server that doesn't stream.
    #[serde(deserialize_with = "lenient::object")]
    pub(super) message: Option<Delta>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) finish_reason: Option<String>,
    /// vLLM's field for the stop text that ended the answer; a number if a stop token did.
    #[serde(deserialize_with = "lenient::text")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) logprobs: Option<Logprobs>,
    /// OpenRouter's field for an error in the middle of an answer.
    pub(super) error: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta {
    pub(super) content: Content,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) refusal: Option<String>,
    /// Thoughts, as DeepSeek, vLLM, xAI and others name them.
    pub(super) reasoning_content: Content,
    /// Thoughts, as OpenRouter, Groq and Ollama name them.
    pub(super) reasoning: Content,
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) tool_calls: Vec<CallDelta>,
    /// The older form of a tool call, without an id; some servers still send it.
    #[serde(deserialize_with = "lenient::object")]
    pub(super) function_call: Option<FunctionDelta>,
    /// Citations of a model that searches.
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) annotations: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallDelta {
    #[serde(deserialize_with = "lenient::count")]
    pub(super) index: Option<u32>,
    #[serde(deserialize_with = "lenient::id")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) function: Option<FunctionDelta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionDelta {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) name: Option<String>,
    /// A JSON text; some servers send the object itself.
    #[serde(deserialize_with = "lenient::json_text")]
    pub(super) arguments: Option<String>,
}

/// A text, or a list of parts: Mistral's reasoning models send texts and thoughts in one list.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) text: String,
    pub(super) thoughts: String,
}

impl Content {
    /// Returns thoughts and text together.
    pub(super) fn all(self) -> String {
        if self.thoughts.is_empty() { self.text } else { self.thoughts + &self.text }
    }

    fn add(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.thoughts.push_str(&other.thoughts);
    }
}

/// A part of a list. Other parts than texts and thoughts, such as references, are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    text: Content,
    thinking: Content,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Content, E> {
        Ok(Content { text, thoughts: String::new() })
    }

    fn visit_unit<E: Error>(self) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content, A::Error> {
        let mut content = Content::default();
        while let Some(part) = parts.next_element()? {
            content.add(&part);
        }
        Ok(content)
    }

    fn visit_map<A: MapAccess<'de>>(self, part: A) -> Result<Content, A::Error> {
        let Part { text, thinking } = Part::deserialize(MapAccessDeserializer::new(part))?;
        let mut content = Content { text: String::new(), thoughts: thinking.all() };
        content.add(&text);
        Ok(content)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Logprobs {
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) content: Vec<LogprobEntry>,
}

/// A token with its log-probability; the responses API has the same form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct LogprobEntry {
    #[serde(deserialize_with = "lenient::text")]
    token: Option<String>,
    #[serde(deserialize_with = "lenient::number")]
    logprob: Option<f32>,
    #[serde(deserialize_with = "lenient::bytes")]
    bytes: Option<Vec<u8>>,
    #[serde(deserialize_with = "lenient::objects")]
    top_logprobs: Vec<LogprobEntry>,
}

impl LogprobEntry {
    /// Converts the token; `None` if its number is missing.
    pub(in crate::dialect) fn into_token(self) -> Option<TokenLogprob> {
        let top = self.top_logprobs.iter().filter_map(Self::to_logprob).collect();
        Some(TokenLogprob { token: self.to_logprob()?, top })
    }

    fn to_logprob(&self) -> Option<Logprob> {
        let token = || self.token.as_ref().map(|token| token.as_bytes().to_vec());
        Some(Logprob { bytes: self.bytes.clone().or_else(token)?, logprob: self.logprob? })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChunkUsage {
    #[serde(deserialize_with = "lenient::count")]
    prompt_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    completion_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(deserialize_with = "lenient::object")]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's field for cached tokens.
    #[serde(deserialize_with = "lenient::count")]
    prompt_cache_hit_tokens: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "lenient::count")]
    cached_tokens: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "lenient::count")]
    reasoning_tokens: Option<u32>,
}

impl From<ChunkUsage> for Usage {
    fn from(usage: ChunkUsage) -> Self {
        let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens);
        let reasoning = usage.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        Self {
            prompt_tokens: usage.prompt_tokens.unwrap_or_default(),
            completion_tokens: usage.completion_tokens.unwrap_or_default(),
            cache_write_tokens: 0,
            cached_tokens: cached.or(usage.prompt_cache_hit_tokens).unwrap_or_default(),
            reasoning_tokens: reasoning.unwrap_or_default(),
        }
    }
}
