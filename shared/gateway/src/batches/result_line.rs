//! The result of a request as a line of a file, in the batch's dialect.

use hearth_domain::{BatchDialect, BatchEndpoint, RunId};
use hearth_wire::{
    ApiError,
    anthropic::{MessageBatchResult, MessageBatchResultLine, MessagesError},
    openai::batches::{BatchLineError, BatchLineResponse, BatchResultLine},
};
use serde::Serialize;
use serde_json::Value;

/// Reason why a request wasn't carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotCarriedOut {
    Cancelled,
    Expired,
}

/// Writes the results of a batch's requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResultLines {
    pub(super) dialect: BatchDialect,
    pub(super) endpoint: BatchEndpoint,
}

impl ResultLines {
    /// The line of an answered request.
    pub(super) fn answered(self, custom_id: &str, run: RunId, answer: &Value) -> Vec<u8> {
        match self.dialect {
            BatchDialect::OpenAi => response(custom_id, run, 200, answer),
            BatchDialect::Anthropic => {
                let result = MessageBatchResult::Succeeded { message: answer };
                line(&MessageBatchResultLine { custom_id, result })
            }
        }
    }

    /// The line of a request that has failed.
    pub(super) fn failed(self, custom_id: &str, run: RunId, error: &ApiError) -> Vec<u8> {
        let id = run.to_string();
        match self.dialect {
            BatchDialect::OpenAi => {
                let body = match self.endpoint {
                    BatchEndpoint::Messages => serde_json::to_value(MessagesError::new(error, &id)),
                    _ => serde_json::to_value(error.envelope(&id)),
                };
                response(custom_id, run, error.code.status(), &body.unwrap_or_default())
            }
            BatchDialect::Anthropic => {
                let error = MessagesError::new(error, &id);
                let result = MessageBatchResult::Errored { error: &error };
                line(&MessageBatchResultLine { custom_id, result })
            }
        }
    }

    /// The line of a request that wasn't carried out. `run`: the id that its run would have had.
    pub(super) fn not_carried_out(self, custom_id: &str, run: RunId, reason: NotCarriedOut) -> Vec<u8> {
        match self.dialect {
            BatchDialect::OpenAi => {
                let (code, message) = match reason {
                    NotCarriedOut::Cancelled => {
                        ("batch_cancelled", "the batch was cancelled before this request was carried out")
                    }
                    NotCarriedOut::Expired => {
                        ("batch_expired", "the completion window ended before this request was carried out")
                    }
                };
                let error = Some(BatchLineError { code, message });
                line(&BatchResultLine { id: result_id(run), custom_id, response: None, error })
            }
            BatchDialect::Anthropic => {
                let result = match reason {
                    NotCarriedOut::Cancelled => MessageBatchResult::Canceled,
                    NotCarriedOut::Expired => MessageBatchResult::Expired,
                };
                line(&MessageBatchResultLine { custom_id, result })
            }
        }
    }
}

fn response(custom_id: &str, run: RunId, status_code: u16, body: &Value) -> Vec<u8> {
    let response = Some(BatchLineResponse { status_code, request_id: run.to_string(), body });
    line(&BatchResultLine { id: result_id(run), custom_id, response, error: None })
}

fn result_id(run: RunId) -> String {
    format!("batch_{run}")
}

fn line(value: &impl Serialize) -> Vec<u8> {
    // Our own types have string keys and no failing serializers.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use hearth_wire::ErrorCode;
    use serde_json::json;

    use super::*;

    fn parsed(line: &[u8]) -> Value {
        assert_eq!(line.last(), Some(&b'\n'));
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn results_have_the_shape_of_their_dialect() {
        let run = RunId::new();
        let lines = ResultLines { dialect: BatchDialect::OpenAi, endpoint: BatchEndpoint::ChatCompletions };
        let id = format!("batch_{run}");
        assert_eq!(
            parsed(&lines.answered("a", run, &json!({"x": 1}))),
            json!({
                "id": id, "custom_id": "a", "error": null,
                "response": {"status_code": 200, "request_id": run, "body": {"x": 1}},
            })
        );
        let error = ApiError::invalid("model", "no");
        let failed = parsed(&lines.failed("a", run, &error));
        assert_eq!(failed["response"]["status_code"], 400);
        assert_eq!(failed["response"]["body"]["error"]["param"], "model");
        let expired = parsed(&lines.not_carried_out("a", run, NotCarriedOut::Expired));
        assert_eq!(
            (&expired["response"], &expired["error"]["code"]),
            (&Value::Null, &json!("batch_expired"))
        );

        let lines = ResultLines { dialect: BatchDialect::Anthropic, endpoint: BatchEndpoint::Messages };
        assert_eq!(
            parsed(&lines.answered("a", run, &json!({"x": 1}))),
            json!({"custom_id": "a", "result": {"type": "succeeded", "message": {"x": 1}}})
        );
        let failed = parsed(&lines.failed("a", run, &ApiError::new(ErrorCode::Overloaded, "no")));
        assert_eq!(failed["result"]["type"], "errored");
        assert_eq!(failed["result"]["error"]["type"], "error");
        assert_eq!(failed["result"]["error"]["error"]["type"], "overloaded_error");
        let cancelled = lines.not_carried_out("a", run, NotCarriedOut::Cancelled);
        assert_eq!(parsed(&cancelled), json!({"custom_id": "a", "result": {"type": "canceled"}}));
    }
}
