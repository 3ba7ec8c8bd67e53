//! Item references in the input of a response.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::{Message, RunId};
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
        let mut first_of_run: BTreeMap<RunId, &ItemReference> = BTreeMap::new();
        for reference in &references {
            // The error, if there is one, is that of a reference that the request needs.
            let first = first_of_run.entry(reference.run).or_insert(reference);
            if first.is_optional() {
                *first = reference;
            }
        }
        let firsts: Vec<ItemReference> = first_of_run.into_values().cloned().collect();
        let runs: Vec<RunId> = firsts.iter().map(|reference| reference.run).collect();
        let reads = firsts.into_iter().map(|reference| self.referenced_answer(caller, reference));
        let answers: Vec<Option<(Message, ItemLayout)>> =
            stream::iter(reads).buffered(MAX_CONCURRENT_READS).try_collect().await?;
        let answers: BTreeMap<RunId, _> = runs.into_iter().zip(answers).collect();
        for reference in &references {
            if let Some(Some((answer, layout))) = answers.get(&reference.run) {
                request.resolve_reference(reference, answer, layout)?;
            }
        }
        Ok(())
    }

    /// The answer of the run that the reference names, and the layout of its items; `None` if it isn't stored, and the request
    /// is valid without it.
    async fn referenced_answer(
        &self,
        caller: &Caller,
        reference: ItemReference,
    ) -> Result<Option<(Message, ItemLayout)>, ApiError> {
        let mut conversation = match self.get(caller, reference.run).await {
            Ok(conversation) => conversation,
            Err(error) if error.code != ErrorCode::NotFound => return Err(error),
            Err(_) if reference.is_optional() => return Ok(None),
            Err(_) => return Err(reference.not_found()),
        };
        let answer = conversation.messages.pop().ok_or_else(|| reference.not_found())?;
        Ok(Some((answer, conversation.layout)))
    }
}
