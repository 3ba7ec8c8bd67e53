//! Models that nodes download, as entries of the list of models.

use hearth_domain::{Model, ModelDescription, ModelId, ModelSource, RuntimeState, Timestamp, modality_of};
use hearth_providers::config::LOCAL;
use hearth_wire::{
    native::models::{Availability, ModelBody},
    node_downloads::NodeModelDownload,
    runtime_status::RuntimeStatus,
};

use crate::nodes::LiveNode;

/// The models that nodes download, or have failed to download lately, without those that are listed already.
pub(super) fn downloading(live: &[LiveNode], listed: &[ModelBody]) -> Vec<ModelBody> {
    let mut entries: Vec<ModelBody> = Vec::new();
    for node in live {
        for download in &node.status.downloads {
            let is_listed = listed.iter().chain(&entries).any(|model| model.id == download.model);
            if !is_listed {
                entries.push(entry(node, download));
            }
        }
    }
    entries
}

fn entry(node: &LiveNode, download: &NodeModelDownload) -> ModelBody {
    let now = Timestamp::now();
    let id = ModelId::new(&*download.model);
    let modality = modality_of(&download.model);
    let state = if download.state.is_terminal() { RuntimeState::Failed } else { RuntimeState::Downloading };
    let status = RuntimeStatus {
        state,
        progress: download.progress.filter(|_| state == RuntimeState::Downloading),
        default: false,
        active: 0,
        queue_depth: 0,
        slots: 0,
        memory_bytes: None,
        memory_predicted_bytes: None,
        pid: None,
        loaded_at: None,
        last_used_at: None,
        error: download.error.clone(),
        backends: None,
    };
    let model = Model {
        id,
        description: ModelDescription::new(&download.model, modality),
        provider: LOCAL.to_owned(),
        size_bytes: download.size_bytes,
        source: ModelSource::Discovered,
        node: Some(node.link.id()),
        created_at: now,
        updated_at: now,
    };
    let body = ModelBody::new(model, Some(status));
    ModelBody { availability: Availability::Unavailable, ..body }
}
