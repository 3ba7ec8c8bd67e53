//! Finds the candidates for one request.

use std::sync::Arc;

use hearth_domain::{Generation, Intent, ModelId, SelectionMode, modality_of, route::provider_and_model};
use hearth_providers::config::LOCAL;
use hearth_wire::{ApiError, ErrorCode};

use super::{
    candidates::{Candidate, Rejected, may_fall_back, none_capable},
    local::{OnMiss, local_candidates},
    needs::Needs,
    order::describe,
    place::Place,
    provider::{provider_candidate, provider_of_name, unknown_model},
    registered::ready_first,
    rules,
    sources::Sources,
};
use crate::{
    access::Caller,
    configuration::RoutingSnapshot,
    models::RegistrySnapshot,
    providers::ConfiguredProvider,
    settings::{AUTO, Alias, Target},
};

/// Limit of the candidates where the request names only a provider: one that fails with three models fails with the
/// others.
const PROVIDER_CANDIDATE_MAX_COUNT: usize = 3;

/// Finds the candidates for one request, and records the models that it rejects.
pub(super) struct Resolver<'a> {
    pub(super) sources: &'a Sources,
    /// The routing that the request follows.
    pub(super) routing: &'a RoutingSnapshot,
    /// The registry of the caller's organisation.
    pub(super) registry: Arc<RegistrySnapshot>,
    pub(super) caller: &'a Caller,
    pub(super) generation: &'a Generation,
    pub(super) providers: Arc<[ConfiguredProvider]>,
    pub(super) needs: Needs,
    pub(super) rejected: Vec<Rejected>,
    /// The place that candidates are looked for in.
    pub(super) place: Place,
}

impl<'a> Resolver<'a> {
    pub(super) async fn new(
        sources: &'a Sources,
        routing: &'a Arc<RoutingSnapshot>,
        caller: &'a Caller,
        generation: &'a Generation,
    ) -> Result<Self, ApiError> {
        let providers = sources.providers.configured_for(caller, routing).await?;
        let registry = sources.registries.current(caller.organisation).await;
        let (needs, rejected, place) = (Needs::of(generation), Vec::new(), Place::Anywhere);
        Ok(Self { sources, routing, registry, caller, generation, providers, needs, rejected, place })
    }

    /// All candidates: the first choice, then its fallbacks.
    pub(super) async fn candidates(&mut self) -> Result<Vec<Candidate>, ApiError> {
        let name = self.generation.model.as_ref().map(ModelId::as_str).filter(|id| *id != AUTO);
        let mut first = match name {
            Some(name) => self.named_candidates(name).await,
            None => self.unnamed_candidates().await.map(|picks| self.with_intent(picks)),
        };
        let fallbacks = self.fallbacks(name);
        if fallbacks.is_empty() || first.as_ref().is_err_and(|error| !may_fall_back(error.code)) {
            return first;
        }
        let mut candidates = first.as_mut().map(std::mem::take).unwrap_or_default();
        let first_count = candidates.len();
        for name in &fallbacks {
            match self.named_candidates(name).await {
                Ok(picks) => candidates.extend(self.retain_capable(picks)),
                Err(error) => {
                    // Where nodes are looked for alone, again and again, a provider is no news.
                    if self.place.is_anywhere() {
                        tracing::warn!(name, %error, "a fallback model can't be used");
                    }
                    self.reject("", name, error.message);
                }
            }
        }
        if first.is_ok() && self.starts_with_fallback(name) {
            candidates = ready_first(candidates, first_count);
        }
        let mut seen = Vec::new();
        candidates.retain(|candidate| {
            let key = (candidate.selected.provider.clone(), candidate.model.clone(), candidate.node);
            let is_new = !seen.contains(&key);
            seen.push(key);
            is_new
        });
        match (first, candidates.is_empty()) {
            (Err(error), true) => Err(error),
            (Err(error), false) => {
                let reason = format!("the first choice isn't available: {}", error.message);
                let fallback = |one: Candidate| one.with_reason(&reason).in_place_of(error.code);
                Ok(candidates.into_iter().map(fallback).collect())
            }
            (Ok(_), _) => Ok(candidates),
        }
    }

    /// The names of the fallbacks: those of the request, else those of the registry, else those of the settings.
    fn fallbacks(&self, name: Option<&str>) -> Vec<String> {
        let route = &self.generation.route;
        if route.mode == SelectionMode::Model {
            return Vec::new();
        }
        let of_settings = || self.routing.fallbacks.get(name.unwrap_or(AUTO)).cloned();
        route
            .fallbacks
            .clone()
            .or_else(|| self.registered_fallbacks(name))
            .or_else(of_settings)
            .unwrap_or_default()
    }

