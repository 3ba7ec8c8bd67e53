//! The file of a batch, as far as the command reads it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use anyhow::{Context as _, anyhow};
use hearth_domain::BatchEndpoint;
use serde_json::Value;

/// Longest first line that is read.
const LINE_MAX_BYTES: u64 = 32 << 20;

/// The route of the first request of a file.
///
/// # Errors
/// If the file can't be read, or its first request names no route.
pub(super) fn endpoint_of(path: &Path) -> anyhow::Result<BatchEndpoint> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("{shown} can't be read"))?;
    let mut lines = BufReader::new(file.take(LINE_MAX_BYTES));
    let mut line = String::new();
    while line.trim().is_empty() {
        line.clear();
        let read = lines.read_line(&mut line).with_context(|| format!("{shown} can't be read as text"))?;
        if read == 0 {
            return Err(anyhow!("{shown} has no requests; write one on each line"));
        }
    }
    let request: Value = serde_json::from_str(line.trim_start_matches('\u{feff}'))
        .with_context(|| format!("the first line of {shown} isn't valid JSON"))?;
    let url = request["url"].as_str().with_context(|| {
        format!("the first line of {shown} has no url; write one, such as /v1/chat/completions, or send --endpoint")
    })?;
    url.parse().map_err(|error| anyhow!("url of the first line of {shown} {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<BatchEndpoint, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, text).unwrap();
        endpoint_of(&path).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn route_is_that_of_the_first_line() {
        assert_eq!(of("\n{\"url\": \"/v1/embeddings\"}\nnot json"), Ok(BatchEndpoint::Embeddings));
        assert_eq!(of("\u{feff}{\"url\": \"/v1/messages\"}"), Ok(BatchEndpoint::Messages));
        for (text, problem) in [
            ("", "has no requests"),
            ("\n \n", "has no requests"),
            ("{", "isn't valid JSON"),
            ("{}", "has no url"),
            ("{\"url\": \"/v1/images\"}", "must be one of"),
        ] {
            assert!(of(text).unwrap_err().contains(problem), "{text}");
        }
    }
}
