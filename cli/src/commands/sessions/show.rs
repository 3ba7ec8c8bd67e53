//! `hearth sessions show`.

use std::fmt::Write as _;

use clap::Args;
use hearth_domain::SessionMessageState;
use hearth_wire::native::sessions::{SessionDetails, SessionMessageBody};

use crate::client::{gateway_client::GatewayClient, terminal};

/// Show a session with its latest messages
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The session's id, as `list` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// Number of messages to show
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

impl Show {
    pub(super) async fn run(&self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let limit = self.limit.to_string();
        let session: SessionDetails =
            gateway.get(&["v1", "sessions", &self.id], &[("limit", limit.as_str())]).await?;
        if json {
            return terminal::print_json(&session);
        }
        let text = text(&session);
        Ok(terminal::print(&terminal::printable(&text, terminal::stdout_is_terminal()))?)
    }
}

/// The session's properties, and its messages.
pub(super) fn text(details: &SessionDetails) -> String {
    let session = &details.session;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // A String is written without failure.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("id", &session.id);
    line("title", session.title.as_deref().unwrap_or("-"));
    line("status", session.status.as_str());
    if let Some(model) = &session.model {
        line("model", model);
    }
    if let Some(branch) = &session.branch {
        line("branch", branch);
    }
    line("created", &session.created_at);
    line("last used", &session.last_used_at);
    if let Some(at) = &session.expires_at {
        line("deleted at", at);
    }
    if let Some(prompt) = &session.system_prompt {
        line("system", prompt);
    }
    if details.messages_cursor.is_some() {
        text.push_str("\n(earlier messages are left out; --limit shows more)\n");
    }
    for message in &details.messages {
        append_message(&mut text, message);
    }
    text
}

fn append_message(text: &mut String, message: &SessionMessageBody) {
    let state = match message.state {
        SessionMessageState::Complete => String::new(),
        state => format!(" ({})", state.as_str()),
    };
    let model = message.model.as_ref().map(|model| format!(", {model}")).unwrap_or_default();
    let _ = writeln!(text, "\n{}{model}, {}{state}", message.role.as_str(), message.created_at);
    if !message.content.is_empty() {
        let _ = writeln!(text, "{}", message.content.trim_end());
    }
    for artifact in &message.artifacts {
        let _ = writeln!(text, "[{} {}]", artifact.media_type, artifact.id);
    }
}
