//! The models of the caller's nodes.

use std::sync::Arc;

use hearth_domain::{Facts, Generation, Modality, ModelId, Price, RuntimeState, Tier, WhileLoading};
use hearth_providers::{Defaults, NodeLink, Provider as _};
use hearth_wire::{ApiError, ErrorCode, event::Selected, node::NodeModel};

use super::{Candidate, first_image};
use crate::{Caller, Gateway, background, nodes::LiveNode, registry::no_such_model};

impl Gateway {
    /// The model of this id and its node; without one, the default of the first node that has one for what
    /// is to be made. `look`: a model that nobody has is looked for once more.
    pub(super) async fn local(
        &self,
        caller: &Caller,
        generation: &Generation,
        asked: Option<&str>,
        look: bool,
    ) -> Result<Vec<Candidate>, ApiError> {
        let mut nodes = self.live_nodes(caller.user, false).await?;
        if look && asked.is_some_and(|id| !nodes.iter().any(|node| node.model(id).is_some())) {
            // A file may have come since the nodes were last asked.
            nodes = self.live_nodes(caller.user, true).await?;
        }
        candidate(&nodes, generation, asked)
    }
}

/// Who of `nodes` serves the request.
fn candidate(
    nodes: &[LiveNode],
    generation: &Generation,
    asked: Option<&str>,
) -> Result<Vec<Candidate>, ApiError> {
    let choice = choose(nodes, asked, generation.task.modality(), generation.while_loading)?;
    if let Some(message) = first_image(&generation.task) {
        return Err(blind(&choice.model.id, message));
    }
    if let Why::Meanwhile(model) = choice.why
        && model.runtime.state == RuntimeState::Unloaded
    {
        background::spawn(load(choice.node.link.clone(), model.id.clone()));
    }
    Ok(vec![choice.candidate()])
}

async fn load(link: NodeLink, model: String) {
    if let Err(error) = link.load(&model).await {
        tracing::warn!(model, %error, "a model that was asked for can't be loaded in the background");
    }
}

struct Choice<'a> {
    node: &'a LiveNode,
    model: &'a NodeModel,
    why: Why<'a>,
}

/// Why a model was chosen.
enum Why<'a> {
    Named,
    Default,
    /// The default, until this one is loaded.
    Meanwhile(&'a NodeModel),
}

fn choose<'a>(
    nodes: &'a [LiveNode],
    asked: Option<&str>,
    modality: Modality,
    while_loading: WhileLoading,
) -> Result<Choice<'a>, ApiError> {
    let Some(id) = asked else {
        let default = nodes.iter().find_map(|node| Some((node, default_of(node, modality)?)));
        let (node, model) = default.ok_or_else(|| no_default(modality))?;
        return Ok(Choice { node, model, why: Why::Default });
    };
    let named = nodes.iter().find_map(|node| Some((node, node.model(id)?)));
    let (node, model) = named.ok_or_else(|| no_such_model(id))?;
    if model.modality != modality {
        return Err(makes_other(model.modality, modality));
    }
    let absent = matches!(model.runtime.state, RuntimeState::Unloaded | RuntimeState::Loading);
    if while_loading == WhileLoading::Default
        && absent
        && let Some(default) = default_of(node, modality).filter(|default| is_in_memory(default))
    {
        return Ok(Choice { node, model: default, why: Why::Meanwhile(model) });
    }
    Ok(Choice { node, model, why: Why::Named })
}

/// The model of a node that makes such things when none is named: its default, or any where it has none.
fn default_of(node: &LiveNode, modality: Modality) -> Option<&NodeModel> {
    let usable =
        |model: &&NodeModel| model.modality == modality && model.runtime.state != RuntimeState::Failed;
    match node.status.default_models.get(&modality) {
        Some(id) => node.model(id).filter(|model| model.modality == modality),
        None => node.status.models.iter().find(usable),
    }
}

fn is_in_memory(model: &NodeModel) -> bool {
    matches!(model.runtime.state, RuntimeState::Loaded | RuntimeState::Busy)
}

impl Choice<'_> {
    fn candidate(&self) -> Candidate {
        let (reason, fallback_reason) = match self.why {
            Why::Named => ("the request names this model", None),
            Why::Default => ("the default model, since the request names none", None),
            Why::Meanwhile(_) => {
                ("the default model, while the one that the request names is being loaded", Some("loading"))
            }
        };
        let link = &self.node.link;
        Candidate {
            provider: Arc::new(link.clone()),
            node: Some(link.id()),
            model: ModelId::new(&*self.model.id),
            facts: Some(facts(self.model)),
            selected: Selected {
                model: self.model.id.clone(),
                model_name: self.model.name.clone(),
                provider: link.name().to_owned(),
                node: Some(link.id()),
                modality: self.model.modality,
                reason: reason.to_owned(),
                fallback_used: fallback_reason.is_some(),
                fallback_reason: fallback_reason.map(str::to_owned),
                resumed: false,
            },
            defaults: Defaults::default(),
            spent: None,
        }
    }
}

/// What a node tells of a model. It can do whatever is asked of a text model, but see.
fn facts(model: &NodeModel) -> Facts {
    Facts {
        name: Some(model.name.clone()),
        modality: model.modality,
        context_length: model.context_length,
        price: Some(Price::free()),
        tier: Tier::Free,
        ..Facts::default()
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

/// A model is shown what it can't see.
fn blind(model: &str, message: usize) -> ApiError {
    let text = format!(
        "the model {model} takes text only; leave images and documents out, or name a model that takes them"
    );
    ApiError::invalid(format!("messages[{message}].content"), text)
}

/// A model is asked for what it doesn't make.
fn makes_other(made: Modality, wanted: Modality) -> ApiError {
    let message = match (made, wanted) {
        (Modality::Embedding, _) => {
            "the model makes embeddings and no text; send it to POST /v1/embeddings, or name a chat model"
                .to_owned()
        }
        (_, Modality::Embedding) => {
            "the model makes no embeddings; name an embedding model, or \"auto\" for the default one"
                .to_owned()
        }
        (made, wanted) => {
            format!("the model makes {}, and {} was asked for", made.as_str(), wanted.as_str())
        }
    };
    ApiError::invalid("model", message)
}

#[cfg(test)]
mod tests;
