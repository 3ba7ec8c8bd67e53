//! Infers from a prompt what to make, where the request leaves it open: by an operator's rule, or by plain words, a
//! request for text becomes one for a picture or a mesh.
//!
//! That precedes the choice of a model, and needs a model that can make it: without one the request stays one for text.

use std::sync::Arc;

use hearth_domain::{
    Generation, ImageTask, Intent, MeshTask, Modality, Task, TextTask, intent::detect_modality, modality_of,
};
use hearth_providers::{config::LOCAL, vendor};

use super::{
    candidates::Candidate, local::OnMiss, needs::Needs, resolver::Resolver, rules, sources::Sources,
};
use crate::{access::Caller, configuration::RoutingSnapshot, providers::ConfiguredProvider, settings::AUTO};

/// The request with the task that its prompt asks for; none if that is text.
pub(super) async fn infer_intent(
    sources: &Sources,
    routing: &Arc<RoutingSnapshot>,
    caller: &Caller,
    generation: &Generation,
) -> Option<Generation> {
    let Task::Text(task) = &generation.task else { return None };
    let selection = &routing.selection;
    if generation.route.provider.is_none()
        && let Some((rule, Some(word))) =
            rules::first_match(&selection.rules, generation, &Needs::of(generation))
    {
        for modality in [Modality::Image, Modality::ThreeD] {
            let intent = Intent::Inferred { words: word.to_owned(), model: Some(rule.model.clone()) };
            if let Some(changed) =
                if_possible(sources, routing, caller, generation, task, modality, intent).await
            {
                return Some(changed);
            }
        }
        // A rule of the operator comes before the built-in words.
        return None;
    }
    let message = task.messages.last().filter(|_| selection.intent_words)?;
    let (modality, words) = detect_modality(&message.content, !message.images.is_empty())?;
    let intent = Intent::Inferred { words, model: None };
    if_possible(sources, routing, caller, generation, task, modality, intent).await
}

/// The request with another modality, if there is a model that can make it.
async fn if_possible(
    sources: &Sources,
    routing: &Arc<RoutingSnapshot>,
    caller: &Caller,
    generation: &Generation,
    task: &TextTask,
    modality: Modality,
    intent: Intent,
) -> Option<Generation> {
    let task = convert(task, modality)?;
    let changed = Generation { task, intent, ..generation.clone() };
    let mut resolver = Resolver::new(sources, routing, caller, &changed).await.ok()?;
    has_model(&mut resolver).await.then_some(changed)
}

/// A task of text as one of another modality; none if it can't be one.
fn convert(task: &TextTask, modality: Modality) -> Option<Task> {
    let [message] = task.messages.as_slice() else { return None };
    let mut images: Vec<_> = message.images.iter().map(|placed| placed.image.clone()).collect();
    let (prompt, seed) = (message.content.clone(), task.sampling.seed);
    let task: Task = match modality {
        Modality::Image => ImageTask { images, count: task.choices, seed, ..ImageTask::new(prompt) }.into(),
        // A model that makes meshes of pictures takes no words.
        Modality::ThreeD if task.choices == 1 && images.len() <= 1 => {
            let image = images.pop();
            let prompt = image.is_none().then_some(prompt);
            MeshTask { prompt, image, seed, ..MeshTask::default() }.into()
        }
        _ => return None,
    };
    task.check().is_ok().then_some(task)
}

/// True if there is a capable model among those that may be chosen. Takes no turn of the weighted strategy.
async fn has_model(resolver: &mut Resolver<'_>) -> bool {
    let routing = resolver.routing;
    let route = &resolver.generation.route;
    let providers = Arc::clone(&resolver.providers);
    match route.provider.as_deref() {
        Some(LOCAL) => return has_local_model(resolver).await,
        Some(name) => {
            return providers.iter().any(|one| one.name() == name && has_vendor_model(resolver, one));
        }
        None => {}
    }
    if let Intent::Inferred { model: Some(model), .. } = &resolver.generation.intent {
        return has_named_model(resolver, model).await;
    }
    let of_rule = resolver.rule_target().map(|(model, _)| model.to_owned());
    let auto = routing.aliases.contains_key(AUTO).then(|| AUTO.to_owned());
    for name in [route.preferred.clone(), of_rule, auto].into_iter().flatten() {
        if has_named_model(resolver, &name).await {
            return true;
        }
    }
    has_local_model(resolver).await || providers.iter().any(|one| has_vendor_model(resolver, one))
}

async fn has_local_model(resolver: &mut Resolver<'_>) -> bool {
    let candidates = resolver.local_candidates(None, OnMiss::Fail).await.unwrap_or_default();
    !resolver.retain_capable(candidates).is_empty()
}

fn has_vendor_model(resolver: &mut Resolver<'_>, provider: &ConfiguredProvider) -> bool {
    if !provider.is_usable() {
        return false;
    }
    let mut models = resolver.sources.provider_models.default_models(resolver.routing, provider);
    models.retain(|model| resolver.can_make(provider, model));
    models.iter().any(|model| {
        let candidates = resolver.provider_candidate(provider, model, "").unwrap_or_default();
        !resolver.retain_capable(candidates).is_empty()
    })
}

/// True if the model of this name, or a target of this alias, has the request's modality.
async fn has_named_model(resolver: &mut Resolver<'_>, name: &str) -> bool {
    let names = match resolver.routing.aliases.get(name) {
        Some(alias) => alias.targets.iter().map(|target| target.model.clone()).collect(),
        None => vec![name.to_owned()],
    };
    for name in names {
        let candidates = resolver.model_candidates(&name).await.unwrap_or_default();
        let modality = resolver.needs.modality;
        if resolver.retain_capable(candidates).iter().any(|one| makes(one, modality)) {
            return true;
        }
    }
    false
}

/// True if a capable candidate has this modality: by its metadata, or by its name.
fn makes(candidate: &Candidate, modality: Modality) -> bool {
    let vendor = vendor::of_kind(candidate.provider.kind());
    let is_possible = vendor.is_none_or(|vendor| vendor.media.supports(modality));
    is_possible && (candidate.info.is_some() || modality_of(candidate.model.as_str()) == modality)
}
impl Resolver<'_> {
    /// The candidates, with the words of the prompt in their reasons if the task was inferred from them.
    pub(super) fn with_intent(&self, picks: Vec<Candidate>) -> Vec<Candidate> {
        let Intent::Inferred { words, model: None } = &self.generation.intent else { return picks };
        let kind = if self.needs.modality == Modality::Image { "an image" } else { "a mesh" };
        let with_words = |one: Candidate| {
            let reason = format!("the prompt asks for {kind} ({words:?}): {}", one.selected.reason);
            one.with_reason(&reason)
        };
        picks.into_iter().map(with_words).collect()
    }
}
