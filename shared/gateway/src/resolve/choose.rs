//! Finds who fits a request.

use std::{sync::Arc, time::Instant};

use hearth_domain::{
    Generation, KeyOwner, ModelId, SelectionMode, Strategy, modality_of, route::provider_and_model,
};
use hearth_providers::config::LOCAL;
use hearth_wire::{ApiError, ErrorCode};

use super::{
    AUTO, Candidate, PassedOver, by_name, commercial, may_fall_back,
    needs::Needs,
    order::{Weighted, how, order},
    unknown,
};
use crate::{
    Caller, Gateway,
    providers::Known,
    routing::{Alias, Target},
};

/// So many of a provider's models are tried where only the provider is named: one that fails with three fails
/// with the others.
const OF_ONE_PROVIDER: usize = 3;

/// Why a candidate is left alone whose provider's credit is used up.
const NO_CREDIT: &str = "its provider has no credit left";

/// Finds who fits one request, and keeps in mind who doesn't.
pub(super) struct Chooser<'a> {
    pub(super) gateway: &'a Gateway,
    caller: &'a Caller,
    pub(super) generation: &'a Generation,
    pub(super) known: Arc<[Known]>,
    pub(super) needs: Needs,
    pub(super) passed_over: Vec<PassedOver>,
}

impl<'a> Chooser<'a> {
    pub(super) async fn new(gateway: &'a Gateway, caller: &'a Caller, generation: &'a Generation) -> Self {
        let known = gateway.providers().await;
        Self { gateway, caller, generation, known, needs: Needs::of(generation), passed_over: Vec::new() }
    }

    /// Everybody who may serve it: the first choice, and what is to be tried in its place.
    pub(super) async fn all(&mut self) -> Result<Vec<Candidate>, ApiError> {
        let asked = self.generation.model.as_ref().map(ModelId::as_str).filter(|id| *id != AUTO);
        let mut first = match asked {
            Some(name) => self.named(name).await,
            None => self.unnamed().await.map(|found| self.told(found)),
        };
        let fallbacks = self.fallbacks(asked);
        if fallbacks.is_empty() || first.as_ref().is_err_and(|error| !may_fall_back(error.code)) {
            return first;
        }
        let mut candidates = first.as_mut().map(std::mem::take).unwrap_or_default();
        for name in &fallbacks {
            match self.named(name).await {
                Ok(found) => candidates.extend(self.fitting(found)),
                Err(error) => {
                    tracing::warn!(name, %error, "a model to fall back to can't be used");
                    self.pass_over("", name, error.message);
                }
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
                let instead = |one: Candidate| one.because(&instead).in_place_of(error.code);
                Ok(candidates.into_iter().map(instead).collect())
            }
            (Ok(_), _) => Ok(candidates),
        }
    }

    /// What is to be tried in place of the first choice: as the request says, else as the operator does.
    fn fallbacks(&self, asked: Option<&str>) -> Vec<String> {
        let route = &self.generation.route;
        if route.mode == SelectionMode::Model {
            return Vec::new();
        }
        let set = || self.gateway.0.directory.routing().fallbacks.get(asked.unwrap_or(AUTO)).cloned();
        route.fallbacks.clone().or_else(set).unwrap_or_default()
    }

    /// Who has the model of this name, or those that it stands for.
    async fn named(&mut self, name: &str) -> Result<Vec<Candidate>, ApiError> {
        if self.generation.route.provider.is_none()
            && let Some(alias) = self.gateway.0.directory.routing().aliases.get(name)
        {
            return self.alias(name, &alias.clone()).await;
        }
        let found = self.exactly(name).await?;
        self.allowed(found)
    }

    /// Who has the model of this name; aliases aren't looked at.
    pub(super) async fn exactly(&self, name: &str) -> Result<Vec<Candidate>, ApiError> {
        let known = Arc::clone(&self.known);
        if let Some((provider, model)) = provider_and_model(name) {
            if provider == LOCAL {
                return self.local(Some(model), true).await;
            }
            if let Some(owner) = known.iter().find(|known| known.name() == provider) {
                return self.of(owner, model, "the request names this provider and model");
            }
        }
        match self.generation.route.provider.as_deref() {
            Some(LOCAL) => return self.local(Some(name), true).await,
            Some(provider) => {
                let owner = by_name(&known, provider)?;
                return self.of(owner, name, "the request names this provider and model");
            }
            None => {}
        }
        let owner = known.iter().find(|known| known.models.iter().any(|model| model == name));
        // A file that came just now is looked for only where nobody else has the name.
        match (self.local(Some(name), owner.is_none()).await, owner) {
            (Ok(found), _) => Ok(found),
            (Err(_), Some(owner)) => self.of(owner, name, "the request names this model"),
            (Err(error), None) if error.code == ErrorCode::ModelNotFound => Err(unknown(name, &known)),
            (Err(error), None) => Err(error),
        }
    }

