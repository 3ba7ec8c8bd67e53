//! Settings of routing: names for models, and the choice of a model.

use std::collections::{BTreeMap, BTreeSet};

use hearth_domain::{Modality, Strategy, objects_only};
use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_SECONDS, InvalidSetting, check_ranges};

/// Largest weight of a model behind an alias.
const WEIGHT_MAX: u32 = 1_000_000;

/// The table `selection` of the settings: the choice where a request leaves it open.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionSettings {
    /// Order of the models that can serve a request.
    pub strategy: Strategy,
    /// Let a free model serve in place of a model whose provider has no credit left.
    pub free_when_out_of_credit: bool,
    /// Take plain words such as "draw me a" as a request for an image or a mesh, where the modality is open.
    pub intent_words: bool,
    /// Seconds that a request with `prefer: home` and no deadline waits for a node.
    pub home_wait_seconds: u64,
    /// Rules that route requests without a model; the first that matches applies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

impl Default for SelectionSettings {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            free_when_out_of_credit: true,
            intent_words: true,
            home_wait_seconds: 600,
            rules: Vec::new(),
        }
    }
}

impl SelectionSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges("selection.", [("home_wait_seconds", Some(self.home_wait_seconds), 0..=DAY_SECONDS)])?;
        for (index, rule) in self.rules.iter().enumerate() {
            let error = |field: &str, problem: &str| {
                Err(InvalidSetting::new(format!("selection.rules[{index}].{field}: {problem}")))
            };
            if rule.model.is_empty() {
                return error("model", "name the model, or the alias, that serves these requests");
            }
            if rule.words.iter().any(|word| !word.contains(char::is_alphanumeric)) {
                return error("words", "a word must have a letter or a digit");
            }
        }
        Ok(())
    }
}

/// A rule for requests that name no model. An absent condition matches every request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Words, or several in a row, of which the prompt must contain one; case is ignored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Modality of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// True: the request contains images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<bool>,
    /// True: the request contains a mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<bool>,
    /// True: the request offers tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// The model, or the alias, that serves the request.
    pub model: String,
}

/// A name that stands for models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "AliasForm", into = "AliasForm")]
pub struct Alias {
    /// The models that it stands for, at least one.
    pub targets: Vec<Target>,
    /// Order of these models; absent: as they are listed.
    pub strategy: Option<Strategy>,
}

/// Checks every alias.
pub(crate) fn validate_aliases(aliases: &BTreeMap<String, Alias>) -> Result<(), InvalidSetting> {
    aliases.iter().try_for_each(|(name, alias)| alias.validate(name))?;
    match aliases.keys().find(|name| is_in_circle(name, aliases)) {
        Some(name) => Err(InvalidSetting::new(format!(
            "aliases.{name}: it stands for itself; for a model of this name, write local:{name} or PROVIDER:{name}"
        ))),
        None => Ok(()),
    }
}

/// Returns whether an alias stands for itself, or for aliases that end at it.
fn is_in_circle(name: &str, aliases: &BTreeMap<String, Alias>) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![name]);
    while let Some(alias) = next.pop().and_then(|alias| aliases.get(alias)) {
        for target in &alias.targets {
            if target.model == name {
                return true;
            }
            if seen.insert(target.model.as_str()) {
                next.push(&target.model);
            }
        }
    }
    false
}

impl Alias {
    fn validate(&self, name: &str) -> Result<(), InvalidSetting> {
        let error = |problem: &str| Err(InvalidSetting::new(format!("aliases.{name}: {problem}")));
        if self.targets.is_empty() {
            return error("it stands for no model; name at least one");
        }
        if self.targets.iter().any(|target| target.model.is_empty()) {
            return error("a model's name is empty");
        }
        if self.targets.iter().any(|target| !(1..=WEIGHT_MAX).contains(&target.weight)) {
            return error("a weight must be 1 to 1000000; leave out a model that shall get no requests");
        }
        Ok(())
    }
}

