//! Candidates of explicit entries of the registry.

use hearth_domain::WhileLoading;
use hearth_store::registry::RegistryEntry;
use hearth_wire::ApiError;

use super::{candidates::Candidate, local::load, resolver::Resolver};
use crate::{
    background,
    models::registry::{defaults_of, target_of},
    settings::AUTO,
};

/// Reason of a fallback that serves while the first choice is being loaded.
const LOADING: &str = "loading";

impl Resolver<'_> {
    /// The candidates for an explicit entry: those of its target, with the entry's defaults.
    pub(super) async fn registered_candidates(
        &mut self,
        name: &str,
        entry: &RegistryEntry,
    ) -> Result<Vec<Candidate>, ApiError> {
        let target = target_of(entry);
        let picks = self.model_candidates(target).await?;
        let picks = self.retain_allowed(picks)?;
        let defaults = defaults_of(&entry.registration.parameters);
        let with_defaults = |mut candidate: Candidate| {
            candidate.defaults = defaults.clone().or(candidate.defaults);
            if target != name {
                let reason = format!("the registered model {name} stands for this one");
                candidate.selected.reason = match &candidate.placement {
                    Some(placement) => format!("{reason}; {placement}"),
                    None => reason,
                };
            }
            candidate
        };
        Ok(picks.into_iter().map(with_defaults).collect())
    }

    /// The fallbacks of the entry that the request names, if it has any.
    pub(super) fn registered_fallbacks(&self, name: Option<&str>) -> Option<Vec<String>> {
        let name = name.or_else(|| self.registry.default_of(self.needs.modality)).unwrap_or(AUTO);
        let entry = self.registry.entries.get(name)?;
        Some(entry.registration.fallbacks.clone()).filter(|fallbacks| !fallbacks.is_empty())
    }

    /// True if a fallback serves while the first choice is being loaded: by the request, or by the entry that it names.
    pub(super) fn starts_with_fallback(&self, name: Option<&str>) -> bool {
        let of_entry = || {
            let name = name.or_else(|| self.registry.default_of(self.needs.modality))?;
            self.registry.entries.get(name)?.registration.while_loading
        };
        match self.generation.while_loading {
            WhileLoading::Fallback => true,
            WhileLoading::Default => false,
            // The default of a request: its entry decides.
            WhileLoading::Wait => of_entry() == Some(WhileLoading::Fallback),
        }
    }
}

/// Puts the fallbacks that are ready first, if each of the `first_count` candidates for the requested model has to be loaded, and
/// begins the load.
pub(super) fn ready_first(candidates: Vec<Candidate>, first_count: usize) -> Vec<Candidate> {
    let requested = &candidates[..first_count];
    let first = requested.first().filter(|_| requested.iter().all(|one| one.loads_at.is_some()));
    let Some((link, model)) = first.and_then(|one| Some((one.loads_at.clone()?, one.model.clone()))) else {
        return candidates;
    };
    let (ready, cold): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|one| one.loads_at.is_none());
    if ready.is_empty() {
        return cold;
    }
    background::spawn(load(link, model.to_string()));
    let while_loading = |candidate: Candidate| {
        let mut candidate = candidate.with_reason("a fallback, while the requested model is being loaded");
        candidate.selected.fallback_used = true;
        candidate.selected.fallback_reason = Some(LOADING.to_owned());
        candidate
    };
    ready.into_iter().map(while_loading).chain(cold).collect()
}