    /// Who has the models that an alias stands for. An alias doesn't stand for another one.
    async fn alias(&mut self, name: &str, alias: &Alias) -> Result<Vec<Candidate>, ApiError> {
        let (mut found, mut failure) = (Vec::new(), None);
        for Target { model, weight } in &alias.targets {
            match self.exactly(model).await {
                Ok(candidates) => {
                    found.extend(self.fitting(candidates).into_iter().map(|one| (one, *weight)));
                }
                Err(error) => {
                    self.pass_over("", model, error.message.clone());
                    failure = Some(error);
                }
            }
        }
        if found.is_empty() {
            return Err(failure.unwrap_or_else(|| self.nobody(&format!("the alias {name}"))));
        }
        let strategy = alias.strategy.unwrap_or_default();
        let reason = format!("the alias {name} stands for this model{}", how(strategy, found.len()));
        Ok(self.ordered(strategy, name, found, &reason))
    }

    /// Who serves a request that names no model.
    async fn unnamed(&mut self) -> Result<Vec<Candidate>, ApiError> {
        match self.generation.route.provider.as_deref() {
            Some(LOCAL) => {
                let found = self.local(None, false).await?;
                return self.allowed(found);
            }
            Some(provider) => return self.of_provider(provider),
            None => {}
        }
        if let Some(preferred) = self.generation.route.preferred.clone()
            && let Some(found) = self.perhaps(&preferred).await
        {
            return Ok(found.into_iter().map(|one| one.because("its user prefers this model")).collect());
        }
        let routing = self.gateway.0.directory.routing();
        if let Some((model, word)) = self.ruled(&routing.selection.rules) {
            let reason = match word {
                Some(word) => format!("a rule sends prompts with {word:?} to {model}"),
                None => format!("a rule sends such requests to {model}"),
            };
            if let Some(found) = self.perhaps(model).await {
                return Ok(found.into_iter().map(|one| one.because(&reason)).collect());
            }
        }
        if let Some(alias) = routing.aliases.get(AUTO) {
            return self.alias(AUTO, alias).await;
        }
        self.pool().await
    }

    /// Who has the model of this name, if somebody does who fits.
    async fn perhaps(&mut self, name: &str) -> Option<Vec<Candidate>> {
        match self.named(name).await {
            Ok(found) => Some(self.fitting(found)).filter(|found| !found.is_empty()),
            Err(error) => {
                self.pass_over("", name, error.message);
                None
            }
        }
    }

    /// A node's default model; where none fits, a model of each provider.
    pub(super) async fn pool(&mut self) -> Result<Vec<Candidate>, ApiError> {
        let local = match self.local(None, false).await {
            Ok(found) => {
                // Whoever wants a free model to be replaced by one that costs says so.
                let fitting = self.fitting(found.clone());
                if !fitting.is_empty() {
                    return Ok(fitting);
                }
                self.allowed(found)
            }
            error => error,
        };
        let mut found = Vec::new();
        for known in Arc::clone(&self.known).iter().filter(|known| known.is_usable()) {
            let mut models = self.models_of(known);
            models.retain(|model| self.may_make(known, model));
            let first = models.iter().find_map(|model| {
                let candidate = self.of(known, model, "").ok()?;
                self.fitting(candidate).pop()
            });
            found.extend(first.map(|candidate| (candidate, 1)));
        }
        if found.is_empty() {
            // It is the only one, and says itself what it can't.
            return local;
        }
        let strategy = self.gateway.0.directory.routing().selection.strategy;
        let reason = format!(
            "a provider's first model that fits, since the request names none{}",
            how(strategy, found.len())
        );
        Ok(self.ordered(strategy, "", found, &reason))
    }

    /// A provider's models that fit.
    fn of_provider(&mut self, provider: &str) -> Result<Vec<Candidate>, ApiError> {
        let all = Arc::clone(&self.known);
        let known = by_name(&all, provider)?;
        let mut models = self.models_of(known);
        if models.is_empty() {
            let message = format!("name a model of {provider}: none is set in its settings");
            return Err(ApiError::invalid("model", message));
        }
        let mut found = Vec::new();
        models.retain(|model| self.may_make(known, model));
        for model in &models {
            let candidate = self.of(known, model, "")?;
            found.extend(self.fitting(candidate).into_iter().map(|one| (one, 1)));
        }
        if found.is_empty() {
            return Err(self.nobody(provider));
        }
        let strategy = self.gateway.0.directory.routing().selection.strategy;
        let reason = format!(
            "the request names the provider and no model: its first one that fits{}",
            how(strategy, found.len())
        );
        let mut found = self.ordered(strategy, provider, found, &reason);
        found.truncate(OF_ONE_PROVIDER);
        Ok(found)
    }

    /// The models of a provider that serve where none is named.
    pub(super) fn models_of(&self, known: &Known) -> Vec<String> {
        self.gateway.choosable(KeyOwner::Operator, known)
    }

    /// Whether a model that nobody has named may make what is asked for: the catalog knows, else its name says.
    pub(super) fn may_make(&self, known: &Known, model: &str) -> bool {
        let catalog = &self.gateway.0.directory.routing().catalog;
        let listed = catalog.facts(known.name(), known.kind(), model).is_some();
        let modality = self.needs.modality;
        known.makes(modality) && (listed || modality_of(model) == modality)
    }

