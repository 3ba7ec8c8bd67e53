//! Items of a response's input that are named by their ids.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::Message;
use hearth_wire::{
    ApiError, ErrorCode,
    openai::responses::{Layout, Reference, ResponsesRequest},
};

use crate::asker::Asker;

/// How many conversations are read at once.
const AT_ONCE: usize = 16;

/// Puts the items themselves where `request` names them.
///
/// # Errors
/// `not_found`, naming the field, for an item that isn't stored, or is somebody else's.
pub(crate) async fn told(asker: &Asker, request: &mut ResponsesRequest) -> Result<(), ApiError> {
    let references = request.references()?;
    let found = references.iter().cloned().map(|reference| answer(asker, reference));
    let answers: Vec<(Message, Layout)> = stream::iter(found).buffered(AT_ONCE).try_collect().await?;
    references
        .iter()
        .zip(&answers)
        .try_for_each(|(reference, (answer, layout))| request.tell(reference, answer, layout))
}

/// What the model said in the run that the reference names, and in which order.
async fn answer(asker: &Asker, reference: Reference) -> Result<(Message, Layout), ApiError> {
    let missing = || reference.missing();
    let kept = asker.gateway.conversation(&asker.caller, reference.run).await;
    let kept = kept.map_err(|error| if error.code == ErrorCode::NotFound { missing() } else { error });
    let mut kept = kept?;
    let answer = kept.messages.pop().ok_or_else(missing)?;
    Ok((answer, kept.layout))
}
