//! Aliases, and `auto`, as entries of the list of models: a client can only pick a listed name.

use std::collections::BTreeMap;

use hearth_domain::{Modality, route::provider_and_model};
use hearth_providers::config::LOCAL;
use hearth_wire::native::models::{Availability, ModelBody};

use crate::settings::{AUTO, Alias};

/// The entries of the operator's aliases, and of `auto` where a model can serve it. `models`: the models that they may
/// stand for.
pub(super) fn alias_entries(aliases: &BTreeMap<String, Alias>, models: &[ModelBody]) -> Vec<ModelBody> {
    let mut entries: Vec<_> = aliases.iter().map(|(name, alias)| entry(name, alias, models)).collect();
    if !aliases.contains_key(AUTO) {
        entries.extend(auto_entry(models));
    }
    entries
}

/// An alias' entry: a copy of that of its first available target, else of its first listed one.
fn entry(name: &str, alias: &Alias, models: &[ModelBody]) -> ModelBody {
    let targets: Vec<&ModelBody> =
        alias.targets.iter().filter_map(|target| find_named(&target.model, models)).collect();
    let available = targets.iter().find(|model| model.availability == Availability::Available);
    ModelBody::alias(name, available.or(targets.first()).copied())
}

/// True if a target of the alias `id` is one of `models`. `auto` without targets is made from one of them.
pub(super) fn stands_for_listed(id: &str, aliases: &BTreeMap<String, Alias>, models: &[ModelBody]) -> bool {
    let is_listed =
        |alias: &Alias| alias.targets.iter().any(|target| find_named(&target.model, models).is_some());
    aliases.get(id).is_none_or(is_listed)
}

/// The entry of `auto` where the settings have none: a copy of that of a node's default text model, or of the first
/// text model of a provider.
fn auto_entry(models: &[ModelBody]) -> Option<ModelBody> {
    let is_default = |model: &&ModelBody| model.runtime_status.as_ref().is_some_and(|status| status.default);
    let texts = || models.iter().filter(|model| model.modality == Modality::Text);
    let available = || texts().find(|model| model.availability == Availability::Available);
    let target = texts().find(is_default).or_else(available)?;
    Some(ModelBody::alias(AUTO, Some(target)))
}

/// Resolves an alias' target as a request would: `local:ID`, `PROVIDER:MODEL`, or a model's own name.
pub(super) fn find_named<'a>(name: &str, models: &'a [ModelBody]) -> Option<&'a ModelBody> {
    let named = match provider_and_model(name) {
        Some((LOCAL, model)) => model,
        _ => name,
    };
    let own_name = |model: &&ModelBody| provider_and_model(&model.id).is_some_and(|(_, own)| own == named);
    models.iter().find(|model| model.id == named).or_else(|| models.iter().find(own_name))
}

#[cfg(test)]
mod tests {
    use hearth_domain::ModelInfo;

    use super::*;
    use crate::settings::Target;

    fn models() -> Vec<ModelBody> {
        let offered = |model: &str, availability| {
            let facts = ModelInfo { context_length: Some(8192), ..ModelInfo::default() };
            ModelBody::offered("p", model, facts, availability, Some(7))
        };
        vec![offered("down", Availability::NoKey), offered("up", Availability::Available)]
    }

    fn alias(targets: &[&str]) -> Alias {
        let target = |model: &&str| Target { model: (*model).to_owned(), weight: 1 };
        Alias { targets: targets.iter().map(target).collect(), strategy: None }
    }

    #[test]
    fn alias_copies_its_first_available_model() {
        let entry = entry("fast", &alias(&["p:down", "up"]), &models());
        assert_eq!((entry.id.as_str(), entry.name.as_str()), ("fast", "fast"));
        assert_eq!((entry.owned_by.as_str(), entry.provider.as_str()), ("alias", "alias"));
        assert_eq!((entry.context_length, entry.availability), (Some(8192), Availability::Available));
    }

    #[test]
    fn alias_of_unlisted_models_is_listed() {
        let entry = entry("fast", &alias(&["elsewhere"]), &models());
        assert_eq!((entry.id.as_str(), entry.availability), ("fast", Availability::Unknown));
    }

    #[test]
    fn alias_without_a_listed_target_stands_for_none() {
        let aliases =
            BTreeMap::from([("a".to_owned(), alias(&["p:up"])), ("b".to_owned(), alias(&["p:other"]))]);
        let stands = |id: &str| stands_for_listed(id, &aliases, &models());
        assert_eq!((stands("a"), stands("b"), stands(AUTO)), (true, false, true));
    }

    #[test]
    fn auto_is_listed_if_a_model_serves_it() {
        assert_eq!(auto_entry(&models()).map(|entry| entry.id), Some("auto".to_owned()));
        assert_eq!(auto_entry(&models()[..1]), None);
    }
}
