//! Vectors by OpenAI's API (<https://platform.openai.com/docs/api-reference/embeddings>) and Google's
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

use super::job::{MediaAnswer, MediaRequest, MediaResult, RequestBody};
use crate::{dialect::gemini, json_document, lenient, provider::Call};

/// Maximum number of texts in one request to Google.
const GOOGLE_BATCH_MAX_COUNT: usize = 100;

/// Builds the request of OpenAI's API. `length_field`: the vendor's name of the field for the vector's length.
pub(super) fn openai(
    base_url: &str,
    call: &Call,
    task: &EmbeddingTask,
    length_field: &str,
) -> Vec<MediaRequest> {
    let extra = &call.generation.extra;
    let is_same_dialect = extra.dialect == ClientDialect::OpenAiEmbeddings;
    let mut body = if is_same_dialect { extra.fields.clone() } else { serde_json::Map::new() };
    body.insert("model".to_owned(), json!(call.model.as_str()));
    let input = task.inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => json!(text),
        EmbeddingInput::Tokens(tokens) => json!(tokens),
    });
    body.insert("input".to_owned(), input.collect());
    if let Some(dimensions) = task.dimensions {
        body.insert(length_field.to_owned(), json!(dimensions));
    }
    vec![MediaRequest {
        url: format!("{base_url}/embeddings"),
        body: RequestBody::Json(Value::Object(body)),
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

/// A vector; some servers send it in base64 unrequested.
#[derive(Debug)]
struct Numbers(Vec<f32>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenAiUsage {
    #[serde(deserialize_with = "lenient::count")]
    prompt_tokens: Option<u32>,
}

pub(super) fn read_openai(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let list: OpenAiList = json_document::parse(&answer.bytes)?;
    json_document::check(&answer.bytes, &list.error, list.data.is_empty())?;
    let mut vectors = list.data;
    if has_valid_indexes(&vectors) {
        vectors.sort_by_key(|vector| vector.index);
    }
    let usage = list.usage.and_then(|usage| usage.prompt_tokens);
    let usage = usage.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() });
    let vectors = vectors.into_iter().map(|vector| vector.embedding.0).collect();
    Ok(MediaResult { vectors, usage, ..MediaResult::default() })
}

/// Returns whether each index occurs once. Some servers leave them out, or send 0 for all: then the order counts.
fn has_valid_indexes(vectors: &[OpenAiVector]) -> bool {
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
            return Err(E::custom("the size of a vector isn't a multiple of 4 bytes"));
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

/// Builds the requests of Google's API.
pub(super) fn google(
    base_url: &str,
    call: &Call,
    task: &EmbeddingTask,
) -> Result<Vec<MediaRequest>, ApiError> {
    let model = call.model.as_str();
    let name = gemini::full_name(model);
    let extra = &call.generation.extra;
    let is_same_dialect = extra.dialect == ClientDialect::Gemini;
    let request = |input: &EmbeddingInput| {
        let mut request = json!({"model": name, "content": {"parts": [{"text": text(input)?}]}});
        if let Some(dimensions) = task.dimensions {
            request["outputDimensionality"] = json!(dimensions);
        }
        for (name, value) in extra.fields.iter().filter(|_| is_same_dialect) {
            request[name.as_str()] = value.clone();
        }
        Ok(request)
    };
    let requests = task.inputs.iter().map(request).collect::<Result<Vec<Value>, ApiError>>()?;
    let url = format!("{base_url}{}", gemini::path_to(model, "batchEmbedContents")?);
    let batch_request = |batch: &[Value]| MediaRequest {
        url: url.clone(),
        body: RequestBody::Json(json!({"requests": batch})),
        accept: "application/json",
    };
    Ok(requests.chunks(GOOGLE_BATCH_MAX_COUNT).map(batch_request).collect())
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

pub(super) fn read_google(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let list: GoogleAnswer = json_document::parse(&answer.bytes)?;
    json_document::check(&answer.bytes, &list.error, list.embeddings.is_empty())?;
    let tokens = list.usage_metadata.and_then(|usage| usage.prompt_token_count);
    let usage = tokens.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() });
    let vectors = list.embeddings.into_iter().map(|vector| vector.values).collect();
    Ok(MediaResult { vectors, usage, ..MediaResult::default() })
}

/// Returns the text of an input, for a provider that doesn't accept tokens.
pub(super) fn text(input: &EmbeddingInput) -> Result<&str, ApiError> {
    match input {
        EmbeddingInput::Text(text) => Ok(text),
        EmbeddingInput::Tokens(_) => {
            Err(ApiError::invalid("input", "this provider embeds texts, not tokens"))
        }
    }
}
