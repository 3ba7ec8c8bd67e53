//! Sessions and messages as the API returns them.

use hearth_domain::{Session, SessionMessage};
use hearth_wire::native::sessions::{
    BranchBody, SessionArtifact, SessionBody, SessionEntry, SessionMessageBody,
};
use serde_json::{Value, json};

pub(super) fn session_body(session: &Session) -> SessionBody {
    SessionBody {
        id: session.id.to_string(),
        title: session.title.clone(),
        title_is_automatic: session.is_title_automatic,
        system_prompt: session.system_prompt.clone(),
        model: session.model.clone(),
        context_overflow: session.overflow,
        metadata: session.metadata.clone(),
        state_tokens: session.state_tokens.clone(),
        status: session.status,
        branch: session.branch.clone(),
        head: session.head.map(|id| id.to_string()),
        created_at: session.created_at.to_string(),
        last_used_at: session.last_used_at.to_string(),
        reset_at: session.reset_at.map(|at| at.to_string()),
        closed_at: session.closed_at.map(|at| at.to_string()),
        expires_at: session.expires_at.map(|at| at.to_string()),
    }
}

pub(super) fn session_entry(session: &Session) -> SessionEntry {
    SessionEntry {
        id: session.id.to_string(),
        title: session.title.clone(),
        last_used_at: session.last_used_at.to_string(),
        created_at: session.created_at.to_string(),
        status: session.status,
    }
}

pub(super) fn message_body(message: SessionMessage) -> SessionMessageBody {
    let tool_calls: Vec<Value> = message
        .message
        .tool_calls
        .iter()
        .map(|call| {
            json!({
                "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            })
        })
        .collect();
    let artifacts = message.artifacts.iter().map(|artifact| SessionArtifact {
        id: artifact.id.to_string(),
        media_type: artifact.media_type.clone(),
        expires_at: artifact.expires_at.to_string(),
    });
    let finish_reason =
        message.finish_reason.and_then(|reason| json!(reason).as_str().map(ToOwned::to_owned));
    SessionMessageBody {
        id: message.id.to_string(),
        parent_id: message.parent.map(|id| id.to_string()),
        role: message.message.role,
        images: message.message.images.len(),
        tool_calls,
        artifacts: artifacts.collect(),
        content: message.message.content,
        tool_call_id: message.message.tool_call_id,
        modality: message.modality,
        model: message.model.map(|model| model.to_string()),
        provider: message.provider,
        request_id: message.run.map(|id| id.to_string()),
        state: message.state,
        usage: message.usage.map(Into::into),
        finish_reason,
        error: message.failure.map(Into::into),
        state_tokens: message.state_tokens,
        created_at: message.created_at.to_string(),
        finished_at: message.finished_at.map(|at| at.to_string()),
        edited_at: message.edited_at.map(|at| at.to_string()),
    }
}

/// The named branches of a session.
pub(super) fn branch_bodies(session: &Session) -> Vec<BranchBody> {
    let branch = |branch: &hearth_domain::SessionBranch| BranchBody {
        name: branch.name.clone(),
        head: branch.head.map(|id| id.to_string()),
        active: session.branch.as_ref() == Some(&branch.name),
        created_at: branch.created_at.to_string(),
    };
    session.branches.iter().map(branch).collect()
}
