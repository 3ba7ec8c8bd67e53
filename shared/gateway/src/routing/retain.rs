//! The part of the resolver that rejects and orders candidates.

use std::sync::Arc;

use hearth_domain::{SelectionMode, Strategy, Task};
use hearth_wire::{ApiError, ErrorCode};

use super::{
    candidates::{Candidate, Rejected},
    order::{Weighted, order},
    resolver::Resolver,
    sources::NO_CREDIT,
};

impl Resolver<'_> {
    /// Retains the candidates that the request's selection mode allows.
    pub(super) fn retain_allowed(&mut self, picks: Vec<Candidate>) -> Result<Vec<Candidate>, ApiError> {
        let picks = self.retain_affordable(picks)?;
        let mode = self.generation.route.mode;
        let message = match mode {
            SelectionMode::Auto | SelectionMode::Model => return Ok(picks),
            SelectionMode::FreeOnly => "free_only leaves models that cost nothing, and none of them fits",
            SelectionMode::CommercialOnly => {
                "commercial_only leaves commercial providers, and none of them fits"
            }
        };
        let picks: Vec<_> = picks.into_iter().filter(|one| one.mode_conflict(mode).is_none()).collect();
        if picks.is_empty() {
            return Err(ApiError::new(ErrorCode::NoModelAvailable, message).at("selection_mode"));
        }
        Ok(picks)
    }

    /// Retains the candidates that aren't dearer than the request allows.
    fn retain_affordable(&mut self, picks: Vec<Candidate>) -> Result<Vec<Candidate>, ApiError> {
        let (affordable, dear): (Vec<_>, Vec<_>) =
            picks.into_iter().partition(|one| self.price_conflict(one).is_none());
        match dear.first().and_then(|one| Some((one, self.price_conflict(one)?))) {
            Some((one, reason)) if affordable.is_empty() => {
                let message = format!("{} can't serve the request: {reason}", one.selected.model);
                Err(ApiError::new(ErrorCode::NoModelAvailable, message).at("max_price"))
            }
            _ => Ok(affordable),
        }
    }

    /// The reason why the request's highest price excludes a candidate, if it does. A node's model has no price.
    fn price_conflict(&self, candidate: &Candidate) -> Option<String> {
        let max_price = self.generation.route.max_price.filter(|_| candidate.node.is_none())?;
        let price = candidate.info.as_ref().and_then(|info| info.price.as_ref());
        let price = price.and_then(|price| {
            let long = price.long.filter(|long| self.needs.prompt_tokens > long.above);
            match &self.generation.task {
                Task::Embedding(_) => long.map(|long| long.input).or(price.input),
                _ => long.map(|long| long.output).or(price.output),
            }
        });
        match price {
            Some(price) if price <= max_price => None,
            Some(price) => Some(format!(
                "a million tokens cost {} dollars, and max_price is {}",
                f64::from(price),
                f64::from(max_price)
            )),
            None => Some("its price isn't known, and the request has a max_price".to_owned()),
        }
    }

    /// Retains the candidates that the selection mode allows and that have what the request needs.
    pub(super) fn retain_capable(&mut self, picks: Vec<Candidate>) -> Vec<Candidate> {
        let (mode, mut capable) = (self.generation.route.mode, Vec::new());
        for candidate in picks {
            let is_foreign = self.needs.hosted.is_some_and(|dialect| !candidate.provider.speaks(dialect));
            let missing = || match is_foreign {
                true => Some("it doesn't run a tool that the request needs".to_owned()),
                false => self.needs.missing_requirement(candidate.info.as_ref()?),
            };
            let price_conflict = || self.price_conflict(&candidate);
            match candidate.mode_conflict(mode).map(str::to_owned).or_else(price_conflict).or_else(missing) {
                None => capable.push(candidate),
                Some(reason) => {
                    self.reject(&candidate.selected.provider, candidate.selected.model.as_str(), reason);
                }
            }
        }
        capable
    }

    /// Orders candidates by a strategy. Suspended ones come last in any case.
    pub(super) fn order(
        &mut self,
        strategy: Strategy,
        name: &str,
        picks: Vec<Weighted>,
        reason: &str,
    ) -> Vec<Candidate> {
        let Self { sources, needs, .. } = *self;
        let picks = order(strategy, picks, name, &needs, &sources.providers.load, &sources.round_robin);
        let (mut healthy, mut suspended) = (Vec::new(), Vec::new());
        let mut exhausted = None;
        for candidate in picks {
            let candidate = candidate.with_reason(reason);
            match sources.suspension(&candidate) {
                None => healthy.push(candidate.in_place_of_exhausted(exhausted.as_ref())),
                Some(why) => {
                    // Record the lack of credit only for the provider that would have been first.
                    if why == NO_CREDIT && healthy.is_empty() {
                        exhausted.get_or_insert_with(|| Arc::clone(&candidate.provider));
                    }
                    self.reject(
                        &candidate.selected.provider,
                        candidate.selected.model.as_str(),
                        why.to_owned(),
                    );
                    suspended.push(candidate);
                }
            }
        }
        healthy.extend(suspended);
        healthy
    }

    pub(super) fn reject(&mut self, provider: &str, model: &str, reason: String) {
        let (provider, model) = (provider.to_owned(), model.to_owned());
        self.rejected.push(Rejected { provider, model, reason, is_full_node: false });
    }
}
