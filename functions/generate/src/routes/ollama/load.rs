//! Requests without a message or a prompt, which load or unload a model.

use hearth_domain::{Action, RuntimeState};
use hearth_wire::ApiError;

use crate::run_request::RunRequest;

/// Starts to load or unload the model `id`, and returns Ollama's word for it. A provider's model is always loaded.
///
/// # Errors
/// `model_not_found`; `conflict` if it is to be unloaded while it is in use; `forbidden` without the right to do that.
pub(super) async fn load_or_unload(
    run_request: &RunRequest,
    id: &str,
    unload: bool,
) -> Result<&'static str, ApiError> {
    let RunRequest { gateway, caller, .. } = run_request;
    let model = gateway.model(caller, id).await?;
    let state = model.runtime_status.map(|status| status.state);
    if unload {
        if model.node.is_some() && state != Some(RuntimeState::Unloaded) {
            caller.require(Action::LoadModels)?;
            gateway.unload_model(caller, &model.id).await?;
        }
        return Ok("unload");
    }
    if model.node.is_some() && matches!(state, Some(RuntimeState::Unloaded | RuntimeState::Failed)) {
        gateway.load_model(caller, &model.id).await?;
    }
    Ok("load")
}
