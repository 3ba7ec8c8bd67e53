//! Candidates among the models of the caller's nodes.

use std::sync::Arc;

use hearth_domain::{
    Generation, Input, Modality, ModelId, ModelInfo, NodeId, NodeTransport, Price, RuntimeState, Selection,
    Tier, WhileLoading,
};
use hearth_providers::{Defaults, NodeLink, Provider as _, config::LOCAL};
use hearth_wire::{ApiError, ErrorCode, node::NodeModel};

use super::{
    candidates::{Candidate, Rejected, first_image},
    regions,
};
use crate::{
    access::Caller,
    background,
    error::no_such_model,
    nodes::{
        EnergyUse, LiveNode, NodeRecord, Nodes, StatusAge, may_manage, may_use,
        placement::{NodeOption, PassedOver, Placement, place},
    },
};

/// Limit of the number of nodes that an error names.
const LISTED_NODES_MAX_COUNT: usize = 5;

/// The handling of a model that no node has by its cached status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnMiss {
    Fail,
    /// Read the nodes' present status: the file may be new.
    ReadStatus,
}

/// The candidates for the model `id`: the nodes that have it, in the order in which they are asked. Without an id, the default
/// models of nodes, of the request's modality. Nodes that are passed over are added to `rejected`.
pub(super) async fn local_candidates(
    nodes: &Arc<Nodes>,
    caller: &Caller,
    generation: &Generation,
    id: Option<&str>,
    on_miss: OnMiss,
    rejected: &mut Vec<Rejected>,
) -> Result<Vec<Candidate>, ApiError> {
    let mut live = nodes.live(caller, StatusAge::Cached).await?;
    let is_miss = id.is_some_and(|id| !live.iter().any(|node| node.model(id).is_some()));
    if is_miss && on_miss == OnMiss::ReadStatus {
        live = nodes.live(caller, StatusAge::Current).await?;
    }
    let answering: Vec<NodeId> = live.iter().map(|node| node.record.id).collect();
    let (live, excluded) = split_by_region(live, &caller.regions);
    let mut result = candidates(nodes, &live, caller, generation, id, rejected);
    if let Err(error) = &mut result
        && matches!(error.code, ErrorCode::NoModelAvailable | ErrorCode::QueueFull)
        && let Some(absent) = nodes.describe_absent(caller, &answering).await
    {
        error.message += &format!("; {absent}");
    }
    let conflict = |node: &LiveNode| regions::conflict(&caller.regions, node.record.region.as_deref());
    let excluded: Vec<_> = excluded.iter().filter(|node| node.serves(id)).collect();
    match (result, excluded.first()) {
        (Err(_), Some(node)) => {
            let reason = conflict(node).unwrap_or_default();
            Err(regions::excluded(id.map_or("the node", |id| id), &reason, &caller.regions))
        }
        (result, _) => {
            for node in excluded {
                let reason = conflict(node).unwrap_or_default();
                let reason = format!("the node {}: {reason}", node.record.name);
                rejected.push(local_rejected(id.unwrap_or_default(), reason));
            }
            result
        }
    }
}

/// The nodes in the organisation's regions, and the others.
fn split_by_region(live: Vec<LiveNode>, regions: &[String]) -> (Vec<LiveNode>, Vec<LiveNode>) {
    live.into_iter().partition(|node| regions::conflict(regions, node.record.region.as_deref()).is_none())
}

fn candidates(
    nodes: &Nodes,
    live: &[LiveNode],
    caller: &Caller,
    generation: &Generation,
    id: Option<&str>,
    rejected: &mut Vec<Rejected>,
) -> Result<Vec<Candidate>, ApiError> {
    if let Some(id) = id {
        caller.require_model(LOCAL, id)?;
    }
    let may_use = |model: &NodeModel| caller.may_use_model(LOCAL, &model.id);
    let option_of = |node: &LiveNode, model: &NodeModel| nodes.option(caller, node, model);
    let choices = choose(live, id, generation.task.modality(), generation.while_loading, may_use, option_of)?;
    if let Some(message) = first_image(&generation.task) {
        let model = choices.order.first().or(choices.passed_over.first().map(|(choice, _)| choice));
        let model = model.map_or("", |choice| choice.model.id.as_str());
        return Err(takes_no_images(model, message));
    }
    for (choice, reason) in &choices.passed_over {
        let is_full_node = matches!(reason, PassedOver::Full(_));
        let reason = format!("the node {} {}", choice.node.record.name, reason.describe());
        rejected.push(Rejected { is_full_node, ..local_rejected(&choice.model.id, reason) });
    }
    if choices.order.is_empty() {
        return Err(all_passed_over(&choices.passed_over));
    }
    if let Some((node, model)) = choices.load {
        background::spawn(load(node.link.clone(), model.id.clone()));
    }
    let is_only = choices.order.len() + choices.passed_over.len() == 1;
    Ok(choices.order.iter().map(|choice| choice.candidate(nodes, is_only)).collect())
}

