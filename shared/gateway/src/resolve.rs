//! Who may serve a request, in the order in which they are tried.

mod local;

use std::sync::Arc;

use hearth_domain::{
    Generation, Modality, ModelId, NodeId, SelectionMode, Task, modality_of, route::provider_and_model,
};
use hearth_providers::{Provider, config::LOCAL};
use hearth_wire::{ApiError, ErrorCode, event::Selected};

use crate::{Caller, Gateway, providers::Known, registry::no_such_model};

/// What a client writes to leave the choice to the gateway.
const AUTO: &str = "auto";

/// Who could serve a request, and why.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) provider: Arc<dyn Provider>,
    /// The node, for a local model.
    pub(crate) node: Option<NodeId>,
    /// The model, by the provider's name for it.
    pub(crate) model: ModelId,
    pub(crate) selected: Selected,
}

impl Gateway {
    /// Everybody who may serve the request, the first choice first; there is at least one.
    ///
    /// The first choice is the model that the request names; else the default of a node, else the first
    /// model of a provider. What is to be tried in its place follows.
    pub(crate) async fn resolve(
        &self,
        caller: &Caller,
        generation: &Generation,
    ) -> Result<Vec<Candidate>, ApiError> {
        let known = self.providers().await;
        let asked = generation.model.as_ref().map(ModelId::as_str).filter(|id| *id != AUTO);
        let first = match asked {
            Some(name) => self.named(caller, generation, &known, name).await,
            None => self.unnamed(caller, generation, &known).await,
        };
        let mut first = first.and_then(|found| allowed(generation.route.mode, found));
        let fallbacks = self.fallbacks(generation, asked);
        if fallbacks.is_empty() || first.as_ref().is_err_and(|error| !may_fall_back(error.code)) {
            return first;
        }
        let mut candidates = first.as_mut().map(std::mem::take).unwrap_or_default();
        for name in &fallbacks {
            match self.named(caller, generation, &known, name).await {
                Ok(found) => candidates.extend(allowed(generation.route.mode, found).unwrap_or_default()),
                Err(error) => tracing::warn!(name, %error, "a model to fall back to can't be used"),
            }
        }
        let mut seen = Vec::new();
        candidates.retain(|candidate| {
            let who = (candidate.selected.provider.clone(), candidate.model.clone());
            let new = !seen.contains(&who);
            seen.push(who);
            new
        });
        match (first, candidates.is_empty()) {
            (Err(error), true) => Err(error),
            (Err(error), false) => {
                let instead = format!("the first choice can't be had: {}", error.message);
                for candidate in &mut candidates {
                    candidate.selected.reason.clone_from(&instead);
                    candidate.selected.fallback_used = true;
                    candidate.selected.fallback_reason = Some(error.code.as_str().to_owned());
                }
                Ok(candidates)
            }
            (Ok(_), _) => Ok(candidates),
        }
    }

    /// What is to be tried in place of the first choice: as the request says, else as the operator does.
    fn fallbacks(&self, generation: &Generation, asked: Option<&str>) -> Vec<String> {
        let route = &generation.route;
        if route.mode == SelectionMode::Model {
            return Vec::new();
        }
        let set = || self.0.directory.routing().fallbacks.get(asked.unwrap_or(AUTO)).cloned();
        route.fallbacks.clone().or_else(set).unwrap_or_default()
    }

    /// Who has the model of this name.
    async fn named(
        &self,
        caller: &Caller,
        generation: &Generation,
        known: &[Known],
        name: &str,
    ) -> Result<Vec<Candidate>, ApiError> {
        let pinned = generation.route.provider.as_deref();
        let named = "the request names this model";
        if let Some((provider, model)) = provider_and_model(name) {
            if provider == LOCAL {
                return self.local(caller, generation, Some(model)).await;
            }
            if let Some(known) = known.iter().find(|known| known.name() == provider) {
                return Ok(vec![commercial(known, model, "the request names this provider and model")?]);
            }
        }
        match pinned {
            Some(LOCAL) => return self.local(caller, generation, Some(name)).await,
            Some(provider) => {
                let known = by_name(known, provider)?;
                return Ok(vec![commercial(known, name, "the request names this provider and model")?]);
            }
            None => {}
        }
        if let Some(targets) = self.0.directory.routing().aliases.get(name) {
            return self.alias(caller, generation, known, name, targets).await;
        }
        let owner = known.iter().find(|known| known.models.iter().any(|model| model == name));
        match (self.local(caller, generation, Some(name)).await, owner) {
            (Ok(found), _) => Ok(found),
            (Err(_), Some(owner)) => Ok(vec![commercial(owner, name, named)?]),
            (Err(error), None) if error.code == ErrorCode::ModelNotFound => Err(unknown(name, known)),
            (Err(error), None) => Err(error),
        }
    }

    /// Who has the models that an alias stands for. An alias doesn't stand for another one.
    async fn alias(
        &self,
        caller: &Caller,
        generation: &Generation,
        known: &[Known],
        alias: &str,
        targets: &[String],
    ) -> Result<Vec<Candidate>, ApiError> {
        let (mut candidates, mut failure) = (Vec::new(), no_such_model(alias));
        for target in targets {
            let split = provider_and_model(target);
            let owner = |name: &str| known.iter().find(|known| known.name() == name);
            let reason = format!("the alias {alias} stands for this model");
            let found = match split.and_then(|(provider, model)| Some((owner(provider)?, model))) {
                Some((owner, model)) => commercial(owner, model, &reason).map(|one| vec![one]),
                None => {
                    let model = split
                        .filter(|(provider, _)| *provider == LOCAL)
                        .map_or(&**target, |(_, model)| model);
                    let listed = known.iter().find(|known| known.models.iter().any(|listed| listed == model));
                    match (self.local(caller, generation, Some(model)).await, listed) {
                        (Err(_), Some(owner)) => commercial(owner, model, &reason).map(|one| vec![one]),
                        (found, _) => found.map(|mut found| {
                            found.iter_mut().for_each(|one| one.selected.reason.clone_from(&reason));
                            found
                        }),
                    }
                }
            };
            match found {
                Ok(found) => candidates.extend(found),
                Err(error) => failure = error,
            }
        }
        if candidates.is_empty() { Err(failure) } else { Ok(candidates) }
    }

