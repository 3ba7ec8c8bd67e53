//! A chat in a session: the gateway has the messages, and the chat can be continued later.

use hearth_wire::native::{
    input::Input,
    request::{GenerateRequest, Parameters},
    sessions::{CreateSession, SessionBody, SessionDetails},
};
use serde_json::json;

use super::Conversation;
use crate::{
    client::{gateway_client::GatewayClient, terminal},
    commands::{generate::print_answer, sampling::Sampling, sessions},
};

/// The value of `--session` that creates a session.
pub(super) const NEW: &str = "new";
/// The model of a request that leaves the choice to the session or the gateway.
const AUTO: &str = "auto";
/// Messages that are shown when a session is continued.
const SHOWN_MAX_COUNT: &str = "4";

/// Creates a session for `new`, and looks up another one. Returns its id.
///
/// # Errors
/// No gateway, or no such session.
pub(super) async fn open(gateway: &GatewayClient, name: &str, sampling: &Sampling) -> anyhow::Result<String> {
    if name == NEW {
        let system_prompt = sampling.system.clone();
        let session =
            sessions::create(gateway, &CreateSession { system_prompt, ..CreateSession::default() }).await?;
        return Ok(session.id);
    }
    let query = [("limit", SHOWN_MAX_COUNT)];
    let details: SessionDetails = gateway.get(&["v1", "sessions", name], &query).await?;
    if terminal::stdin_is_terminal() {
        for message in &details.messages {
            let text = terminal::printable(message.content.trim_end(), true).into_owned();
            terminal::note(&format!("{}: {text}", message.role.as_str()));
        }
    }
    Ok(details.session.id)
}

impl Conversation {
    /// Sends `text` as a turn of the session, and prints the answer.
    pub(super) async fn take_turn_in(&self, session: &str, text: String) -> anyhow::Result<()> {
        let Sampling { model, system: _, temperature, max_tokens, seed } = self.sampling.clone();
        let request = GenerateRequest {
            // Without a model it is the session's.
            model: Some(model).filter(|model| model != AUTO),
            input: Input { prompt: Some(text), ..Input::default() },
            parameters: Parameters { temperature, max_tokens, seed, ..Parameters::default() },
            stream: true,
            ..GenerateRequest::default()
        };
        let segments = ["v1", "sessions", session, "generate"];
        let open = self.gateway.stream(&segments, &request);
        print_answer(&self.gateway, open, self.printer(), self.json).await.map(drop)
    }

    /// Generates the session's latest answer again, and prints it.
    pub(super) async fn regenerate_in(&self, session: &str) -> anyhow::Result<()> {
        let mut request = json!({"stream": true});
        if self.sampling.model != AUTO {
            request["model"] = self.sampling.model.as_str().into();
        }
        let segments = ["v1", "sessions", session, "regenerate"];
        let open = self.gateway.stream(&segments, &request);
        print_answer(&self.gateway, open, self.printer(), self.json).await.map(drop)
    }

    /// Clears the session's context.
    pub(super) async fn reset_in(&self, session: &str) -> anyhow::Result<()> {
        let _: SessionBody = self.gateway.post(&["v1", "sessions", session, "reset"], &json!({})).await?;
        Ok(())
    }
}