/// The nodes that aren't shared with the caller, for the members who manage them.
pub(super) async fn unshared_nodes(nodes: &Arc<Nodes>, caller: &Caller) -> Result<Vec<Rejected>, ApiError> {
    let records = nodes.records_for(caller).await?;
    let unshared = records.iter().filter(|node| !may_use(caller, node) && may_manage(caller, node));
    let rejected =
        |node: &Arc<NodeRecord>| local_rejected("", format!("the node {} isn't shared with you", node.name));
    Ok(unshared.map(rejected).collect())
}

fn local_rejected(model: &str, reason: String) -> Rejected {
    Rejected { provider: LOCAL.to_owned(), model: model.to_owned(), reason, is_full_node: false }
}

/// The error for a model whose nodes are all passed over.
fn all_passed_over(passed_over: &[(Choice<'_>, PassedOver)]) -> ApiError {
    let is_full = passed_over.iter().any(|(_, reason)| matches!(reason, PassedOver::Full(_)));
    let code = if is_full { ErrorCode::QueueFull } else { ErrorCode::NoModelAvailable };
    let nodes = passed_over.iter().take(LISTED_NODES_MAX_COUNT);
    let nodes = nodes.map(|(choice, reason)| format!("{} {}", choice.node.record.name, reason.describe()));
    let nodes: Vec<String> = nodes.collect();
    let model = passed_over.first().map_or("", |(choice, _)| choice.model.id.as_str());
    ApiError::new(code, format!("no node takes a run of {model} now: {}", nodes.join("; "))).at("model")
}

/// True if a run has to wait for the load of the model.
fn is_cold(model: &NodeModel) -> bool {
    matches!(model.runtime.state, RuntimeState::Unloaded | RuntimeState::Loading)
}

/// Loads a model at its node.
pub(super) async fn load(link: NodeLink, model: String) {
    if let Err(error) = link.load(&model).await {
        tracing::warn!(model, %error, "a requested model can't be loaded in the background");
    }
}

#[derive(Debug, Clone)]
struct Choice<'a> {
    node: &'a LiveNode,
    model: &'a NodeModel,
    reason: Reason,
    option: NodeOption,
}

/// The choices for a request.
#[derive(Debug)]
struct Choices<'a> {
    /// In the order in which they are asked.
    order: Vec<Choice<'a>>,
    passed_over: Vec<(Choice<'a>, PassedOver)>,
    /// The model to load meanwhile, and its node.
    load: Option<(&'a LiveNode, &'a NodeModel)>,
}

/// The reason for a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Named,
    Default,
    /// The default serves while the named model is loaded.
    WhileLoading,
}

fn choose<'a>(
    nodes: &'a [LiveNode],
    id: Option<&str>,
    modality: Modality,
    while_loading: WhileLoading,
    may_use: impl Fn(&NodeModel) -> bool,
    option_of: impl Fn(&LiveNode, &NodeModel) -> NodeOption,
) -> Result<Choices<'a>, ApiError> {
    let defaults = || nodes.iter().filter_map(|node| Some((node, default_of(node, modality, &may_use)?)));
    let Some(id) = id else {
        let choices = placed(defaults(), Reason::Default, &option_of);
        return if choices.is_empty() { Err(no_default(modality, !nodes.is_empty())) } else { Ok(choices) };
    };
    let named = || nodes.iter().filter_map(|node| Some((node, node.model(id)?)));
    let makes = |model: &NodeModel| model.description.modality == modality;
    let choices = placed(named().filter(|(_, model)| makes(model)), Reason::Named, &option_of);
    if choices.is_empty() {
        let other = named().next().ok_or_else(|| no_such_model(id))?.1;
        return Err(makes_other(other.description.modality, modality));
    }
    if while_loading == WhileLoading::Default
        && let Some(first) = choices.order.first()
        && is_cold(first.model)
    {
        let in_memory = defaults().filter(|(_, default)| is_in_memory(default));
        let mut meanwhile = placed(in_memory, Reason::WhileLoading, &option_of);
        if !meanwhile.order.is_empty() {
            let is_unloaded = first.model.runtime.state == RuntimeState::Unloaded;
            meanwhile.load = is_unloaded.then_some((first.node, first.model));
            return Ok(meanwhile);
        }
    }
    Ok(choices)
}

