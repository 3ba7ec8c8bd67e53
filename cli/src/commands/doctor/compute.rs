//! Computing: the self-test of the backends, and one token of the default model.
//!
//! All other checks may pass while nothing can be computed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use hearth_domain::{Message, Priority, Role, RunId, RuntimeState, Sampling, Task, TextTask};
use hearth_node::{
    Node, NodeConfig,
    backends::{self, Selection, Selector},
    model_files::ModelScanner,
};
use hearth_settings::NodeSettings;
use hearth_wire::{
    RunEvent, RunEventBody,
    native::models::{ModelBody, ModelList},
    node::{BackendState, NodeRun},
};
use serde_json::{Value, json};

use super::{Subject, finding::Finding};
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient},
    home::model::{TINY, TINY_ID},
    settings::worker_environment,
};

/// Timeout for the default model to load and answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Subject of the finding that an answer was generated, or wasn't.
pub(super) const ANSWER: &str = "answer";
/// Context of the test in tokens: little memory, and more than a template needs.
const CONTEXT_TOKENS: u32 = 1024;
const PROMPT: &str = "Hello!";

/// Runs the self-test of every backend that would be used, without earlier results. Results are written into `folder`.
pub(super) async fn test_backends(subject: &Subject, folder: &Path) -> Selection {
    selector(subject, folder).retest().await
}

fn selector(subject: &Subject, folder: &Path) -> Selector {
    Selector {
        environment: worker_environment(),
        ..Selector::new(subject.executable.clone(), folder.join("backends.json"))
    }
}

/// The findings on backends that are used, or failed.
pub(super) fn backends(selection: &Selection) -> Vec<Finding> {
    let mut findings = Vec::new();
    for backend in &selection.backends {
        let description = backends::describe(backend);
        match backend.state {
            BackendState::InUse => findings.push(Finding::ok("backend", description)),
            BackendState::Failed => findings.push(Finding::warning(
                "backend",
                description,
                "it is left out; with a newer compiler or driver it may pass",
            )),
            BackendState::Passed
            | BackendState::Unsupported
            | BackendState::NoDevice
            | BackendState::NotTested => {}
        }
    }
    if let Some(problem) = &selection.problem {
        let advice = "no local model can be used; build again with another compiler, or report it with `hearth doctor --json`";
        findings.push(Finding::problem("backend", problem, advice));
    }
    findings
}

/// Checks the models that the running gateway lists, and generates one token with its default model, if it has one.
pub(super) async fn test_gateway(connection: &Connection, models: &Value) -> Vec<Finding> {
    let list = match serde_json::from_value::<ModelList>(models.clone()) {
        Ok(list) => list,
        Err(error) => {
            let advice = "the gateway may be another version than this command: compare `hearth --version`";
            let message = format!("the running gateway's list of models can't be read: {error}");
            return vec![Finding::warning("models", message, advice)];
        }
    };
    let mut findings: Vec<Finding> = list.models.iter().filter_map(failed).collect();
    let status = |model: &&ModelBody| model.runtime_status.as_ref().is_some_and(|status| status.default);
    let default = list.models.iter().filter(status).find(|model| model.modality.as_str() == "text");
    if let Some(model) = default {
        findings.push(token_of_gateway(connection, &model.id).await);
    }
    findings
}

fn failed(model: &ModelBody) -> Option<Finding> {
    let status = model.runtime_status.as_ref().filter(|status| status.state == RuntimeState::Failed)?;
    let why = status.error.as_deref().unwrap_or("no reason is reported");
    let advice = format!("`hearth models load {}` tries again", model.id);
    Some(Finding::warning("model", format!("{} has failed: {why}", model.id), advice))
}

async fn token_of_gateway(connection: &Connection, model: &str) -> Finding {
    let body = json!({"model": model, "input": {"prompt": PROMPT}, "parameters": {"max_tokens": 1}});
    let started = Instant::now();
    let request = async { GatewayClient::new(connection)?.post::<Value>(&["v1", "generate"], &body).await };
    match tokio::time::timeout(ANSWER_TIMEOUT, request).await {
        Ok(Ok(_)) => token_generated(model, "the running gateway", started),
        Ok(Err(error)) => no_answer(model, &format!("{error:#}")),
        Err(_) => no_answer(model, &timed_out()),
    }
}

/// Generates one token with the model `named`, or else with the embedded one, by a worker with the backends of `selection`.
pub(super) async fn test_worker(
    subject: &Subject,
    named: Option<&Path>,
    selection: &Selection,
    folder: &Path,
) -> Finding {
    let (model, file) = match find_model(subject, named, folder) {
        Ok(model) => model,
        Err(why) => return no_answer(TINY_ID, &why),
    };
    let mut config = NodeConfig::new(folder.join("models"), subject.executable.clone());
    config.backends = selector(subject, folder);
    config.worker_environment = worker_environment();
    config.extra_models = vec![file];
    config.settings = NodeSettings {
        context_length: Some(CONTEXT_TOKENS),
        slots: 1,
        threads: subject.settings.node.threads,
        gpu_layers: subject.settings.node.gpu_layers,
        ..NodeSettings::default()
    };
    let started = Instant::now();
    let (node, ended) = Node::start(config);
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, one_token(&node, &model)).await;
    node.shut_down();
    let _ = ended.await;
    match answer {
        Ok(Ok(())) => token_generated(&model, &selection.names(), started),
        Ok(Err(why)) => no_answer(&model, &why),
        Err(_) => no_answer(&model, &timed_out()),
    }
}

