//! Limits of events, errors and states from a node. A node is a stranger's program: the gateway checks all that it sends, over
//! whatever transport.

use crate::{ApiError, ErrorCode, RunEvent, RunEventBody, node::NodeStatus, node_downloads::NodeDownload};

/// Limit of the bytes of one event as JSON: an item of the table has to hold it.
pub const EVENT_MAX_BYTES: usize = 300 << 10;
/// Limit of the number of a node's models.
pub const MODEL_MAX_COUNT: usize = 1_000;
/// Characters of the id, the name and the other texts of a model.
const MODEL_TEXT_MAX_CHARS: usize = 200;
/// Characters of the source, the file and the other texts of a download.
const DOWNLOAD_TEXT_MAX_CHARS: usize = 4_096;
/// Characters of a node's error message that are passed on.
const MESSAGE_MAX_CHARS: usize = 2_000;
/// Characters of the name of a field at fault that are passed on.
const PARAM_MAX_CHARS: usize = 200;
/// Limit of the bytes, as JSON, of the details of a node's error; larger ones are left out.
const DETAILS_MAX_BYTES: usize = 4 << 10;

/// Checks an event of a run, and makes that of an error fit for a client.
///
/// # Errors
/// `invalid_request` or `payload_too_large`, if no node may send it.
pub fn check_event(mut event: RunEvent) -> Result<RunEvent, ApiError> {
    if let Some(name) = gateways_own(&event.body) {
        return Err(ApiError::invalid("events", format!("a node doesn't send events of the kind {name}")));
    }
    if event.json_bytes() > EVENT_MAX_BYTES {
        let message = format!("an event has at most {EVENT_MAX_BYTES} bytes as JSON");
        return Err(ApiError::new(ErrorCode::PayloadTooLarge, message).at("events"));
    }
    if let RunEventBody::Error { error } = event.body {
        event.body = RunEventBody::Error { error: error_of_node(error) };
    }
    Ok(event)
}

/// Makes an error of a node fit for a client: a node's refusal of a credential isn't about the client's, a code that only the
/// gateway decides, such as the end of a run's wait, is the node's error, and the texts are bounded.
#[must_use]
pub fn error_of_node(mut error: ApiError) -> ApiError {
    error.code = match error.code {
        ErrorCode::Unauthorized | ErrorCode::Forbidden => ErrorCode::ProviderAuth,
        ErrorCode::Cancelled
        | ErrorCode::DeadlineExceeded
        | ErrorCode::InvalidAnswer
        | ErrorCode::IssuerUnavailable
        | ErrorCode::NotCached
        | ErrorCode::QuotaExceeded
        | ErrorCode::RateLimited
        | ErrorCode::RequestTimeout
        | ErrorCode::RunTimeout => ErrorCode::ProviderError,
        code => code,
    };
    shorten(&mut error.message, MESSAGE_MAX_CHARS);
    if let Some(param) = &mut error.param {
        shorten(param, PARAM_MAX_CHARS);
    }
    let details_bytes = serde_json::to_vec(&error.details).map_or(usize::MAX, |json| json.len());
    if details_bytes > DETAILS_MAX_BYTES {
        error.details = Box::default();
    }
    error
}

/// Checks the state of a node: the gateway stores and lists its models.
///
/// # Errors
/// `invalid_request`, if it has too many models, or one has too long a text.
pub fn check_status(status: &NodeStatus) -> Result<(), ApiError> {
    let count = status.models.len();
    if count > MODEL_MAX_COUNT {
        let message =
            format!("the node has {count} models; the gateway lists at most {MODEL_MAX_COUNT} of a node");
        return Err(ApiError::invalid("status.models", message));
    }
    let texts = status.models.iter().flat_map(|model| {
        let description = &model.description;
        let optional = [&description.version, &description.architecture];
        [&model.id, &description.name].into_iter().chain(optional.into_iter().flatten())
    });
    if status.downloads.len() > MODEL_MAX_COUNT {
        let message = format!("the gateway lists at most {MODEL_MAX_COUNT} downloads of a node");
        return Err(ApiError::invalid("status.downloads", message));
    }
    let texts = texts.chain(status.downloads.iter().map(|download| &download.model));
    let is_long_error = |error: &String| error.chars().nth(MESSAGE_MAX_CHARS).is_some();
    if status.downloads.iter().filter_map(|download| download.error.as_ref()).any(is_long_error) {
        let message = format!("the error of a download has at most {MESSAGE_MAX_CHARS} characters");
        return Err(ApiError::invalid("status.downloads", message));
    }
    let is_long = |text: &&String| text.chars().nth(MODEL_TEXT_MAX_CHARS).is_some();
    if let Some(text) = texts.chain(status.default_models.values()).find(is_long) {
        let begin: String = text.chars().take(20).collect();
        let message = format!(
            "a text of a model has at most {MODEL_TEXT_MAX_CHARS} characters; one begins with {begin:?}"
        );
        return Err(ApiError::invalid("status.models", message));
    }
    Ok(())
}

/// Makes a download of a node fit for a client: its texts are bounded, and have no control characters.
#[must_use]
pub fn download_of_node(mut download: NodeDownload) -> NodeDownload {
    let texts = [&mut download.model, &mut download.file, &mut download.sha256].into_iter().flatten();
    for text in texts.chain([&mut download.source]) {
        clean(text, DOWNLOAD_TEXT_MAX_CHARS);
    }
    if let Some(reason) = &mut download.retry_reason {
        clean(reason, MESSAGE_MAX_CHARS);
    }
    if let Some(error) = &mut download.error {
        clean(&mut error.message, MESSAGE_MAX_CHARS);
    }
    download
}

