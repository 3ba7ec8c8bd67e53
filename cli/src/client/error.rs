//! Errors of the client commands, worded with advice.

use std::{error::Error, io, path::Path};

use hearth_files::open_files;
use hearth_gateway::STORAGE_DETAIL;
use hearth_store::{DiskProblem, StoreError};
use hearth_wire::{
    ApiError,
    error::{ErrorBody, ErrorEnvelope},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// An error that the gateway returned.
#[derive(Debug)]
pub(crate) struct GatewayError {
    pub(crate) body: ErrorBody,
    /// Advice that follows the message.
    hint: &'static str,
}

impl std::fmt::Display for GatewayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ErrorBody { code, message, request_id, .. } = &self.body;
        write!(f, "{message} ({code}")?;
        if !request_id.is_empty() {
            write!(f, ", request id {request_id}")?;
        }
        f.write_str(")")?;
        // The message names the list that a program finds in the details.
        let lists = self.body.details.iter().filter(|(name, _)| message.contains(&format!("details.{name}")));
        for entry in lists.filter_map(|(_, list)| list.as_array()).flatten() {
            write!(f, "\n  {}", detail(entry))?;
        }
        f.write_str(self.hint)
    }
}

/// One entry of a list in an error's details: its fields but for null and empty ones, or the value itself.
fn detail(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Value::Object(fields) = entry else { return text(entry) };
    let fields = fields.iter().filter(|(_, value)| !value.is_null() && value.as_str() != Some(""));
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {}", text(value))).collect();
    fields.join(", ")
}

impl Error for GatewayError {}

const NO_CREDENTIAL_HINT: &str = "\nhint: sign in with `hearth login`, or give a token in HEARTH_TOKEN or with --token; on the \
    gateway's own machine `hearth token create NAME` makes one; for a stack in the cloud, `hearth token create NAME --table TABLE` \
    does, with the stack's output TableName";

const REFUSED_TOKEN_HINT: &str = "\nhint: the token is that of --token, HEARTH_TOKEN or the settings; on the gateway's own machine \
    none is needed (`unset HEARTH_TOKEN`), and `hearth token create NAME` makes one for other programs; `hearth login` signs in \
    instead; for a stack in the cloud, `hearth token create NAME --table TABLE` makes a token, with the stack's output TableName";

const MODEL_HINT: &str = "\nhint: `hearth models list` shows the models that are there";

impl GatewayError {
    /// An error with the advice for a request without a token.
    #[must_use]
    pub(crate) fn new(body: ErrorBody) -> Self {
        let hint = match body.code.as_str() {
            "unauthorized" => NO_CREDENTIAL_HINT,
            "model_not_found" => MODEL_HINT,
            _ => "",
        };
        Self { body, hint }
    }

    /// The same, as the answer to a request with a token.
    #[must_use]
    pub(crate) fn for_token(self) -> Self {
        let hint = if self.body.code == "unauthorized" { REFUSED_TOKEN_HINT } else { self.hint };
        Self { hint, ..self }
    }

    /// The same without advice, where the message says everything.
    #[must_use]
    pub(crate) fn without_hint(self) -> Self {
        Self { hint: "", ..self }
    }

    /// Parses a failed response. A body that isn't the gateway's, such as a proxy's page, is described by its status.
    #[must_use]
    pub(crate) fn from_response(status: StatusCode, request_id: Option<&str>, body: &[u8]) -> Self {
        if let Ok(envelope) = serde_json::from_slice::<ErrorEnvelope>(body) {
            return Self::new(envelope.error);
        }
        let status_text = status.canonical_reason().unwrap_or("an unknown status");
        Self::new(ErrorBody {
            code: status.as_u16().to_string(),
            kind: String::new(),
            message: format!("the server answered {status_text}, without an error of the gateway's"),
            param: None,
            details: serde_json::Map::new(),
            request_id: request_id.unwrap_or_default().to_owned(),
            retryable: false,
        })
    }
}

/// The user pressed Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}

/// A failure that was already printed.
#[derive(Debug)]
pub(crate) struct AlreadyReported;

impl std::fmt::Display for AlreadyReported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("see above")
    }
}

impl Error for AlreadyReported {}

/// The exit status of an error that needs no message, by the convention of shells: 128 + SIGINT after Ctrl-C, 128 +
/// SIGPIPE when the reader of the output is gone, 1 after [`AlreadyReported`].
#[must_use]
pub(crate) fn quiet_exit(error: &anyhow::Error) -> Option<u8> {
    if error.is::<Interrupted>() {
        return Some(130);
    }
    if error.is::<AlreadyReported>() {
        return Some(1);
    }
    let io = error.downcast_ref::<io::Error>()?;
    (io.kind() == io::ErrorKind::BrokenPipe).then_some(141)
}

