//! Example values for tests, with the feature `testing`. A test overrides the fields that it is about.

use crate::{
    Modality, Model, ModelDescription, ModelId, ModelSource, OnDisconnect, Run, RunId, RunState, Selection,
    Timestamp, Usage, UserId,
};

impl Model {
    /// Creates a text model that a node has discovered.
    #[must_use]
    pub fn example(id: &str) -> Self {
        let now = Timestamp::now();
        Self {
            id: ModelId::new(id),
            description: ModelDescription::new(id, Modality::Text),
            provider: "local".to_owned(),
            size_bytes: None,
            source: ModelSource::Discovered,
            node: None,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Run {
    /// Creates a queued run of a text model.
    #[must_use]
    pub fn example(owner: UserId) -> Self {
        Self {
            id: RunId::new(),
            owner,
            organisation: None,
            state: RunState::Queued,
            selection: Selection::example("tiny-chat", "local"),
            queue_position: None,
            usage: Usage::default(),
            cost: None,
            finish_reason: None,
            failure: None,
            text: String::new(),
            tool_calls: Vec::new(),
            artifacts: Vec::new(),
            created_at: Timestamp::now(),
            deadline: None,
            on_disconnect: OnDisconnect::default(),
            worst_case: None,
            finished_at: None,
            token: None,
            replay_of: None,
            definitions: None,
            has_expired_text: false,
        }
    }
}

impl Selection {
    /// Creates the selection of a text model.
    #[must_use]
    pub fn example(model: &str, provider: &str) -> Self {
        Self::new(ModelId::new(model), provider, Modality::Text, "a test")
    }
}