/// A model behind an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The model's name, as in a request's `model`.
    pub model: String,
    /// The model's share under the weighted strategy, from 1.
    pub weight: u32,
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(untagged, expecting = "expected models' names, or {models = [...], strategy = \"...\"}")]
enum AliasForm {
    One(String),
    List(Vec<TargetForm>),
    #[serde(deserialize_with = "objects_only::deserialize")]
    Whole(AliasBody),
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(deny_unknown_fields)]
struct AliasBody {
    models: Vec<TargetForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(untagged, expecting = "expected a model's name, or {model = \"...\", weight = 1}")]
enum TargetForm {
    Name(String),
    #[serde(deserialize_with = "objects_only::deserialize")]
    Weighted(WeightedTarget),
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(deny_unknown_fields)]
struct WeightedTarget {
    model: String,
    weight: u32,
}

impl From<TargetForm> for Target {
    fn from(form: TargetForm) -> Self {
        match form {
            TargetForm::Name(model) => Self { model, weight: 1 },
            TargetForm::Weighted(WeightedTarget { model, weight }) => Self { model, weight },
        }
    }
}

impl From<AliasForm> for Alias {
    fn from(form: AliasForm) -> Self {
        let (targets, strategy) = match form {
            AliasForm::One(model) => (vec![TargetForm::Name(model)], None),
            AliasForm::List(targets) => (targets, None),
            AliasForm::Whole(AliasBody { models, strategy }) => (models, strategy),
        };
        Self { targets: targets.into_iter().map(Into::into).collect(), strategy }
    }
}

impl From<Alias> for AliasForm {
    fn from(alias: Alias) -> Self {
        let form = |Target { model, weight }| match weight {
            1 => TargetForm::Name(model),
            _ => TargetForm::Weighted(WeightedTarget { model, weight }),
        };
        let models: Vec<_> = alias.targets.into_iter().map(form).collect();
        match alias.strategy {
            None => Self::List(models),
            strategy => Self::Whole(AliasBody { models, strategy }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Settings;

    fn read(json: serde_json::Value) -> Result<Settings, String> {
        let settings: Settings = serde_json::from_value(json).map_err(|error| error.to_string())?;
        settings.validate().map(|()| settings).map_err(|error| error.to_string())
    }

    #[test]
    fn alias_is_a_name_a_list_or_models_with_a_strategy() {
        let settings = read(json!({"aliases": {
            "one": "a", "list": ["a", {"model": "b", "weight": 3}],
            "whole": {"models": ["a", "b"], "strategy": "least_busy"},
            "tiny": ["local:tiny", "list"],
        }}));
        let aliases = settings.unwrap().aliases;
        let target = |model: &str, weight| Target { model: model.into(), weight };
        assert_eq!(aliases["one"], Alias { targets: vec![target("a", 1)], strategy: None });
        assert_eq!(aliases["list"].targets, [target("a", 1), target("b", 3)]);
        assert_eq!(aliases["whole"].strategy, Some(Strategy::LeastBusy));
        assert_eq!(json!(aliases["list"]), json!(["a", {"model": "b", "weight": 3}]));
        assert_eq!(json!(aliases["whole"]), json!({"models": ["a", "b"], "strategy": "least_busy"}));
    }

    #[test]
    fn invalid_routing_names_the_setting() {
        let cases = [
            (json!({"aliases": {"a": []}}), "aliases.a"),
            (json!({"aliases": {"a": ["b", "a"]}}), "aliases.a: it stands for itself"),
            (json!({"aliases": {"a": "b", "b": ["x", "c"], "c": ["b"]}}), "aliases.b: it stands for itself"),
            (json!({"aliases": {"a": 7}}), "expected models' names"),
            (json!({"aliases": {"a": [{"model": "b", "weight": 0}]}}), "weight"),
            (json!({"aliases": {"a": {"models": ["b"], "strategy": "best"}}}), "expected models' names"),
            (json!({"selection": {"strategy": "best"}}), "least_busy"),
            (json!({"selection": {"rules": [{"words": ["x"]}]}}), "selection.rules[0].model"),
            (json!({"selection": {"rules": [{"words": ["!"], "model": "m"}]}}), "selection.rules[0].words"),
            (json!({"providrs": {}}), "providrs"),
        ];
        for (json, word) in cases {
            let error = read(json.clone()).unwrap_err();
            assert!(error.contains(word), "{json} gave {error:?}");
        }
    }
}
