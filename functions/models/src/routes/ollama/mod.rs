//! Ollama's dialect, one file per route.

pub(crate) mod delete;
pub(crate) mod ps;
pub(crate) mod pull;
pub(crate) mod show;
pub(crate) mod tags;
pub(crate) mod version;

use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::{
    native::models::ModelBody,
    ollama::{OllamaError, OllamaModelName},
};

/// The model that a request names.
///
/// # Errors
/// `invalid_request` if it names none; `model_not_found`.
async fn named(state: &AppState, caller: &Caller, request: OllamaModelName) -> Result<ModelBody, HttpError> {
    let name = request.into_name()?;
    let id = state.gateway.without_latest_tag(&name).await;
    let model = state.gateway.model(caller, &id).await;
    model.map_err(|error| HttpError(OllamaError::in_its_words(error, &name)))
}
