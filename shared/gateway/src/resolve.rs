//! Who serves a request.

use hearth_domain::{Generation, Modality, ModelId, RuntimeState};
use hearth_providers::{NodeLink, Provider as _};
use hearth_wire::{ApiError, ErrorCode, event::Selected, node::NodeModel};

use crate::{Caller, Gateway, nodes::LiveNode, registry::no_such_model};

/// What a client writes to leave the choice to the gateway.
const AUTO: &str = "auto";

/// Who was chosen, and why.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) link: NodeLink,
    pub(crate) model: ModelId,
    pub(crate) selected: Selected,
}

impl Gateway {
    /// Chooses the model and its node: the one asked for, else the default of the first node that
    /// has one.
    pub(crate) async fn resolve(
        &self,
        caller: &Caller,
        generation: &Generation,
    ) -> Result<Candidate, ApiError> {
        let asked = generation.model.as_ref().map(ModelId::as_str).filter(|id| *id != AUTO);
        let mut nodes = self.live_nodes(caller.user, false).await?;
        let mut found = choose(&nodes, asked);
        if found.is_none() && asked.is_some() {
            // A file may have come since the nodes were last asked.
            nodes = self.live_nodes(caller.user, true).await?;
            found = choose(&nodes, asked);
        }
        match (found, asked) {
            (Some((node, model)), asked) => Ok(candidate(node, model, asked.is_some())),
            (None, Some(id)) => Err(no_such_model(id)),
            (None, None) => Err(ApiError::new(
                ErrorCode::NoModelAvailable,
                "no node with a model is connected; start one with `hearth up`, or name a model",
            )),
        }
    }
}

fn choose<'a>(nodes: &'a [LiveNode], asked: Option<&str>) -> Option<(&'a LiveNode, &'a NodeModel)> {
    nodes.iter().find_map(|node| {
        let wanted = asked.or(node.status.default_models.get(&Modality::Text).map(String::as_str));
        let usable = |model: &&NodeModel| match wanted {
            Some(id) => model.id == id,
            None => model.runtime.state != RuntimeState::Failed,
        };
        node.status.models.iter().find(usable).map(|model| (node, model))
    })
}

fn candidate(node: &LiveNode, model: &NodeModel, asked: bool) -> Candidate {
    let reason = if asked {
        "the request names this model"
    } else {
        "the default model, since the request names none"
    };
    Candidate {
        link: node.link.clone(),
        model: ModelId::new(&*model.id),
        selected: Selected {
            model: model.id.clone(),
            model_name: model.name.clone(),
            provider: node.link.name().to_owned(),
            modality: model.modality,
            reason: reason.to_owned(),
            fallback_used: false,
        },
    }
}
