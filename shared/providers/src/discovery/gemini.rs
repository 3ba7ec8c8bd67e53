//! Google's list (<https://ai.google.dev/api/models#method:-models.list>).

use hearth_domain::Modality;
use serde_json::Value;

use super::{Listed, Page, text, tokens};
use crate::catalog::Override;

pub(super) fn page(said: &Value) -> Page {
    let models = said["models"].as_array().into_iter().flatten().filter_map(model).collect();
    Page { models, next: text(&said["nextPageToken"]).map(|token| ("pageToken", token)) }
}

/// A model that makes something; a tuned one keeps the folder in its name.
fn model(said: &Value) -> Option<Listed> {
    let name = said["name"].as_str()?;
    let can = |method: &str| {
        said["supportedGenerationMethods"].as_array().into_iter().flatten().any(|known| known == method)
    };
    // What makes text makes images too, in some models: the catalog knows which.
    let modality = if can("generateContent") {
        None
    } else if can("embedContent") {
        Some(Modality::Embedding)
    } else if can("predict") {
        Some(Modality::Image)
    } else {
        return None;
    };
    Some(Listed {
        id: name.strip_prefix("models/").unwrap_or(name).to_owned(),
        created: None,
        told: Override {
            name: text(&said["displayName"]),
            modality,
            context_length: tokens(&said["inputTokenLimit"]),
            max_output_tokens: tokens(&said["outputTokenLimit"]).filter(|_| modality.is_none()),
            ..Override::default()
        },
    })
}
