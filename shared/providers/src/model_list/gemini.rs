//! Google's list (<https://ai.google.dev/api/models#method:-models.list>).

use hearth_domain::Modality;
use serde_json::Value;

use super::page::{Page, text, tokens};
use crate::model_info::{ListedModel, ModelOverride};

pub(super) fn page(body: &Value) -> Page {
    let models = body["models"].as_array().into_iter().flatten().filter_map(model).collect();
    Page { models, next: text(&body["nextPageToken"]).map(|token| ("pageToken", token)) }
}

/// Reads a model, if it generates anything. A tuned model keeps the folder in its name.
fn model(model: &Value) -> Option<ListedModel> {
    let name = model["name"].as_str()?;
    let can = |method: &str| {
        let methods = model["supportedGenerationMethods"].as_array();
        methods.into_iter().flatten().any(|supported| supported == method)
    };
    // Some models with this method generate images too: the built-in information has them.
    let modality = if can("generateContent") {
        None
    } else if can("embedContent") {
        Some(Modality::Embedding)
    } else if can("predict") {
        Some(Modality::Image)
    } else {
        return None;
    };
    Some(ListedModel {
        id: name.strip_prefix("models/").unwrap_or(name).to_owned(),
        created: None,
        info: ModelOverride {
            name: text(&model["displayName"]),
            modality,
            context_length: tokens(&model["inputTokenLimit"]),
            max_output_tokens: tokens(&model["outputTokenLimit"]).filter(|_| modality.is_none()),
            ..ModelOverride::default()
        },
    })
}
