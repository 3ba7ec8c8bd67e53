//! The bytes in the data folder after an orderly end.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hearth_tests::{Home, eventually};
use serde_json::{Value, json};

/// Number of requests whose records are deleted: enough for SQLite to split and to merge pages.
const REQUESTS: usize = 40;
/// The word in every prompt.
const WORD: &str = "plantedprompt";

/// The files below `folder` that contain `word`.
fn files_with(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, word));
        } else if fs::read(&path).is_ok_and(|bytes| contains(&bytes, word.as_bytes())) {
            found.push(path);
        }
    }
    found
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[tokio::test]
async fn deleted_prompts_leave_no_bytes_after_an_orderly_end() {
    let home = Home::start().await;
    let client = home.client();
    // Paths by which the requests are deleted: those of the native dialect, and of OpenAI's responses.
    let mut paths = Vec::new();
    for number in 0..REQUESTS {
        // Short prompts share a page, and long ones have pages of their own.
        let prompt = format!("{WORD} {}", "and ".repeat(number * 20));
        let is_response = number % 4 > 1;
        let (path, body) = match is_response {
            false => (
                "/v1/generate",
                json!({"input": {"prompt": prompt}, "parameters": {"max_tokens": 2}, "store": true}),
            ),
            true => (
                "/v1/responses",
                json!({"model": home.model, "input": prompt, "max_output_tokens": 16, "store": true}),
            ),
        };
        let answer = client.post(path, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = |field: &str| answer.json()[field].as_str().unwrap().to_owned();
        paths.push(match is_response {
            false => format!("/v1/requests/{}/record", id("request_id")),
            true => format!("/v1/responses/{}", id("id")),
        });
    }
    let recorded = async || {
        let list = client.get("/v1/requests?limit=100").await.json();
        (list["requests"].as_array().map_or(0, Vec::len) == REQUESTS).then_some(())
    };
    eventually("the records", recorded).await;
    assert!(!files_with(&home.data(), WORD).is_empty(), "no prompt is stored");
    // Every second one first, so that the others are moved meanwhile.
    let (even, odd): (Vec<_>, Vec<_>) = paths.iter().enumerate().partition(|(number, _)| number % 2 == 0);
    for (_, path) in even.into_iter().chain(odd) {
        let answer = client.delete(path).await;
        assert_eq!(answer.json()["deleted"], Value::Bool(true), "{answer:?}");
    }
    let data = home.data();
    let _folder = home.stop().await;
    assert_eq!(fs::metadata(data.join("store.db-wal")).map_or(0, |log| log.len()), 0);
    assert_eq!(files_with(&data, WORD), Vec::<PathBuf>::new());
}