/// Codes of errors that aren't the gateway's, in JSON.
const FAILURE_CODE: &str = "command_failed";
const USAGE_CODE: &str = "usage";

/// Formats an error as a line of JSON, for programs: one of the gateway as in its response, with the hint beside.
#[must_use]
pub(crate) fn to_json(error: &anyhow::Error) -> String {
    let Some(gateway_error) = error.chain().find_map(|cause| cause.downcast_ref::<GatewayError>()) else {
        return json!({"error": {"code": FAILURE_CODE, "message": with_causes(error)}}).to_string();
    };
    let GatewayError { body, hint } = gateway_error;
    let mut fields = json!(body);
    let contexts = error.chain().take_while(|cause| !cause.is::<GatewayError>());
    let message: Vec<String> = contexts.map(ToString::to_string).chain([body.message.clone()]).collect();
    fields["message"] = message.join(": ").into();
    if !hint.is_empty() {
        fields["hint"] = hint.trim_start_matches("\nhint: ").into();
    }
    json!({ "error": fields }).to_string()
}

/// Formats the text of a wrong command line as a line of JSON.
#[must_use]
pub(crate) fn usage_to_json(text: &str) -> String {
    let message = text.strip_prefix("error: ").unwrap_or(text).trim_end();
    json!({"error": {"code": USAGE_CODE, "message": message}}).to_string()
}

/// Formats an error with its causes, each once: many errors repeat their cause's text.
#[must_use]
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Adds what to do to an error of this machine's files. In an error of the stores it names the data folder: the user of a command
/// that has them open is the operator.
pub(crate) fn with_advice(error: anyhow::Error, data: &Path) -> anyhow::Error {
    let data = data.display();
    if let Some(StoreError::Disk { .. }) = error.downcast_ref() {
        return error.context(format!("the data folder {data} can't be used"));
    }
    let problem =
        error.downcast_ref::<ApiError>().and_then(|error| error.details.get(STORAGE_DETAIL)?.as_str());
    match problem.and_then(DiskProblem::parse) {
        Some(problem) => {
            anyhow::anyhow!(
                "the data folder {data} can't be read or written: {}; {problem}",
                problem.as_str()
            )
        }
        None => match error.chain().find_map(|cause| file_advice(cause.downcast_ref()?)) {
            Some(advice) => anyhow::anyhow!("{}; {advice}", with_causes(&error)),
            None => error,
        },
    }
}

fn file_advice(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("make room on its disk".to_owned()),
        _ => open_files::advice(error),
    }
}

/// Words the error of an HTTP client that can't be built, such as on a system without certificates.
pub(crate) fn no_client(error: &reqwest::Error) -> anyhow::Error {
    let cause = root_cause(error);
    if cause.contains("CA certificates") {
        return anyhow::anyhow!(
            "this system has no CA certificates, so no server can be trusted over HTTPS; install the package \
             ca-certificates, or name a file of them in SSL_CERT_FILE"
        );
    }
    anyhow::anyhow!("the HTTP client can't be built: {cause}")
}

/// Advice for an address whose scheme isn't the server's; empty for other failures.
pub(crate) fn scheme_hint(scheme: &str, cause: &str) -> &'static str {
    match scheme {
        "https" if cause.contains("corrupt message") => {
            "; this server speaks no TLS: its address begins with http://"
        }
        "http"
            if ["connection closed", "invalid HTTP", "onnection reset"]
                .iter()
                .any(|text| cause.contains(text)) =>
        {
            "; if the server speaks TLS, its address begins with https://"
        }
        _ => "",
    }
}

/// Advice for a TLS certificate that was rejected; empty for other failures.
pub(crate) fn certificate_hint(cause: &str) -> &'static str {
    if cause.contains("certificate") {
        "; is the clock of this machine right (`date`), and are its CA certificates up to date?"
    } else {
        ""
    }
}

