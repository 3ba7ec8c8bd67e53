//! The models that a provider's key can reach, as the provider lists them.
//!
//! A list may tell more than names; what it tells is put over the catalog's facts. What it holds is never
//! trusted to be short, well-formed or true: pages, bytes and names are bounded, and what can't be read is left
//! out.

mod gemini;
mod openai;

use std::time::Duration;

use futures::StreamExt as _;
use hearth_wire::{ApiError, ErrorCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    HttpProvider,
    catalog::Override,
    decompress,
    dialect::{Dialect, unreadable},
    transport::HttpAnswer,
    url_path::encode,
};

/// How long all pages of a list may take together.
const LIST: Duration = Duration::from_secs(15);
/// Pages of a list.
const PAGES: usize = 20;
/// Models of a list.
const MODELS: usize = 3000;
/// Bytes of a page.
const BYTES: usize = 16 << 20;
/// Characters of a model's name.
const NAME: usize = 200;

/// A model that a provider lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The provider's name for it.
    pub id: String,
    /// When the provider had it first, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// What the list tells of it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub told: Override,
}

impl Listed {
    /// Whether the list tells more of it than its name.
    #[must_use]
    pub fn tells(&self) -> bool {
        !is_nothing(&self.told)
    }
}

/// A page of a list.
#[derive(Debug, Default, PartialEq)]
struct Page {
    models: Vec<Listed>,
    /// What to add to the query to get the next one.
    next: Option<(&'static str, String)>,
}

impl HttpProvider {
    /// Whether the provider can be asked which models it has.
    #[must_use]
    pub fn lists_models(&self) -> bool {
        self.endpoint().vendor.models.is_some()
    }

    /// The models that the provider lists for this key, by their names; none twice.
    ///
    /// # Errors
    /// As for a generation; `not_found` if the provider has no list.
    pub async fn models(&self) -> Result<Vec<Listed>, ApiError> {
        let listed = tokio::time::timeout(LIST, self.every_page()).await;
        let name = &self.endpoint().name;
        listed.unwrap_or_else(|_| {
            let message = format!("the provider {name} didn't list its models within {} s", LIST.as_secs());
            Err(ApiError::new(ErrorCode::ProviderTimeout, message))
        })
    }

    async fn every_page(&self) -> Result<Vec<Listed>, ApiError> {
        let vendor = self.endpoint().vendor;
        let path = vendor.models.ok_or_else(|| {
            ApiError::new(ErrorCode::NotFound, format!("{} has no list of models to ask for", vendor.title))
        })?;
        let (mut models, mut next) = (Vec::new(), Some(path.to_owned()));
        for _ in 0..PAGES {
            let Some(page) = next.take().filter(|_| models.len() < MODELS) else { break };
            let page = read(vendor.dialect, &json(self.get(&page).await?).await?);
            models.extend(page.models);
            next = page.next.map(|(field, value)| with(path, field, &value));
        }
        let named = |model: &Listed| {
            let id = &model.id;
            !id.is_empty()
                && id.len() <= NAME
                && !id.chars().any(char::is_control)
                && !self.redactor().is_in(&serde_json::to_string(model).unwrap_or_default())
        };
        models.retain(named);
        models.truncate(MODELS);
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
        Ok(models)
    }

    /// Whether the vendor tells the balance.
    #[must_use]
    pub fn tells_balance(&self) -> bool {
        !self.endpoint().vendor.balance().is_empty()
    }

    /// Asks for the balance, where the vendor tells it, and notes it.
    ///
    /// # Errors
    /// As for a generation.
    pub async fn check_balance(&self) -> Result<(), ApiError> {
        for place in self.endpoint().vendor.balance() {
            let answer = async { json(self.get(place.path).await?).await };
            let answer = tokio::time::timeout(LIST, answer).await.map_err(|_| {
                let message = format!("the provider {} didn't tell its balance", self.endpoint().name);
                ApiError::new(ErrorCode::ProviderTimeout, message)
            })?;
            if let Some(found) = (place.read)(&answer?) {
                self.note_balance(found);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A body that isn't endless.
async fn json(answer: HttpAnswer) -> Result<Value, ApiError> {
    let (mut body, mut pieces) = (Vec::new(), decompress::body_of(answer)?);
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|_| unreadable("it broke off"))?);
        if body.len() > BYTES {
            return Err(unreadable("it is too long"));
        }
    }
    serde_json::from_slice(&body).map_err(|_| unreadable("it is no JSON"))
}

fn read(dialect: Dialect, said: &Value) -> Page {
    match dialect {
        Dialect::Gemini => gemini::page(said),
        _ => openai::page(said),
    }
}

/// The path, with one more field in its query.
fn with(path: &str, field: &str, value: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{field}={}", encode(value))
}

fn is_nothing(told: &Override) -> bool {
    *told == Override::default()
}

/// A number of tokens.
fn tokens(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|tokens| u32::try_from(tokens).ok()).filter(|tokens| *tokens > 0)
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let fits = !text.is_empty() && text.len() <= NAME && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod live;
#[cfg(test)]
mod tests;