/// Finds a model's id and file. The embedded model is written first, since it may not be on the disk yet.
fn find_model(subject: &Subject, named: Option<&Path>, folder: &Path) -> Result<(String, PathBuf), String> {
    let Some(named) = named else {
        let file = folder.join(format!("{}.gguf", TINY_ID));
        fs::write(&file, TINY).map_err(|error| error.to_string())?;
        return Ok((TINY_ID.to_owned(), file));
    };
    if named.is_file() {
        return Ok((hearth_node::model_files::model_id(named), named.to_owned()));
    }
    let models = ModelScanner::new(subject.settings.models_folder(), Vec::new()).scan();
    let file = named.to_str().and_then(|id| models.get(id));
    // The id of a file in another folder is its name alone.
    let file = file.map(|file| (hearth_node::model_files::model_id(&file.path), file.path.clone()));
    file.ok_or_else(|| format!("{} is neither a file nor a model of the folder", named.display()))
}

async fn one_token(node: &Node, model: &str) -> Result<(), String> {
    let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
    let task = TextTask::new(vec![Message::new(Role::User, PROMPT)], sampling);
    let request = NodeRun {
        run: RunId::new(),
        model: model.to_owned(),
        task: Task::from(task),
        priority: Priority::Normal,
        whole: false,
        detached: false,
    };
    let log = node.submit(request).await.map_err(|error| error.message)?;
    let events = log.read(0).map_err(|_| "its events are deleted".to_owned())?;
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match serde_json::from_str::<RunEvent>(&event.json).map(|event| event.body) {
            Ok(RunEventBody::Done { .. }) => return Ok(()),
            Ok(RunEventBody::Error { error }) => return Err(error.message),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("it ended without an answer".to_owned())
}

fn token_generated(model: &str, with: &str, started: Instant) -> Finding {
    let seconds = started.elapsed().as_secs_f32();
    Finding::ok(ANSWER, format!("{model} answers with {with} (one token after {seconds:.1} s)"))
}

fn no_answer(model: &str, why: &str) -> Finding {
    let advice = "see the log in the data folder; `hearth up --model` uses another model";
    Finding::problem(ANSWER, format!("{model} gives no answer: {why}"), advice)
}

fn timed_out() -> String {
    format!("it timed out after {} s", ANSWER_TIMEOUT.as_secs())
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::StatusCode, routing::post};
    use hearth_wire::node::NodeBackend;

    use super::{super::finding::Level, *};
    use crate::client::testing::{connection, serve};

    fn backend(library: &str, state: BackendState, reason: Option<&str>) -> NodeBackend {
        let reason = reason.map(str::to_owned);
        NodeBackend { library: library.to_owned(), state, score: Some(9), reason, milliseconds: Some(300) }
    }

    #[test]
    fn failed_backend_is_a_warning_and_no_backend_a_problem() {
        let failed = backend("libggml-cpu-amx.so", BackendState::Failed, Some("Q4_0, 40 rows: SIGILL"));
        let used = backend("libggml-cpu-haswell.so", BackendState::InUse, None);
        let spare = backend("libggml-cpu-x64.so", BackendState::Passed, None);
        let selection = Selection {
            libraries: vec![],
            backends: vec![failed.clone(), used, spare],
            problem: None,
            from_cache: false,
        };
        let findings = backends(&selection);
        let levels: Vec<Level> = findings.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Warning, Level::Ok], "{findings:?}");
        assert!(
            findings[0].message.contains("failed its self-test: Q4_0, 40 rows: SIGILL"),
            "{}",
            findings[0]
        );
        assert!(findings[1].message.contains("passed its self-test in 300 ms"), "{}", findings[1]);
        let none = Selection { backends: vec![failed], problem: Some("none passed".to_owned()), ..selection };
        assert_eq!(backends(&none).last().map(|finding| finding.level), Some(Level::Problem));
    }

    fn model(id: &str, state: &str, default: bool) -> Value {
        json!({"id": id, "object": "model", "created": 1, "owned_by": "local", "name": id, "version": null,
               "modality": "text", "capabilities": [], "provider": "local", "architecture": "llama",
               "context_length": 2048, "size_bytes": 1, "node": null, "runtime_status": {
               "state": state, "progress": null, "default": default, "active": 0, "queue_depth": 0, "slots": 4,
               "memory_bytes": null, "pid": null, "loaded_at": null, "last_used_at": null,
               "error": (state == "failed").then_some("it crashed 3 times")}})
    }

    #[tokio::test]
    async fn gateway_generates_a_token_and_failed_models_are_warnings() {
        let models = json!([model("good", "loaded", true), model("bad", "failed", false)]);
        let list = json!({"object": "list", "data": models, "models": models, "next_cursor": null});
        for (status, level) in
            [(StatusCode::OK, Level::Ok), (StatusCode::SERVICE_UNAVAILABLE, Level::Problem)]
        {
            let answer = async move || (status, Json(json!({"output": {"text": "H"}})));
            let url = serve(Router::new().route("/v1/generate", post(answer))).await;
            let findings = test_gateway(&connection(&url), &list).await;
            assert!(findings[0].message.contains("bad has failed: it crashed 3 times"), "{}", findings[0]);
            assert_eq!((findings[0].level, findings[1].level), (Level::Warning, level), "{}", findings[1]);
        }
    }

    #[tokio::test]
    async fn gateway_without_a_default_model_or_a_readable_list_leaves_the_answer_to_a_worker() {
        let connection = connection("http://127.0.0.1:9");
        let list =
            |models: Value| json!({"object": "list", "data": models, "models": models, "next_cursor": null});
        assert_eq!(test_gateway(&connection, &list(json!([model("spare", "loaded", false)]))).await, []);
        let findings = test_gateway(&connection, &list(json!([{"id": "of another version"}]))).await;
        assert_eq!(findings.len(), 1);
        assert!(findings[0].level == Level::Warning && findings[0].about != ANSWER, "{}", findings[0]);
    }
}
