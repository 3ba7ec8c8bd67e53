//! Requests without a message or a prompt: they have a model loaded, or unloaded.

use hearth_domain::{RuntimeState, Scope};
use hearth_wire::ApiError;

use crate::asker::Asker;

/// Begins to load the model `id`, or to unload it; Ollama's word for what was done. A provider's model is always there.
///
/// # Errors
/// `model_not_found`; `conflict` if it is to be unloaded while it is in use; `forbidden` without the right to do that.
pub(super) async fn load_or_unload(asker: &Asker, id: &str, unload: bool) -> Result<&'static str, ApiError> {
    let Asker { gateway, caller, .. } = asker;
    let model = gateway.model(caller, id).await?;
    let state = model.runtime_status.map(|status| status.state);
    if unload {
        if model.node.is_some() && state != Some(RuntimeState::Unloaded) {
            caller.require(Scope::ModelsWrite)?;
            gateway.unload_model(caller, &model.id).await?;
        }
        return Ok("unload");
    }
    if model.node.is_some() && matches!(state, Some(RuntimeState::Unloaded | RuntimeState::Failed)) {
        gateway.load_model(caller, &model.id).await?;
    }
    Ok("load")
}
