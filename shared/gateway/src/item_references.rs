//! Item references in the input of a response.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::Message;
use hearth_wire::{
    ApiError, ErrorCode,
    openai::responses::{ItemLayout, ItemReference, ResponsesRequest},
};

use crate::{Gateway, access::Caller, conversations::Conversations};

/// Most conversations that are read concurrently.
const MAX_CONCURRENT_READS: usize = 16;

impl Gateway {
    /// Replaces the item references of `request` by the stored items.
    ///
    /// # Errors
    /// `not_found`, with the field, for an item that isn't stored, or belongs to another user.
    #[crate::boxed_future]
    pub async fn resolve_item_references(
        &self,
        caller: &Caller,
        request: &mut ResponsesRequest,
    ) -> Result<(), ApiError> {
        self.0.conversations.resolve_item_references(caller, request).await
    }
}

impl Conversations {
    /// Replaces the item references of `request` by the stored items.
    ///
    /// # Errors
    /// As [`Gateway::resolve_item_references`].
    pub(crate) async fn resolve_item_references(
        &self,
        caller: &Caller,
        request: &mut ResponsesRequest,
    ) -> Result<(), ApiError> {
        let references = request.item_references()?;
        let reads = references.iter().cloned().map(|reference| self.referenced_answer(caller, reference));
        let answers: Vec<(Message, ItemLayout)> =
            stream::iter(reads).buffered(MAX_CONCURRENT_READS).try_collect().await?;
        references.iter().zip(&answers).try_for_each(|(reference, (answer, layout))| {
            request.resolve_reference(reference, answer, layout)
        })
    }

    /// The answer of the run that the reference names, and the layout of its items.
    async fn referenced_answer(
        &self,
        caller: &Caller,
        reference: ItemReference,
    ) -> Result<(Message, ItemLayout), ApiError> {
        let missing = || reference.not_found();
        let conversation = self.get(caller, reference.run).await;
        let conversation =
            conversation.map_err(|error| if error.code == ErrorCode::NotFound { missing() } else { error });
        let mut conversation = conversation?;
        let answer = conversation.messages.pop().ok_or_else(missing)?;
        Ok((answer, conversation.layout))
    }
}