    /// The candidates for a name: of an alias' targets, or of a model.
    pub(super) async fn named_candidates(&mut self, name: &str) -> Result<Vec<Candidate>, ApiError> {
        if self.generation.route.provider.is_none()
            && let Some(entry) = self.registry.entries.get(name).cloned()
        {
            return self.registered_candidates(name, &entry).await;
        }
        if self.generation.route.provider.is_none()
            && let Some(alias) = self.routing.aliases.get(name)
        {
            return self.alias_candidates(name, alias).await;
        }
        let picks = self.model_candidates(name).await?;
        self.retain_allowed(picks)
    }

    /// The candidates for a model's name, which isn't an alias.
    pub(super) async fn model_candidates(&mut self, name: &str) -> Result<Vec<Candidate>, ApiError> {
        let providers = Arc::clone(&self.providers);
        if let Some((provider, model)) = provider_and_model(name) {
            if provider == LOCAL {
                return self.local_candidates(Some(model), OnMiss::ReadStatus).await;
            }
            if let Some(owner) = providers.iter().find(|one| one.name() == provider) {
                return self.provider_candidate(owner, model, "the request names this provider and model");
            }
        }
        match self.generation.route.provider.as_deref() {
            Some(LOCAL) => return self.local_candidates(Some(name), OnMiss::ReadStatus).await,
            Some(provider) => {
                let owner = provider_of_name(&providers, provider)?;
                return self.provider_candidate(owner, name, "the request names this provider and model");
            }
            None => {}
        }
        let owner = providers.iter().find(|one| one.models.iter().any(|model| model == name));
        // A new file is looked for only if no provider has the name.
        let on_miss = if owner.is_none() { OnMiss::ReadStatus } else { OnMiss::Fail };
        match (self.local_candidates(Some(name), on_miss).await, owner) {
            (Ok(picks), _) => Ok(picks),
            (Err(_), Some(owner)) => self.provider_candidate(owner, name, "the request names this model"),
            (Err(error), None) if error.code == ErrorCode::ModelNotFound => {
                Err(unknown_model(name, &providers))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The candidates for an alias. Its targets are models, and not other aliases.
    async fn alias_candidates(&mut self, name: &str, alias: &Alias) -> Result<Vec<Candidate>, ApiError> {
        let (mut picks, mut failure) = (Vec::new(), None);
        for Target { model, weight } in &alias.targets {
            match self.model_candidates(model).await {
                Ok(candidates) => {
                    // The further nodes of a target take its place, and have no weight of their own.
                    let weights = std::iter::once(*weight).chain(std::iter::repeat(0));
                    picks.extend(self.retain_capable(candidates).into_iter().zip(weights));
                }
                Err(error) => {
                    self.reject("", model, error.message.clone());
                    failure = Some(error);
                }
            }
        }
        if picks.is_empty() {
            return Err(failure.unwrap_or_else(|| none_capable(&format!("the alias {name}"), &self.rejected)));
        }
        let strategy = alias.strategy.unwrap_or_default();
        let reason = format!("the alias {name} stands for this model{}", describe(strategy, picks.len()));
        Ok(self.order(strategy, name, picks, &reason))
    }

    /// The candidates for a request that names no model.
    async fn unnamed_candidates(&mut self) -> Result<Vec<Candidate>, ApiError> {
        match self.generation.route.provider.as_deref() {
            Some(LOCAL) => {
                let picks = self.local_candidates(None, OnMiss::Fail).await?;
                return self.retain_allowed(picks);
            }
            Some(provider) => return self.provider_candidates(provider),
            None => {}
        }
        if let Some(preferred) = self.generation.route.preferred.clone()
            && let Some(picks) = self.try_named(&preferred).await
        {
            return Ok(picks.into_iter().map(|one| one.with_reason("its user prefers this model")).collect());
        }
        if let Some((model, word)) = self.rule_target() {
            let reason = match word {
                Some(word) => format!("a rule sends prompts with {word:?} to {model}"),
                None => format!("a rule sends such requests to {model}"),
            };
            if let Some(picks) = self.try_named(model).await {
                return Ok(picks.into_iter().map(|one| one.with_reason(&reason)).collect());
            }
        }
        if let Some(default) = self.registry.default_of(self.needs.modality).map(str::to_owned)
            && let Some(picks) = self.try_named(&default).await
        {
            let reason = format!("{default} is the organisation's default model, and the request names none");
            return Ok(picks.into_iter().map(|one| one.with_reason(&reason)).collect());
        }
        if let Some(alias) = self.routing.aliases.get(AUTO) {
            return self.alias_candidates(AUTO, alias).await;
        }
        self.default_candidates().await
    }

    /// The model of the rule that matches the request, and the word that matched.
    pub(super) fn rule_target(&self) -> Option<(&'a str, Option<&'a str>)> {
        if let Intent::Inferred { words, model: Some(model) } = &self.generation.intent {
            return Some((model, Some(words)));
        }
        let rules = &self.routing.selection.rules;
        rules::first_match(rules, self.generation, &self.needs)
            .map(|(rule, word)| (rule.model.as_str(), word))
    }

    /// The capable candidates for a name; none if there is none.
    async fn try_named(&mut self, name: &str) -> Option<Vec<Candidate>> {
        match self.named_candidates(name).await {
            Ok(picks) => Some(self.retain_capable(picks)).filter(|picks| !picks.is_empty()),
            Err(error) => {
                self.reject("", name, error.message);
                None
            }
        }
    }

    /// A node's default model; if it isn't capable, a model of each provider.
    pub(super) async fn default_candidates(&mut self) -> Result<Vec<Candidate>, ApiError> {
        let local = match self.local_candidates(None, OnMiss::Fail).await {
            Ok(picks) => {
                // Replacing a free model by one that costs takes an explicit request.
                let capable = self.retain_capable(picks.clone());
                if !capable.is_empty() {
                    return Ok(capable);
                }
                self.retain_allowed(picks)
            }
            Err(error) => Err(self.note_region(error)),
        };
        let mut picks = Vec::new();
        for provider in Arc::clone(&self.providers).iter().filter(|provider| provider.is_usable()) {
            if self.rejects_region(provider) {
                continue;
            }
            let mut models = self.sources.provider_models.default_models(self.routing, provider);
            models.retain(|model| self.can_make(provider, model));
            let first = models.iter().find_map(|model| {
                let candidate = self.provider_candidate(provider, model, "").ok()?;
                self.retain_capable(candidate).pop()
            });
            picks.extend(first.map(|candidate| (candidate, 1)));
        }
        if picks.is_empty() {
            // The local model is the only one: its error names what it lacks.
            return local.map_err(|error| self.with_excluded_providers(error));
        }
        let strategy = self.routing.selection.strategy;
        let reason = format!(
            "a provider's first model that fits, since the request names none{}",
            describe(strategy, picks.len())
        );
        Ok(self.order(strategy, "", picks, &reason))
    }

    /// The capable models of a provider.
    fn provider_candidates(&mut self, name: &str) -> Result<Vec<Candidate>, ApiError> {
        let providers = Arc::clone(&self.providers);
        let provider = provider_of_name(&providers, name)?;
        let mut models = self.sources.provider_models.default_models(self.routing, provider);
        if models.is_empty() {
            let message = format!("name a model of {name}: none is set in its settings");
            return Err(ApiError::invalid("model", message));
        }
        let mut picks = Vec::new();
        models.retain(|model| self.can_make(provider, model));
        let mut refusal = None;
        for model in &models {
            let candidate = match self.provider_candidate(provider, model, "") {
                Ok(candidate) => candidate,
                Err(error) if error.code == ErrorCode::Forbidden => {
                    refusal = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            picks.extend(self.retain_capable(candidate).into_iter().map(|one| (one, 1)));
        }
        if picks.is_empty() {
            return Err(refusal.unwrap_or_else(|| none_capable(name, &self.rejected)));
        }
        let strategy = self.routing.selection.strategy;
        let reason = format!(
            "the request names the provider and no model: its first one that fits{}",
            describe(strategy, picks.len())
        );
        let mut picks = self.order(strategy, name, picks, &reason);
        picks.truncate(PROVIDER_CANDIDATE_MAX_COUNT);
        Ok(picks)
    }

    /// True if an unnamed model may have the request's modality: by the table of models, or else by the model's name.
    pub(super) fn can_make(&self, provider: &ConfiguredProvider, model: &str) -> bool {
        let model_info = &self.routing.model_info;
        let is_in_table = model_info.info(provider.name(), provider.kind(), model).is_some();
        let modality = self.needs.modality;
        provider.makes(modality) && (is_in_table || modality_of(model) == modality)
    }

    pub(super) fn provider_candidate(
        &self,
        provider: &ConfiguredProvider,
        model: &str,
        reason: &str,
    ) -> Result<Vec<Candidate>, ApiError> {
        self.place.require_provider(provider.name())?;
        self.require_region(provider)?;
        self.caller.require_model(provider.name(), model)?;
        let info = self.sources.provider_models.info(self.routing, provider, model);
        let mut candidate = provider_candidate(provider, model, info, self.needs.modality, reason)?;
        let defaults = self.routing.model_info.defaults(provider.name(), model);
        candidate.defaults = defaults.or(candidate.defaults);
        Ok(vec![candidate])
    }

    pub(super) async fn local_candidates(
        &mut self,
        id: Option<&str>,
        on_miss: OnMiss,
    ) -> Result<Vec<Candidate>, ApiError> {
        self.place.require_node()?;
        let (nodes, rejected) = (&self.sources.nodes, &mut self.rejected);
        local_candidates(nodes, self.caller, self.generation, id, on_miss, rejected).await
    }
}