/// The nodes in the order of their placement.
fn placed<'a>(
    pairs: impl Iterator<Item = (&'a LiveNode, &'a NodeModel)>,
    reason: Reason,
    option_of: impl Fn(&LiveNode, &NodeModel) -> NodeOption,
) -> Choices<'a> {
    let choice = |(node, model)| Choice { node, model, reason, option: option_of(node, model) };
    let choices: Vec<Choice<'_>> = pairs.map(choice).collect();
    let options: Vec<NodeOption> = choices.iter().map(|choice| choice.option.clone()).collect();
    let Placement { order, passed_over } = place(&options);
    Choices {
        order: order.into_iter().map(|index| choices[index].clone()).collect(),
        passed_over: passed_over.into_iter().map(|(index, why)| (choices[index].clone(), why)).collect(),
        load: None,
    }
}

impl Choices<'_> {
    fn is_empty(&self) -> bool {
        self.order.is_empty() && self.passed_over.is_empty()
    }
}

/// A node's default model of a modality. Any that the caller may use, where the node has no default or the caller may not use
/// it.
fn default_of(
    node: &LiveNode,
    modality: Modality,
    may_use: impl Fn(&NodeModel) -> bool,
) -> Option<&NodeModel> {
    let is_usable = |model: &&NodeModel| {
        model.description.modality == modality
            && model.runtime.state != RuntimeState::Failed
            && may_use(model)
    };
    let default = node.status.default_models.get(&modality);
    match default.filter(|id| node.model(id).is_none_or(&may_use)) {
        Some(id) => node.model(id).filter(|model| model.description.modality == modality),
        None => node.status.models.iter().find(is_usable),
    }
}

fn is_in_memory(model: &NodeModel) -> bool {
    matches!(model.runtime.state, RuntimeState::Loaded | RuntimeState::Busy)
}

impl Choice<'_> {
    /// The candidate. `is_only`: no other node has the model.
    fn candidate(&self, nodes: &Nodes, is_only: bool) -> Candidate {
        let (reason, fallback_reason) = match self.reason {
            Reason::Named => ("the request names this model", None),
            Reason::Default => ("the default model, since the request names none", None),
            Reason::WhileLoading => {
                ("the default model, while the one that the request names is being loaded", Some("loading"))
            }
        };
        let placement = format!("the node {}: {}", self.node.record.name, self.option.describe());
        let link = &self.node.link;
        let energy = nodes.energy_use(self.node, self.option.slots, self.option.tokens_per_second);
        let price = energy.as_ref().map_or_else(Price::free, EnergyUse::price);
        Candidate {
            account: link.name().to_owned(),
            is_members_machine: link.transport() != NodeTransport::InProcess,
            node: Some(link.id()),
            model: ModelId::new(&*self.model.id),
            info: Some(ModelInfo { price: Some(price), ..info(self.model) }),
            selected: Selection {
                model: ModelId::new(&*self.model.id),
                model_name: self.model.description.name.clone(),
                provider: link.name().to_owned(),
                node: Some(link.id()),
                payer: None,
                modality: self.model.description.modality,
                reason: if is_only { reason.to_owned() } else { format!("{reason}; {placement}") },
                fallback_used: fallback_reason.is_some(),
                fallback_reason: fallback_reason.map(str::to_owned),
                resumed: false,
            },
            defaults: Defaults::default(),
            exhausted: None,
            placement: Some(placement),
            provider: Arc::new(nodes.provider(self.node, is_only)),
            energy,
            loads_at: is_cold(self.model).then(|| link.clone()),
        }
    }
}

/// The metadata of a node's model. A text model counts as capable of everything but reading images; an image model changes
/// images too.
fn info(model: &NodeModel) -> ModelInfo {
    let inputs = match model.description.modality {
        Modality::Image => vec![Input::Text, Input::Image],
        _ => vec![Input::Text],
    };
    ModelInfo {
        name: Some(model.description.name.clone()),
        modality: model.description.modality,
        context_length: model.description.context_length,
        tier: Tier::Free,
        inputs,
        ..ModelInfo::default()
    }
}

/// The error if no node has a model for a request that names none. `has_nodes`: the caller has nodes that answer.
fn no_default(modality: Modality, has_nodes: bool) -> ApiError {
    let message = match modality {
        Modality::Image => {
            "no model that is set up makes images; name one, such as openai:gpt-image-1, or put an image model into a node's \
             model folder"
        }
        Modality::ThreeD => {
            "no model that is set up makes meshes; name one, such as stability:stable-fast-3d"
        }
        Modality::Embedding => {
            "no node that is connected has an embedding model; download one there with `hearth models pull`, or name a \
             provider's model"
        }
        _ if has_nodes => {
            "no node that is connected has a text model that you may use; download one there with \
             `hearth models pull`, or name a model"
        }
        _ => {
            "you have no node: enrol a machine with `hearth node code`, ask the owner of one to share it with you, \
             or name a model"
        }
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
        (Modality::Image, Modality::Text) => {
            "the model makes images; set \"modality\" to \"image\" in a request to POST /v1/generate, or send the prompt to POST \
             /v1/images/generations"
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
