//! Candidates among the models of the caller's nodes.

use std::sync::Arc;

use hearth_domain::{
    Generation, Modality, ModelId, ModelInfo, Price, RuntimeState, Selection, Tier, WhileLoading,
};
use hearth_providers::{Defaults, NodeLink, Provider as _};
use hearth_wire::{ApiError, ErrorCode, node::NodeModel};

use super::candidates::{Candidate, first_image};
use crate::{
    access::Caller,
    background,
    error::no_such_model,
    nodes::{LiveNode, Nodes, StatusAge},
};

/// The handling of a model that no node has by its cached status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnMiss {
    Fail,
    /// Read the nodes' present status: the file may be new.
    ReadStatus,
}

/// The candidate for the model `id` and its node. Without an id, the default model of the first node that has one of the
/// request's modality.
pub(super) async fn local_candidates(
    nodes: &Arc<Nodes>,
    caller: &Caller,
    generation: &Generation,
    id: Option<&str>,
    on_miss: OnMiss,
) -> Result<Vec<Candidate>, ApiError> {
    let mut live = nodes.live(caller.user, StatusAge::Cached).await?;
    let is_miss = id.is_some_and(|id| !live.iter().any(|node| node.model(id).is_some()));
    if is_miss && on_miss == OnMiss::ReadStatus {
        live = nodes.live(caller.user, StatusAge::Current).await?;
    }
    candidate(&live, generation, id)
}

fn candidate(
    nodes: &[LiveNode],
    generation: &Generation,
    id: Option<&str>,
) -> Result<Vec<Candidate>, ApiError> {
    let choice = choose(nodes, id, generation.task.modality(), generation.while_loading)?;
    if let Some(message) = first_image(&generation.task) {
        return Err(takes_no_images(&choice.model.id, message));
    }
    if let Reason::WhileLoading(model) = choice.reason
        && model.runtime.state == RuntimeState::Unloaded
    {
        background::spawn(load(choice.node.link.clone(), model.id.clone()));
    }
    Ok(vec![choice.candidate()])
}

async fn load(link: NodeLink, model: String) {
    if let Err(error) = link.load(&model).await {
        tracing::warn!(model, %error, "a requested model can't be loaded in the background");
    }
}

struct Choice<'a> {
    node: &'a LiveNode,
    model: &'a NodeModel,
    reason: Reason<'a>,
}

/// The reason for a choice.
enum Reason<'a> {
    Named,
    Default,
    /// The default serves while this one is loaded.
    WhileLoading(&'a NodeModel),
}

fn choose<'a>(
    nodes: &'a [LiveNode],
    id: Option<&str>,
    modality: Modality,
    while_loading: WhileLoading,
) -> Result<Choice<'a>, ApiError> {
    let Some(id) = id else {
        let default = nodes.iter().find_map(|node| Some((node, default_of(node, modality)?)));
        let (node, model) = default.ok_or_else(|| no_default(modality))?;
        return Ok(Choice { node, model, reason: Reason::Default });
    };
    let node_and_model = nodes.iter().find_map(|node| Some((node, node.model(id)?)));
    let (node, model) = node_and_model.ok_or_else(|| no_such_model(id))?;
    if model.description.modality != modality {
        return Err(makes_other(model.description.modality, modality));
    }
    let is_absent = matches!(model.runtime.state, RuntimeState::Unloaded | RuntimeState::Loading);
    if while_loading == WhileLoading::Default
        && is_absent
        && let Some(default) = default_of(node, modality).filter(|default| is_in_memory(default))
    {
        return Ok(Choice { node, model: default, reason: Reason::WhileLoading(model) });
    }
    Ok(Choice { node, model, reason: Reason::Named })
}

/// A node's default model of a modality, or any where it has no default.
fn default_of(node: &LiveNode, modality: Modality) -> Option<&NodeModel> {
    let is_usable = |model: &&NodeModel| {
        model.description.modality == modality && model.runtime.state != RuntimeState::Failed
    };
    match node.status.default_models.get(&modality) {
        Some(id) => node.model(id).filter(|model| model.description.modality == modality),
        None => node.status.models.iter().find(is_usable),
    }
}

fn is_in_memory(model: &NodeModel) -> bool {
    matches!(model.runtime.state, RuntimeState::Loaded | RuntimeState::Busy)
}

impl Choice<'_> {
    fn candidate(&self) -> Candidate {
        let (reason, fallback_reason) = match self.reason {
            Reason::Named => ("the request names this model", None),
            Reason::Default => ("the default model, since the request names none", None),
            Reason::WhileLoading(_) => {
                ("the default model, while the one that the request names is being loaded", Some("loading"))
            }
        };
        let link = &self.node.link;
        Candidate {
            provider: Arc::new(link.clone()),
            node: Some(link.id()),
            model: ModelId::new(&*self.model.id),
            info: Some(info(self.model)),
            selected: Selection {
                model: ModelId::new(&*self.model.id),
                model_name: self.model.description.name.clone(),
                provider: link.name().to_owned(),
                node: Some(link.id()),
                modality: self.model.description.modality,
                reason: reason.to_owned(),
                fallback_used: fallback_reason.is_some(),
                fallback_reason: fallback_reason.map(str::to_owned),
                resumed: false,
            },
            defaults: Defaults::default(),
            exhausted: None,
        }
    }
}

/// The metadata of a node's model. A text model counts as capable of everything but reading images.
fn info(model: &NodeModel) -> ModelInfo {
    ModelInfo {
        name: Some(model.description.name.clone()),
        modality: model.description.modality,
        context_length: model.description.context_length,
        price: Some(Price::free()),
        tier: Tier::Free,
        ..ModelInfo::default()
    }
}

fn no_default(modality: Modality) -> ApiError {
    let message = match modality {
        Modality::Image => "no model that is set up makes images; name one, such as openai:gpt-image-1",
        Modality::ThreeD => {
            "no model that is set up makes meshes; name one, such as stability:stable-fast-3d"
        }
        Modality::Embedding => {
            "no node that is connected has an embedding model; put one into its model folder, or name a model"
        }
        _ => "no node with a model is connected; start one with `hearth up`, or name a model",
    };
    ApiError::new(ErrorCode::NoModelAvailable, message)
}

/// The error for images in a request to a model of text.
fn takes_no_images(model: &str, message: usize) -> ApiError {
    let text = format!(
        "the model {model} takes text only; leave images and documents out, or name a model that takes them"
    );
    ApiError::invalid(format!("messages[{message}].content"), text)
}

/// The error for a model of another modality.
fn makes_other(made: Modality, requested: Modality) -> ApiError {
    let message = match (made, requested) {
        (Modality::Embedding, _) => {
            "the model makes embeddings and no text; send it to POST /v1/embeddings, or name a chat model"
                .to_owned()
        }
        (_, Modality::Embedding) => {
            "the model makes no embeddings; name an embedding model, or \"auto\" for the default one"
                .to_owned()
        }
        (made, requested) => {
            format!("the model makes {}, and the request asks for {}", made.as_str(), requested.as_str())
        }
    };
    ApiError::invalid("model", message)
}

#[cfg(test)]
mod tests;
