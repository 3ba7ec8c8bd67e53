//! What an operator says of routing: providers, names for models, what to fall back to, and how to choose.
//!
//! It comes from `hearth.toml` at home, and as the same in JSON from the functions' environment.

use std::collections::BTreeMap;

use hearth_domain::{Modality, Strategy};
use hearth_providers::{Catalog, ProviderConfig};
use serde::{Deserialize, Serialize};

/// Whom the gateway may ask, and for what.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// Providers, by the names that clients use for them.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Names that stand for models.
    pub aliases: BTreeMap<String, Alias>,
    /// What to try in place of a model, or of an alias, that can't serve.
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// How to choose where a request leaves the choice.
    pub selection: SelectionSettings,
    /// What is known of their models.
    #[serde(skip)]
    pub catalog: Catalog,
}

/// How to choose where a request leaves the choice.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionSettings {
    /// Who comes first of several that fit.
    pub strategy: Strategy,
    /// Whether a free model serves in place of one whose provider has no credit left.
    pub free_when_out_of_credit: bool,
    /// Whether plain words such as "draw me a" ask for an image or a mesh where a request leaves open what is to
    /// be made.
    pub intent_words: bool,
    /// Which requests go where, the first rule that fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

impl Default for SelectionSettings {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            free_when_out_of_credit: true,
            intent_words: true,
            rules: Vec::new(),
        }
    }
}

/// Where requests go that name no model. A condition that isn't there holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// What its prompt holds one of: words, or several in a row; in any case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// What it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// Whether it shows images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<bool>,
    /// Whether it gives a mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<bool>,
    /// Whether it offers tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// The model, or the alias, that serves it.
    pub model: String,
}

/// A name that stands for models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "AliasForm", into = "AliasForm")]
pub struct Alias {
    /// The models that it stands for, never none.
    pub targets: Vec<Target>,
    /// Who comes first of them; by priority if absent.
    pub strategy: Option<Strategy>,
}

/// A model behind an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, as in a request's `model`.
    pub model: String,
    /// Its share where shares are by weight, from 1.
    pub weight: u32,
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(untagged, expecting = "expected models' names, or {models = [...], strategy = \"...\"}")]
enum AliasForm {
    One(String),
    List(Vec<TargetForm>),
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

/// Routing that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct RoutingError {
    /// The setting at fault.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Routing {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// The first setting at fault.
    pub fn check(&self) -> Result<(), RoutingError> {
        let error = |field: String, problem: &str| RoutingError { field, problem: problem.to_owned() };
        for (name, provider) in &self.providers {
            provider.endpoint(name, None).map_err(|fault| RoutingError {
                field: format!("providers.{name}{}", fault.field),
                problem: fault.problem,
            })?;
        }
        for (name, alias) in &self.aliases {
            let field = || format!("aliases.{name}");
            if alias.targets.is_empty() {
                return Err(error(field(), "it stands for no model; name at least one"));
            }
            if alias.targets.iter().any(|target| target.model.is_empty()) {
                return Err(error(field(), "a model's name is empty"));
            }
            if alias.targets.iter().any(|target| target.weight == 0 || target.weight > 1_000_000) {
                return Err(error(field(), "a weight must be 1 to 1000000; leave out what shall have none"));
            }
        }
        for (index, rule) in self.selection.rules.iter().enumerate() {
            let field = |name: &str| format!("selection.rules[{index}].{name}");
            if rule.model.is_empty() {
                return Err(error(
                    field("model"),
                    "name the model, or the alias, that serves these requests",
                ));
            }
            if rule.words.iter().any(|word| !word.contains(char::is_alphanumeric)) {
                return Err(error(field("words"), "a word must have a letter or a digit"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn routing(json: serde_json::Value) -> Result<Routing, String> {
        let routing: Routing = serde_json::from_value(json).map_err(|error| error.to_string())?;
        routing.check().map(|()| routing).map_err(|error| error.to_string())
    }

    #[test]
    fn an_alias_is_a_name_a_list_or_says_how_to_choose() {
        let told = routing(json!({"aliases": {
            "one": "a", "list": ["a", {"model": "b", "weight": 3}],
            "whole": {"models": ["a", "b"], "strategy": "least_busy"},
        }}));
        let aliases = told.unwrap().aliases;
        let target = |model: &str, weight| Target { model: model.into(), weight };
        assert_eq!(aliases["one"], Alias { targets: vec![target("a", 1)], strategy: None });
        assert_eq!(aliases["list"].targets, [target("a", 1), target("b", 3)]);
        assert_eq!(aliases["whole"].strategy, Some(Strategy::LeastBusy));
        assert_eq!(json!(aliases["list"]), json!(["a", {"model": "b", "weight": 3}]));
        assert_eq!(json!(aliases["whole"]), json!({"models": ["a", "b"], "strategy": "least_busy"}));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!({"aliases": {"a": []}}), "aliases.a"),
            (json!({"aliases": {"a": 7}}), "expected models' names"),
            (json!({"aliases": {"a": [{"model": "b", "weight": 0}]}}), "weight"),
            (json!({"aliases": {"a": {"models": ["b"], "strategy": "best"}}}), "expected models' names"),
            (json!({"selection": {"strategy": "best"}}), "least_busy"),
            (json!({"selection": {"rules": [{"words": ["x"]}]}}), "selection.rules[0].model"),
            (json!({"selection": {"rules": [{"words": ["!"], "model": "m"}]}}), "selection.rules[0].words"),
            (json!({"providers": {"azure": {}}}), "providers.azure.base_url"),
            (json!({"providrs": {}}), "providrs"),
        ];
        for (json, word) in cases {
            let error = routing(json.clone()).unwrap_err();
            assert!(error.contains(word), "{json} gave {error:?}");
        }
    }
}
