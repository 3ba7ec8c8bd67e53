//! Vectors, by OpenAI's API (<https://platform.openai.com/docs/api-reference/embeddings>) and by Google's
//! (<https://ai.google.dev/api/embeddings>).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{ClientDialect, EmbeddingInput, EmbeddingTask, Usage};
use hearth_wire::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Ask, Body, Made, json};
use crate::{
    Call,
    dialect::{gemini, unreadable},
};

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

#[derive(Debug, Deserialize)]
struct OpenAiList {
    data: Vec<OpenAiVector>,
    usage: Option<OpenAiUsage>,
}

#[derive(Debug, Deserialize)]
struct OpenAiVector {
    index: Option<usize>,
    embedding: Numbers,
}

/// Some servers answer in base64 unasked.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Numbers {
    Plain(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Deserialize)]
struct OpenAiUsage {
    #[serde(default)]
    prompt_tokens: u32,
}

pub(super) fn read_openai(answer: &Answer) -> Result<Made, ApiError> {
    let list: OpenAiList = serde_json::from_slice(&answer.bytes).map_err(unreadable)?;
    let mut vectors = Vec::with_capacity(list.data.len());
    for (place, vector) in list.data.into_iter().enumerate() {
        vectors.push((vector.index.unwrap_or(place), vector.embedding.into_vector()?));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let usage = list.usage.map(|usage| Usage { prompt_tokens: usage.prompt_tokens, ..Usage::default() });
    Ok(Made { vectors: vectors.into_iter().map(|(_, vector)| vector).collect(), usage, ..Made::default() })
}

impl Numbers {
    fn into_vector(self) -> Result<Vec<f32>, ApiError> {
        match self {
            Self::Plain(numbers) => Ok(numbers),
            Self::Base64(text) => {
                let bytes = STANDARD.decode(text).map_err(unreadable)?;
                let (numbers, _) = bytes.as_chunks();
                Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
        }
    }
}

pub(super) fn google(base: &str, model: &str, task: &EmbeddingTask) -> Result<Vec<Ask>, ApiError> {
    let name = gemini::full_name(model);
    let request = |input: &EmbeddingInput| {
        let mut request = json!({"model": name, "content": {"parts": [{"text": text(input)?}]}});
        if let Some(dimensions) = task.dimensions {
            request["outputDimensionality"] = json!(dimensions);
        }
        Ok(request)
    };
    let requests = task.inputs.iter().map(request).collect::<Result<Vec<Value>, ApiError>>()?;
    let ask = |batch: &[Value]| Ask {
        url: format!("{base}{}", gemini::path_to(model, "batchEmbedContents")),
        body: Body::Json(json!({"requests": batch})),
        accept: "application/json",
    };
    Ok(requests.chunks(GOOGLE_BATCH).map(ask).collect())
}

pub(super) fn read_google(answer: &Answer) -> Result<Made, ApiError> {
    #[derive(Deserialize)]
    struct Embedding {
        values: Vec<f32>,
    }
    let mut answer = json(answer)?;
    let vectors: Vec<Embedding> = serde_json::from_value(answer["embeddings"].take()).map_err(unreadable)?;
    let tokens =
        answer["usageMetadata"]["promptTokenCount"].as_u64().and_then(|count| u32::try_from(count).ok());
    let usage = tokens.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() });
    Ok(Made { vectors: vectors.into_iter().map(|vector| vector.values).collect(), usage, ..Made::default() })
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