fn clean(text: &mut String, max_chars: usize) {
    shorten(text, max_chars);
    if text.contains(char::is_control) {
        *text = text.replace(char::is_control, " ");
    }
}

fn shorten(text: &mut String, max_chars: usize) {
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
}

/// The kind of an event that only the gateway makes.
fn gateways_own(event: &RunEventBody) -> Option<&'static str> {
    match event {
        RunEventBody::Selected(_) => Some("selected"),
        RunEventBody::Waiting { .. } => Some("waiting"),
        RunEventBody::Credits { .. } => Some("credits"),
        RunEventBody::Cost { .. } => Some("cost"),
        RunEventBody::Artifact { .. } => Some("artifact"),
        RunEventBody::File { .. } => Some("file"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Modality, ModelDescription, RuntimeState};

    use super::*;
    use crate::{node::NodeModel, runtime_status::RuntimeStatus};

    fn model(id: &str) -> NodeModel {
        let runtime = RuntimeStatus {
            state: RuntimeState::Unloaded,
            progress: None,
            default: false,
            active: 0,
            queue_depth: 0,
            slots: 1,
            memory_bytes: None,
            memory_predicted_bytes: None,
            pid: None,
            loaded_at: None,
            last_used_at: None,
            error: None,
            backends: None,
        };
        let description = ModelDescription::new(id, Modality::Text);
        NodeModel { id: id.to_owned(), description, size_bytes: 1, path: None, runtime }
    }

    fn status(models: Vec<NodeModel>) -> NodeStatus {
        NodeStatus { models, ..NodeStatus::default() }
    }

    #[test]
    fn status_within_the_limits_passes_and_larger_ones_name_their_fault() {
        let longest = "ä".repeat(MODEL_TEXT_MAX_CHARS);
        let most = vec![model(&longest); MODEL_MAX_COUNT];
        assert_eq!(check_status(&status(most.clone())), Ok(()));
        let too_many = [most, vec![model("a")]].concat();
        let mut long_name = model("a");
        long_name.description.name = longest.clone() + "a";
        for (models, reason) in [
            (too_many, "1001 models"),
            (vec![model(&(longest + "a"))], "at most 200 characters"),
            (vec![long_name], "at most 200 characters"),
        ] {
            let error = check_status(&status(models)).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest);
            assert!(error.message.contains(reason), "{error:?}");
        }
    }

    #[test]
    fn error_of_a_node_is_bounded_as_a_whole_and_keeps_small_details() {
        let error =
            ApiError::new(ErrorCode::NoModelAvailable, "no memory").with("needed_bytes", 7).at("model");
        assert_eq!(error_of_node(error.clone()), error);
        let huge = "ä".repeat(1 << 20);
        let error = ApiError::new(ErrorCode::Unauthorized, huge.clone()).with("fact", huge.clone()).at(huge);
        let checked = error_of_node(error);
        assert_eq!((checked.code, checked.details.len()), (ErrorCode::ProviderAuth, 0));
        let json = serde_json::to_vec(&checked).unwrap();
        assert!(json.len() < 10_000, "{}", json.len());
    }

    #[test]
    fn code_that_only_the_gateway_decides_is_the_nodes_error() {
        let code = |code| error_of_node(ApiError::new(code, "no")).code;
        let of_gateway = [
            ErrorCode::DeadlineExceeded,
            ErrorCode::QuotaExceeded,
            ErrorCode::RateLimited,
            ErrorCode::RunTimeout,
            ErrorCode::Cancelled,
        ];
        assert!(of_gateway.into_iter().all(|one| code(one) == ErrorCode::ProviderError));
        for of_node in [ErrorCode::QueueFull, ErrorCode::ModelLoadFailed, ErrorCode::ContextLengthExceeded] {
            assert_eq!(code(of_node), of_node);
        }
    }

    #[test]
    fn events_of_the_gateway_and_large_ones_are_refused() {
        let text = |text: String| RunEvent { seq: 1, body: RunEventBody::text(text) };
        assert_eq!(check_event(text("a".into())), Ok(text("a".into())));
        let large = check_event(text("a".repeat(EVENT_MAX_BYTES))).unwrap_err();
        assert_eq!(large.code, ErrorCode::PayloadTooLarge);
        let body = RunEventBody::File { index: 0, bytes: vec![1], revised_prompt: None };
        let own = check_event(RunEvent { seq: 1, body }).unwrap_err();
        assert!(own.message.contains("kind file"), "{own:?}");
    }

    #[test]
    fn texts_of_a_download_are_bounded() {
        let download = NodeDownload {
            job: hearth_domain::JobId::new(),
            revision: 1,
            state: hearth_domain::JobState::Failed,
            source: "x".repeat(1 << 20),
            model: Some("a\u{1b}[31m\nb".to_owned()),
            file: None,
            size_bytes: None,
            done_bytes: 0,
            bytes_per_second: None,
            seconds_left: None,
            retry_reason: Some("z".repeat(1 << 20)),
            sha256: None,
            error: Some(hearth_domain::JobError::new(
                hearth_domain::JobErrorCode::Other,
                "y".repeat(1 << 20),
            )),
        };
        let download = download_of_node(download);
        assert_eq!((download.source.len(), download.model.as_deref()), (4_096, Some("a [31m b")));
        assert_eq!(download.retry_reason.unwrap().len(), MESSAGE_MAX_CHARS);
        assert_eq!(download.error.unwrap().message.len(), MESSAGE_MAX_CHARS);
    }
}
