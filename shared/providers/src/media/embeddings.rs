//! Vectors, by OpenAI's API (<https://platform.openai.com/docs/api-reference/embeddings>) and by Google's
//! (<https://ai.google.dev/api/embeddings>).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{ClientDialect, EmbeddingInput, EmbeddingTask, Usage};
use hearth_wire::ApiError;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::{Value, json};

use super::{Answer, Ask, Body, Made, document};
use crate::{Call, dialect::gemini, lenient};

/// How many texts Google takes at once.
const GOOGLE_BATCH: usize = 100;

pub(super) fn openai(base: &str, call: &Call, task: &EmbeddingTask, length: &str) -> Vec<Ask> {
    let extra = &call.generation.extra;
    let same = extra.dialect == ClientDialect::OpenAiEmbeddings;
    let mut body = if same { extra.fields.clone() } else { serde_json::Map::new() };
    body.insert("model".to_owned(), json!(call.model.as_str()));
    let input = task.inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => json!(text),
        EmbeddingInput::Tokens(tokens) => json!(tokens),
    });
    body.insert("input".to_owned(), input.collect());
    if let Some(dimensions) = task.dimensions {
        body.insert(length.to_owned(), json!(dimensions));
    }
    vec![Ask {
        url: format!("{base}/embeddings"),
        body: Body::Json(Value::Object(body)),
        accept: "application/json",
    }]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenAiList {
    #[serde(deserialize_with = "lenient::objects")]
    data: Vec<OpenAiVector>,
    #[serde(deserialize_with = "lenient::object")]
    usage: Option<OpenAiUsage>,
    error: Value,
}

#[derive(Debug, Deserialize)]
struct OpenAiVector {
    #[serde(default, deserialize_with = "lenient::count")]
    index: Option<u32>,
    embedding: Numbers,
}

/// A vector; some servers send it in base64 unasked.
#[derive(Debug)]
struct Numbers(Vec<f32>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenAiUsage {
    #[serde(deserialize_with = "lenient::count")]
    prompt_tokens: Option<u32>,
}

pub(super) fn read_openai(answer: &Answer) -> Result<Made, ApiError> {
    let list: OpenAiList = document::parse(answer)?;
    document::check(answer, &list.error, list.data.is_empty())?;
    let mut vectors = list.data;
    if are_places(&vectors) {
        vectors.sort_by_key(|vector| vector.index);
    }
    let usage = list.usage.and_then(|usage| usage.prompt_tokens);
    let usage = usage.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() });
    let vectors = vectors.into_iter().map(|vector| vector.embedding.0).collect();
    Ok(Made { vectors, usage, ..Made::default() })
}

/// Whether the indexes are each place once. Some servers leave them out, or send 0 for all: the order counts then.
fn are_places(vectors: &[OpenAiVector]) -> bool {
    let mut indexes: Vec<_> = vectors.iter().filter_map(|vector| vector.index).collect();
    indexes.sort_unstable();
    indexes.len() == vectors.len() && (0..).zip(&indexes).all(|(place, index)| place == *index)
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumbersVisitor).map(Self)
    }
}

struct NumbersVisitor;

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or their bytes in base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<f32>, E> {
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        let (numbers, []) = bytes.as_chunks() else {
            return Err(E::custom("the bytes of a vector are no whole count of numbers"));
        };
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<f32>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = list.next_element()? {
            numbers.push(number);
        }
        Ok(numbers)
    }
}

pub(super) fn google(base: &str, call: &Call, task: &EmbeddingTask) -> Result<Vec<Ask>, ApiError> {
    let model = call.model.as_str();
    let name = gemini::full_name(model);
    let extra = &call.generation.extra;
    let is_same = extra.dialect == ClientDialect::Gemini;
    let request = |input: &EmbeddingInput| {
        let mut request = json!({"model": name, "content": {"parts": [{"text": text(input)?}]}});
        if let Some(dimensions) = task.dimensions {
            request["outputDimensionality"] = json!(dimensions);
        }
        for (name, value) in extra.fields.iter().filter(|_| is_same) {
            request[name.as_str()] = value.clone();
        }
        Ok(request)
    };
    let requests = task.inputs.iter().map(request).collect::<Result<Vec<Value>, ApiError>>()?;
    let url = format!("{base}{}", gemini::path_to(model, "batchEmbedContents")?);
    let ask = |batch: &[Value]| Ask {
        url: url.clone(),
        body: Body::Json(json!({"requests": batch})),
        accept: "application/json",
    };
    Ok(requests.chunks(GOOGLE_BATCH).map(ask).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GoogleAnswer {
    #[serde(deserialize_with = "lenient::objects")]
    embeddings: Vec<GoogleVector>,
    #[serde(deserialize_with = "lenient::object")]
    usage_metadata: Option<GoogleUsage>,
    error: Value,
}

#[derive(Debug, Deserialize)]
struct GoogleVector {
    values: Vec<f32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GoogleUsage {
    #[serde(deserialize_with = "lenient::count")]
    prompt_token_count: Option<u32>,
}

pub(super) fn read_google(answer: &Answer) -> Result<Made, ApiError> {
    let list: GoogleAnswer = document::parse(answer)?;
    document::check(answer, &list.error, list.embeddings.is_empty())?;
    let tokens = list.usage_metadata.and_then(|usage| usage.prompt_token_count);
    let usage = tokens.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() });
    let vectors = list.embeddings.into_iter().map(|vector| vector.values).collect();
    Ok(Made { vectors, usage, ..Made::default() })
}

/// A text, where the provider takes no tokens.
pub(super) fn text(input: &EmbeddingInput) -> Result<&str, ApiError> {
    match input {
        EmbeddingInput::Text(text) => Ok(text),
        EmbeddingInput::Tokens(_) => {
            Err(ApiError::invalid("input", "this provider embeds texts, and takes no tokens"))
        }
    }
}