    /// A provider's model.
    pub(super) fn of(&self, owner: &Known, model: &str, reason: &str) -> Result<Vec<Candidate>, ApiError> {
        let facts = self.gateway.facts(KeyOwner::Operator, owner, model);
        let mut found = commercial(owner, model, facts, self.needs.modality, reason)?;
        let said = self.gateway.0.directory.routing().catalog.defaults(owner.name(), model);
        found.defaults = said.over(found.defaults);
        Ok(vec![found])
    }

    pub(super) async fn local(&self, asked: Option<&str>, look: bool) -> Result<Vec<Candidate>, ApiError> {
        self.gateway.local(self.caller, self.generation, asked, look).await
    }

    /// Keeps those that may serve in the request's mode.
    fn allowed(&mut self, found: Vec<Candidate>) -> Result<Vec<Candidate>, ApiError> {
        let what = match self.generation.route.mode {
            SelectionMode::Auto | SelectionMode::Model => return Ok(found),
            SelectionMode::FreeOnly => "free_only leaves models that cost nothing, and none of them fits",
            SelectionMode::CommercialOnly => {
                "commercial_only leaves commercial providers, and none of them fits"
            }
        };
        let found: Vec<_> = found.into_iter().filter(|one| self.refused(one).is_none()).collect();
        if found.is_empty() {
            return Err(ApiError::new(ErrorCode::NoModelAvailable, what).at("selection_mode"));
        }
        Ok(found)
    }

    /// Why the request's mode keeps a candidate from serving it, if it does.
    fn refused(&self, candidate: &Candidate) -> Option<&'static str> {
        match self.generation.route.mode {
            SelectionMode::FreeOnly if !candidate.is_free() => Some("it isn't free"),
            SelectionMode::CommercialOnly if candidate.is_free() => Some("it isn't commercial"),
            _ => None,
        }
    }

    /// Keeps those that may serve and can do what the request needs.
    pub(super) fn fitting(&mut self, found: Vec<Candidate>) -> Vec<Candidate> {
        let mut fitting = Vec::new();
        for candidate in found {
            let foreign = self.needs.hosted.is_some_and(|dialect| !candidate.provider.speaks(dialect));
            let unmet = || match foreign {
                true => Some("it doesn't run a tool that the request needs".to_owned()),
                false => self.needs.unmet(candidate.facts.as_ref()?),
            };
            match self.refused(&candidate).map(str::to_owned).or_else(unmet) {
                None => fitting.push(candidate),
                Some(why) => self.pass_over(&candidate.selected.provider, &candidate.selected.model, why),
            }
        }
        fitting
    }

    /// Puts candidates in order. Those that are to be left alone come last, whatever the strategy says.
    fn ordered(
        &mut self,
        strategy: Strategy,
        name: &str,
        found: Vec<Weighted>,
        reason: &str,
    ) -> Vec<Candidate> {
        let Self { gateway, needs, .. } = *self;
        let inner = &gateway.0;
        let found = order(strategy, found, name, &needs, &inner.load, &inner.turns);
        let (mut well, mut left_alone) = (Vec::new(), Vec::new());
        let mut spent = None;
        for candidate in found {
            let candidate = candidate.because(reason);
            match gateway.left_alone(&candidate) {
                None => well.push(candidate.in_place_of_spent(spent.as_ref())),
                Some(why) => {
                    // Only who would have been the first choice is missed.
                    if why == NO_CREDIT && well.is_empty() {
                        spent.get_or_insert_with(|| Arc::clone(&candidate.provider));
                    }
                    self.pass_over(&candidate.selected.provider, &candidate.selected.model, why.to_owned());
                    left_alone.push(candidate);
                }
            }
        }
        well.extend(left_alone);
        well
    }

    fn pass_over(&mut self, provider: &str, model: &str, why: String) {
        self.passed_over.push(PassedOver { provider: provider.to_owned(), model: model.to_owned(), why });
    }

    /// Nobody of `whom` fits.
    fn nobody(&self, whom: &str) -> ApiError {
        let reasons: Vec<String> =
            self.passed_over.iter().map(|one| format!("{} ({})", one.model, one.why)).take(5).collect();
        let message = format!("no model of {whom} fits the request: {}", reasons.join(", "));
        ApiError::new(ErrorCode::NoModelAvailable, message).at("model")
    }
}

impl Gateway {
    /// Why a candidate is asked only when nobody else is left, if it is so.
    fn left_alone(&self, candidate: &Candidate) -> Option<&'static str> {
        if candidate.node.is_some() {
            return None;
        }
        let (provider, model) = (&candidate.selected.provider, candidate.model.as_str());
        if !self.0.breakers.permits(provider, model, Instant::now()) {
            return Some("it has failed lately");
        }
        if self.is_out_of_credit(KeyOwner::Operator, &*candidate.provider, candidate.facts.as_ref()) {
            return Some(NO_CREDIT);
        }
        None
    }
}
