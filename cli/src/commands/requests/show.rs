//! `hearth requests show`.

use std::fmt::Write as _;

use hearth_wire::native::requests::RequestStatus;

use crate::client::{gateway_client::GatewayClient, terminal};

/// Prints a request: its state and its numbers, and then its output.
pub(super) async fn run(gateway: &GatewayClient, id: &str, json: bool) -> anyhow::Result<()> {
    let request: RequestStatus = gateway.get(&["v1", "requests", id], &[]).await?;
    if json {
        return terminal::print_json(&request);
    }
    terminal::print(&terminal::printable(&text(&request), terminal::stdout_is_terminal()))?;
    Ok(())
}

/// The lines of a request.
pub(super) fn text(request: &RequestStatus) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // A String is written without failure.
        let _ = writeln!(text, "{name:<14}{value}");
    };
    line("id", &request.request_id);
    line("state", request.status.as_str());
    if let Some(error) = &request.error {
        line("error", &format!("{}: {}", error.code, error.message));
    }
    if let Some(position) = request.queue_position {
        line("queue", &format!("place {position}"));
    }
    line("model", &format!("{} at {}", request.model, request.provider));
    if !request.selection.reason.is_empty() {
        line("reason", &request.selection.reason);
    }
    if request.selection.fallback_used {
        line("fallback", request.selection.fallback_reason.as_deref().unwrap_or("yes"));
    }
    let usage = &request.usage;
    line("tokens", &format!("{} of the prompt, {} generated", usage.prompt_tokens, usage.completion_tokens));
    if let Some(cost) = request.cost {
        line("cost", &format!("${}", cost.usd));
    }
    line("created", &request.created_at);
    if let Some(finished) = &request.finished_at {
        line("finished", finished);
    }
    if let Some(token) = &request.token {
        line("sent by", token);
    }
    if let Some(earlier) = &request.replay_of {
        line("replay of", earlier);
    }
    if request.output_expired {
        line("output", "its text has expired");
    }
    let Some(output) = &request.output else { return text };
    for artifact in &output.artifacts {
        line("file", &artifact.url);
    }
    if !output.text.is_empty() {
        text.push('\n');
        text.push_str(&output.text);
        if !output.text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}
