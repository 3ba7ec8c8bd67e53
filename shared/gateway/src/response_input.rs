//! The input of a stored response.

use hearth_domain::RunId;
use hearth_wire::{
    ApiError,
    openai::responses::{ConversationItemList, IncludeQuery, InputItemsQuery, RequestInput},
};

use crate::{Gateway, access::Caller, pager::check_limit};

/// Items of a page, unless the query says otherwise, and the most that it may say, as at OpenAI.
const PAGE_ITEMS: (u32, u32) = (20, 100);

impl Gateway {
    /// A page of the items of the request of the caller's response `id`.
    ///
    /// # Errors
    /// `not_found` if no conversation is stored, or it is another user's; `invalid_request` for a wrong limit or item.
    #[crate::boxed_future]
    pub async fn response_input(
        &self,
        caller: &Caller,
        id: RunId,
        query: &InputItemsQuery,
        include: &IncludeQuery,
    ) -> Result<ConversationItemList, ApiError> {
        let (usual, most) = PAGE_ITEMS;
        let limit = check_limit(query.limit, usual, most)? as usize;
        let conversation = self.0.conversations.get_open(caller, id).await?;
        let mut messages = conversation.messages.as_slice();
        if !conversation.is_open {
            messages = messages.split_last().map_or(messages, |(_, input)| input);
        }
        let (earlier_count, render) = (conversation.earlier_count, &conversation.render);
        RequestInput { run: id, messages, earlier_count, render }.page(query, include, limit)
    }
}