/// The innermost cause of an error: "Connection refused" rather than "error sending request".
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use hearth_wire::ErrorCode;

    use super::*;

    #[test]
    fn lists_in_the_details_are_shown_by_line() {
        let body = serde_json::from_value(serde_json::json!({
            "code": "invalid_answer", "type": "x", "message": "no answer fits; details.validation_errors has the places", "param": null, "request_id": "", "retryable": false,
            "details": {
                "data": [1, 2],
                "validation_errors": [{"path": "/total", "reason": "\"a\" is not a number"}, {"path": "", "reason": "shop is missing"}],
            },
        }));
        let error = GatewayError::new(body.unwrap());
        assert_eq!(
            error.to_string(),
            "no answer fits; details.validation_errors has the places (invalid_answer)\n  path: /total, reason: \"a\" is not a number\n  reason: shop is missing"
        );
    }

    #[test]
    fn problem_of_the_stores_names_the_data_folder() {
        let folder = Path::new("/srv/hearth");
        let of_gateway = ApiError::new(ErrorCode::Internal, "x").with(STORAGE_DETAIL, "disk full");
        let reason = "database or disk is full".to_owned();
        let of_store = StoreError::Disk { operation: "put", reason, problem: DiskProblem::Full };
        for error in [anyhow::Error::from(of_gateway), of_store.into()] {
            let text = with_causes(&with_advice(error, folder));
            for part in ["/srv/hearth", "full", "make room on the disk"] {
                assert!(text.contains(part), "{text}");
            }
        }
        let other = anyhow::Error::from(ApiError::new(ErrorCode::NotFound, "x"));
        assert_eq!(with_advice(other, folder).to_string(), "not_found: x");
        let of_file = anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull))
            .context("the file x can't be written");
        let text = with_causes(&with_advice(of_file, folder));
        assert!(text.starts_with("the file x can't") && text.ends_with("make room on its disk"), "{text}");
    }

    #[test]
    fn gateway_error_shows_message_code_and_request_id() {
        let body = ApiError::new(ErrorCode::Conflict, "x is in use").envelope("req_1").error;
        assert_eq!(GatewayError::new(body).to_string(), "x is in use (conflict, request id req_1)");
    }

    #[test]
    fn unauthorized_error_has_a_hint_that_fits_the_request() {
        let error = || {
            GatewayError::new(ApiError::new(ErrorCode::Unauthorized, "no credential").envelope("req_1").error)
        };
        let without_token = error().to_string();
        assert!(
            without_token.contains("HEARTH_TOKEN") && !without_token.contains("unset"),
            "{without_token}"
        );
        assert!(error().for_token().to_string().contains("unset HEARTH_TOKEN"));
        assert!(!error().without_hint().to_string().contains("hint"));
    }

    #[test]
    fn json_of_an_error_has_a_code_and_a_message() {
        let read = |error: anyhow::Error| serde_json::from_str::<Value>(&to_json(&error)).unwrap();
        let body = ApiError::new(ErrorCode::Unauthorized, "no credential").envelope("req_1").error;
        let error = read(anyhow::Error::from(GatewayError::new(body)).context("the batch isn't there"));
        let error = &error["error"];
        assert_eq!(error["code"], "unauthorized");
        assert_eq!(error["request_id"], "req_1");
        assert_eq!(error["message"], "the batch isn't there: no credential");
        assert!(error["hint"].as_str().unwrap().starts_with("sign in"), "{error}");
        let error = read(anyhow::anyhow!("b").context("a"));
        assert_eq!(error, json!({"error": {"code": "command_failed", "message": "a: b"}}));
        let usage: Value = serde_json::from_str(&usage_to_json("error: no ID\n\nUsage: x\n")).unwrap();
        assert_eq!(usage, json!({"error": {"code": "usage", "message": "no ID\n\nUsage: x"}}));
    }

    #[test]
    fn quiet_errors_have_an_exit_status() {
        assert_eq!(quiet_exit(&Interrupted.into()), Some(130));
        assert_eq!(quiet_exit(&AlreadyReported.into()), Some(1));
        assert_eq!(quiet_exit(&io::Error::from(io::ErrorKind::BrokenPipe).into()), Some(141));
        assert_eq!(quiet_exit(&io::Error::from(io::ErrorKind::NotFound).into()), None);
        assert_eq!(quiet_exit(&anyhow::anyhow!("else")), None);
    }

    #[test]
    fn causes_are_shown_once() {
        let cause = io::Error::other("disk full");
        let error = anyhow::Error::from(cause).context("the file x can't be written: disk full");
        assert_eq!(with_causes(&error), "the file x can't be written: disk full");
        assert_eq!(with_causes(&anyhow::anyhow!("b").context("a")), "a: b");
    }

    #[test]
    fn foreign_response_is_described_by_its_status() {
        let error = GatewayError::from_response(StatusCode::BAD_GATEWAY, None, b"<html>");
        assert!(error.to_string().contains("Bad Gateway"), "{error}");
        assert!(error.to_string().contains("(502)"), "{error}");
    }
}