    /// Who serves a request that names no model.
    async fn unnamed(
        &self,
        caller: &Caller,
        generation: &Generation,
        known: &[Known],
    ) -> Result<Vec<Candidate>, ApiError> {
        let first_of = |known: &Known| {
            let wanted = generation.task.modality();
            let model = known.models.iter().find(|model| modality_of(model) == wanted)?;
            commercial(known, model, "the first model of a provider, since the request names none").ok()
        };
        match generation.route.provider.as_deref() {
            Some(LOCAL) => return self.local(caller, generation, None).await,
            Some(provider) => {
                let known = by_name(known, provider)?;
                let found = first_of(known).ok_or_else(|| {
                    let message = format!("name a model of {provider}: none is set in its settings");
                    ApiError::invalid("model", message)
                })?;
                return Ok(vec![found]);
            }
            None => {}
        }
        let local = self.local(caller, generation, None).await;
        let others: Vec<Candidate> = known.iter().filter_map(first_of).collect();
        match local {
            Ok(mut found) => {
                // Whoever wants a free model to be replaced by one that costs says so.
                if generation.route.mode == SelectionMode::CommercialOnly {
                    found.extend(others);
                }
                Ok(found)
            }
            Err(_) if !others.is_empty() => Ok(others),
            Err(error) if error.code == ErrorCode::NoModelAvailable => Err(nobody_makes(error, generation)),
            Err(error) => Err(error),
        }
    }
}

/// Nobody is known that makes such things. For texts and vectors the nodes have said what to do.
fn nobody_makes(error: ApiError, generation: &Generation) -> ApiError {
    let what = match generation.task.modality() {
        Modality::Text | Modality::Embedding => return error,
        Modality::Image => "images; name a model that does, such as openai:gpt-image-1",
        Modality::ThreeD => "meshes; name a model that does, such as stability:stable-fast-3d",
    };
    let message = format!("no model of those that are set up makes {what}");
    ApiError::new(ErrorCode::NoModelAvailable, message).at("model")
}

/// Keeps those that may serve in this mode.
fn allowed(mode: SelectionMode, mut found: Vec<Candidate>) -> Result<Vec<Candidate>, ApiError> {
    let what = match mode {
        SelectionMode::Auto | SelectionMode::Model => return Ok(found),
        SelectionMode::FreeOnly => "free_only leaves models of nodes, and none of them fits",
        SelectionMode::CommercialOnly => "commercial_only leaves commercial providers, and none of them fits",
    };
    found.retain(|candidate| candidate.node.is_some() == (mode == SelectionMode::FreeOnly));
    if found.is_empty() {
        return Err(ApiError::new(ErrorCode::NoModelAvailable, what).at("selection_mode"));
    }
    Ok(found)
}

/// Whether another model may do better.
pub(crate) fn may_fall_back(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::InvalidRequest
            | ErrorCode::PayloadTooLarge
            | ErrorCode::Cancelled
            | ErrorCode::Internal
            | ErrorCode::Unauthorized
            | ErrorCode::Forbidden
    )
}

fn commercial(known: &Known, model: &str, reason: &str) -> Result<Candidate, ApiError> {
    let name = known.name();
    if !known.is_usable() {
        let message = format!("there is no key for {name}; set one with `hearth key set {name}`");
        return Err(ApiError::new(ErrorCode::ProviderAuth, message));
    }
    Ok(Candidate {
        provider: Arc::new(known.provider.clone()),
        node: None,
        model: ModelId::new(model),
        selected: Selected {
            model: model.to_owned(),
            model_name: model.to_owned(),
            provider: name.to_owned(),
            node: None,
            modality: Modality::Text,
            reason: reason.to_owned(),
            fallback_used: false,
            fallback_reason: None,
        },
    })
}

fn by_name<'a>(known: &'a [Known], name: &str) -> Result<&'a Known, ApiError> {
    known.iter().find(|known| known.name() == name).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(Known::name).collect();
        let have = if names.is_empty() { "none is".to_owned() } else { format!("{} are", names.join(", ")) };
        let message =
            format!("no provider {name:?} is set up, but {have}; set it up with `hearth key set {name}`");
        ApiError::invalid("provider", message)
    })
}

/// Nobody has a model of this name.
fn unknown(name: &str, known: &[Known]) -> ApiError {
    let mut error = no_such_model(name);
    if let Some((provider, _)) = provider_and_model(name)
        && hearth_providers::vendor::of_kind(provider).is_some()
    {
        error.message =
            format!("no provider {provider:?} is set up; set its key with `hearth key set {provider}`");
    } else if let Some(known) = known.first() {
        error.message = format!("{}; a provider's model is named as {}:MODEL", error.message, known.name());
    }
    error
}

/// The first message that shows an image.
fn first_image(task: &Task) -> Option<usize> {
    match task {
        Task::Text(task) => task.messages.iter().position(|message| !message.images.is_empty()),
        Task::Embedding(_) | Task::Image(_) | Task::Mesh(_) => None,
    }
}
