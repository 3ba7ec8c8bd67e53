//! Fetches the list of models that a provider has for a key.
//!
//! A list may have more than names; its facts override the built-in information. It isn't trusted to be short,
//! well-formed or true: pages, bytes and names are bounded, and entries that can't be read are left out.

mod gemini;
mod openai;
mod page;

use std::time::Duration;

use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

use crate::{HttpProvider, dialect::Dialect, model_info::ListedModel, url_path::encode};

use page::{NAME_MAX_BYTES, Page};

/// Timeout for all pages of a list together.
const LIST_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum number of pages of a list.
const PAGES_MAX_COUNT: usize = 20;
/// Maximum number of models of a list.
const MODELS_MAX_COUNT: usize = 3000;

impl HttpProvider {
    /// Returns whether the vendor has an API that lists its models.
    #[must_use]
    pub fn lists_models(&self) -> bool {
        self.endpoint().vendor.models.is_some()
    }

    /// Fetches the models that the provider lists for this key. They are sorted by name, each once.
    ///
    /// # Errors
    /// As for a generation; `not_found` if the vendor has no list.
    pub async fn models(&self) -> Result<Vec<ListedModel>, ApiError> {
        let models = tokio::time::timeout(LIST_TIMEOUT, self.fetch_pages()).await;
        models.unwrap_or_else(|_| {
            let (name, seconds) = (&self.endpoint().name, LIST_TIMEOUT.as_secs());
            let message = format!("the provider {name} didn't list its models within {seconds} s");
            Err(ApiError::new(ErrorCode::ProviderTimeout, message))
        })
    }

    async fn fetch_pages(&self) -> Result<Vec<ListedModel>, ApiError> {
        let vendor = self.endpoint().vendor;
        let path = vendor.models.ok_or_else(|| {
            ApiError::new(ErrorCode::NotFound, format!("{} has no API that lists models", vendor.title))
        })?;
        let (mut models, mut next) = (Vec::new(), Some(path.to_owned()));
        for _ in 0..PAGES_MAX_COUNT {
            let Some(page) = next.take().filter(|_| models.len() < MODELS_MAX_COUNT) else { break };
            let page = read_page(vendor.dialect, &self.get_json(&page).await?);
            models.extend(page.models);
            next = page.next.map(|(field, value)| with_query(path, field, &value));
        }
        let is_valid = |model: &ListedModel| {
            let id = &model.id;
            !id.is_empty()
                && id.len() <= NAME_MAX_BYTES
                && !id.chars().any(char::is_control)
                && !self.redactor().is_in(&serde_json::to_string(model).unwrap_or_default())
        };
        models.retain(is_valid);
        models.truncate(MODELS_MAX_COUNT);
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
        Ok(models)
    }
}

fn read_page(dialect: Dialect, body: &Value) -> Page {
    match dialect {
        Dialect::Gemini => gemini::page(body),
        _ => openai::page(body),
    }
}

/// Adds a field to the query of a path.
fn with_query(path: &str, field: &str, value: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{field}={}", encode(value))
}

#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod tests;
