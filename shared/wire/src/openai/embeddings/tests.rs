use hearth_domain::{FinishReason, Task, Usage};
use serde_json::{Value, json};

use super::*;
use crate::{ErrorCode, RunEventBody};

fn task(body: Value) -> Result<EmbeddingTask, ApiError> {
    let generation = serde_json::from_value::<EmbeddingRequest>(body).unwrap().into_generation()?;
    match generation.task {
        Task::Embedding(task) => Ok(task),
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> EmbeddingInput {
    EmbeddingInput::Text(text.into())
}

#[test]
fn every_form_of_input_is_accepted() {
    let cases = [
        (json!("a"), vec![text("a")]),
        (json!(["a", "b"]), vec![text("a"), text("b")]),
        (json!([1, 2]), vec![EmbeddingInput::Tokens(vec![1, 2])]),
        (json!([[1], [2, 3]]), vec![EmbeddingInput::Tokens(vec![1]), EmbeddingInput::Tokens(vec![2, 3])]),
    ];
    for (input, expected) in cases {
        let request: EmbeddingRequest =
            serde_json::from_value(json!({"model": "m", "input": input})).unwrap();
        assert_eq!(request.input.count(), expected.len(), "{input}");
        assert_eq!(task(json!({"model": "m", "input": input, "user": "u"})).unwrap().inputs, expected);
    }
    assert_eq!(task(json!({"model": "m", "input": "a", "dimensions": 8})).unwrap().dimensions, Some(8));
}

#[test]
fn invalid_input_is_refused_with_the_fields_name() {
    let cases = [
        (json!({"input": ""}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": ["a", ""]}), "input[1]"),
        (json!({"input": [[1], []]}), "input[1]"),
        (json!({"input": vec!["a"; 2049]}), "input"),
        (json!({"input": "a", "dimensions": 0}), "dimensions"),
    ];
    for (mut body, param) in cases {
        body["model"] = json!("m");
        assert_eq!(task(body).unwrap_err().param.as_deref(), Some(param));
    }
    for wrong in [json!(5), json!(["a", 1]), json!([-1]), json!({"text": "a"})] {
        let parsed = serde_json::from_value::<EmbeddingRequest>(json!({"model": "m", "input": wrong}));
        assert!(parsed.unwrap_err().to_string().contains("expected a string, a list of strings"));
    }
}

fn events(vectors: &[u32]) -> Vec<RunEvent> {
    let vectors = vectors.iter().map(|&index| RunEventBody::Embedding { index, vector: vec![0.5, -1.0] });
    let usage = Usage { prompt_tokens: 3, completion_tokens: 0, cached_tokens: 0, ..Usage::default() };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    let bodies = vectors.chain([RunEventBody::Usage { usage }, done]);
    (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect()
}

#[test]
fn vectors_are_sorted_and_encoded_as_numbers_or_bytes() {
    let list = |format| json!(EmbeddingList::from_events(&events(&[1, 0]), 2, format).unwrap());
    let numbers = list(EncodingFormat::Float);
    assert_eq!(numbers["object"], "list");
    assert_eq!(numbers["data"][0], json!({"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}));
    assert_eq!(numbers["data"][1]["index"], 1);
    assert_eq!(numbers["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    assert_eq!(list(EncodingFormat::Base64)["data"][0]["embedding"], "AAAAPwAAgL8=");
}

#[test]
fn missing_vector_is_a_provider_error() {
    for vectors in [&[][..], &[0], &[0, 2], &[0, 1, 1]] {
        let list = EmbeddingList::from_events(&events(vectors), 2, EncodingFormat::Float);
        assert_eq!(list.unwrap_err().code, ErrorCode::ProviderError, "{vectors:?}");
    }
}
