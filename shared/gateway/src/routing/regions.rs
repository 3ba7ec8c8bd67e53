//! Regions of an organisation: nodes and providers outside of them serve none of its requests.

use hearth_providers::config::LOCAL;
use hearth_wire::{ApiError, ErrorCode};

use super::resolver::Resolver;
use crate::providers::ConfiguredProvider;

/// Name of the detail of an error that a region causes.
const DETAIL: &str = "regions";

/// The reason why an organisation that is bound to `regions` can't use a node or a provider that is in `region`, if it can't.
pub(super) fn conflict(regions: &[String], region: Option<&str>) -> Option<String> {
    if regions.is_empty() || region.is_some_and(|region| regions.iter().any(|one| one == region)) {
        return None;
    }
    let allowed = regions.join(", ");
    Some(match region {
        Some(region) => format!("it is in the region {region}, and the organisation is bound to {allowed}"),
        None => format!("its region isn't set, and the organisation is bound to {allowed}"),
    })
}

/// The error for a node or a provider that only its region excludes.
pub(super) fn excluded(name: &str, reason: &str, regions: &[String]) -> ApiError {
    let message = format!("{name} can't be used: {reason}");
    ApiError::new(ErrorCode::NoModelAvailable, message).at("model").with(DETAIL, regions)
}

/// True if a region is the cause of an error.
pub(super) fn is_cause(error: &ApiError) -> bool {
    error.details.contains_key(DETAIL)
}

impl Resolver<'_> {
    /// Checks that the provider's region doesn't exclude it.
    ///
    /// # Errors
    /// `no_model_available`, with the reason.
    pub(super) fn require_region(&self, provider: &ConfiguredProvider) -> Result<(), ApiError> {
        let regions = &self.caller.regions;
        self.region_conflict(provider)
            .map_or(Ok(()), |reason| Err(excluded(provider.name(), &reason, regions)))
    }

    /// True if the provider's region excludes it, which is recorded.
    pub(super) fn rejects_region(&mut self, provider: &ConfiguredProvider) -> bool {
        let reason = self.region_conflict(provider);
        reason.map(|reason| self.reject(provider.name(), "", reason)).is_some()
    }

    /// Records that the nodes' regions exclude them, if that is the cause of the error.
    pub(super) fn note_region(&mut self, error: ApiError) -> ApiError {
        if is_cause(&error) {
            self.reject(LOCAL, "", error.message.clone());
        }
        error
    }

    /// The error for a request without a candidate; it names the providers that only their regions exclude.
    pub(super) fn with_excluded_providers(&self, error: ApiError) -> ApiError {
        let usable = self.providers.iter().filter(|provider| provider.is_usable());
        let excluded =
            usable.filter_map(|one| Some(format!("{} ({})", one.name(), self.region_conflict(one)?)));
        let excluded: Vec<String> = excluded.collect();
        if excluded.is_empty() || error.code != ErrorCode::NoModelAvailable {
            return error;
        }
        let message = format!("{}; excluded by their regions: {}", error.message, excluded.join(", "));
        ApiError { message, ..error }
    }

    /// The reason why the provider's region excludes it, if it does.
    fn region_conflict(&self, provider: &ConfiguredProvider) -> Option<String> {
        conflict(&self.caller.regions, provider.provider.endpoint().region.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisation_without_regions_uses_everything_and_others_only_what_is_in_theirs() {
        let bound = ["eu-central-1".to_owned(), "eu-west-1".to_owned()];
        for region in [None, Some("us-east-1")] {
            assert_eq!(conflict(&[], region), None);
            assert!(
                conflict(&bound, region).is_some_and(|reason| reason.contains("eu-central-1, eu-west-1"))
            );
        }
        assert_eq!(conflict(&bound, Some("eu-west-1")), None);
        assert!(is_cause(&excluded("openai", "its region isn't set", &bound)));
    }
}
