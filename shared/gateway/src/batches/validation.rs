//! Checks every line of an input before the first request is carried out.

use std::collections::HashSet;

use hearth_domain::BatchEndpoint;
use hearth_store::{StoreError, batches::BatchFault};
use hearth_wire::{ApiError, openai::batches::BatchLine};
use sha2::{Digest as _, Sha256};

use super::input::{InputError, InputFile, LineReader};

/// Faults that are listed.
const FAULTS_MAX_COUNT: usize = 50;

/// The result of checking an input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CheckedInput {
    /// Number of its requests.
    pub(super) count: u64,
    /// The faults that keep it from being carried out.
    pub(super) faults: Vec<BatchFault>,
}

/// Checks an input of `max_requests` lines at most.
///
/// # Errors
/// If the file can't be read.
pub(super) async fn check(
    input: InputFile,
    endpoint: BatchEndpoint,
    max_requests: u64,
) -> Result<CheckedInput, StoreError> {
    let mut reader = LineReader::new(input, 0, 0);
    let mut checks = LineChecks { endpoint, ids: HashSet::new(), result: CheckedInput::default() };
    loop {
        match reader.next().await {
            Ok(Some(line)) => checks.add(line.place.line, &line.bytes),
            Ok(None) => break,
            Err(InputError::Store(error)) => return Err(error),
            Err(error) => {
                checks.result.faults.push(fault_of_input(&error));
                break;
            }
        }
        let result = &mut checks.result;
        if result.count > max_requests {
            let message = format!("the input has more than {max_requests} requests; send several batches");
            result.faults.push(fault("too_many_requests", message));
            break;
        }
        if result.faults.len() >= FAULTS_MAX_COUNT {
            let message = format!("only the first {FAULTS_MAX_COUNT} faults are listed");
            result.faults.push(fault("too_many_faults", message));
            break;
        }
    }
    let mut result = checks.result;
    if result.count == 0 && result.faults.is_empty() {
        result
            .faults
            .push(fault("empty_file", "the input has no requests; write one on each line".to_owned()));
    }
    Ok(result)
}

/// The fault of an input that can't be read on.
pub(super) fn fault_of_input(error: &InputError) -> BatchFault {
    let (code, line) = match error {
        InputError::TooLong { line, .. } => ("request_too_large", Some(line + 1)),
        InputError::Gone => ("input_file_deleted", None),
        InputError::Store(_) => ("input_file_unreadable", None),
    };
    BatchFault { line, ..fault(code, error.to_string()) }
}

/// A fault of a batch as a whole.
pub(super) fn fault(code: &str, message: String) -> BatchFault {
    BatchFault { code: code.to_owned(), message, line: None, param: None }
}

/// The checks of the lines of an input, one after the other.
struct LineChecks {
    endpoint: BatchEndpoint,
    /// Hashes of the ids so far: the ids of a large input may have megabytes.
    ids: HashSet<[u8; 16]>,
    result: CheckedInput,
}

impl LineChecks {
    fn add(&mut self, line: u64, bytes: &[u8]) {
        self.result.count += 1;
        let fault = match BatchLine::check(bytes, self.endpoint) {
            Ok(id) if self.ids.insert(hash(&id)) => return,
            Ok(_) => {
                let message = "custom_id is that of an earlier line; each line needs one of its own";
                fault_of_line("duplicate_custom_id", &ApiError::invalid("custom_id", message))
            }
            Err(error) => {
                let code = match error.param.as_deref() {
                    None => "invalid_json_line",
                    Some("url") => "mismatched_endpoint",
                    Some("custom_id") => "invalid_custom_id",
                    Some(_) => "invalid_request",
                };
                fault_of_line(code, &error)
            }
        };
        self.result.faults.push(BatchFault { line: Some(line + 1), ..fault });
    }
}

fn fault_of_line(code: &str, error: &ApiError) -> BatchFault {
    BatchFault { param: error.param.clone(), ..fault(code, error.message.clone()) }
}

fn hash(id: &str) -> [u8; 16] {
    let mut hash = [0; 16];
    hash.copy_from_slice(&Sha256::digest(id.as_bytes())[..16]);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_its_line() {
        let line = |id: &str, url: &str| {
            format!("{{\"custom_id\":{id},\"method\":\"POST\",\"url\":\"{url}\",\"body\":{{}}}}")
        };
        let lines = [
            line("\"a\"", "/v1/responses"),
            line("\"a\"", "/v1/responses"),
            line("\"b\"", "/v1/embeddings"),
            line("7", "/v1/responses"),
            "{".to_owned(),
            "{\"custom_id\":\"c\",\"method\":\"POST\",\"url\":\"/v1/responses\"}".to_owned(),
        ];
        let (endpoint, result) = (BatchEndpoint::Responses, CheckedInput::default());
        let mut checks = LineChecks { endpoint, ids: HashSet::new(), result };
        for (index, line) in (0..).zip(&lines) {
            checks.add(index, line.as_bytes());
        }
        let CheckedInput { count, faults } = checks.result;
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| (fault.line.unwrap(), fault.code.as_str(), fault.param.as_deref()))
            .collect();
        assert_eq!(count, 6);
        assert_eq!(
            faults,
            [
                (2, "duplicate_custom_id", Some("custom_id")),
                (3, "mismatched_endpoint", Some("url")),
                (4, "invalid_custom_id", Some("custom_id")),
                (5, "invalid_json_line", None),
                (6, "invalid_request", Some("body")),
            ]
        );
    }
}
