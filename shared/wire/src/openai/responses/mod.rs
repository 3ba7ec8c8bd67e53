//! `POST /v1/responses` (<https://platform.openai.com/docs/api-reference/responses>).

mod conversation_items;
mod conversations;
mod custom_tools;
mod encrypted_content;
mod hosted_items;
mod include_query;
mod input_items;
mod input_list;
mod input_messages;
mod item_id;
mod item_layout;
mod offered_tools;
mod output_item;
mod reasoning;
mod references;
mod render;
mod render_options;
mod request;
mod request_echo;
mod response;
mod sent_answer;
mod stored_answer;
mod stored_depth;
mod stored_parts;
mod text_fields;
mod text_format;
mod tool_choice;
mod tool_names;
mod tools;

pub use conversation_items::{items_of_message, messages_of_items};
pub use conversations::{
    ConversationItemList, ConversationItemsQuery, ConversationObject, ConversationParam,
    ConversationReference, CreateConversation, CreateConversationItems, DeletedConversation, ItemOrder,
    UpdateConversation, conversation_not_found,
};
pub use hosted_items::is_hosted_item;
pub use include_query::IncludeQuery;
pub use input_items::{InputItem, ItemContent, ItemOutput, ItemPart, ItemRole, ResponsesInput};
pub use input_list::{InputItemsQuery, RequestInput};
pub use item_layout::ItemLayout;
pub use output_item::{ExtendedOutputItem, OutputItem, OutputPart, OutputRefusal, OutputText, ReasoningText};
pub use reasoning::ReasoningBody;
pub use references::ItemReference;
pub use render::ResponsesRenderer;
pub use render_options::RenderOptions;
pub(crate) use request::param;
pub use request::{ResponsesRequest, ResponsesTurn};
pub use request_echo::RequestEcho;
pub use response::{
    DeletedResponse, IncompleteDetails, InputTokensDetails, OutputTokensDetails, ResponseFailure,
    ResponseObject, ResponseQuery, ResponseUsage,
};
pub use sent_answer::sent_answer;
pub use stored_answer::stored_answer;
pub use stored_parts::{
    CONVERSATION, PREVIOUS_RESPONSE, describe_stored_part, is_needed_answer_item, name_stored_parts,
    quoted_kind, stored_field,
};
pub use text_format::{TextBody, TextFormat};
pub use tool_choice::{ResponsesChosenTools, ResponsesToolChoice, ResponsesToolName};
pub use tools::ResponsesTool;

#[cfg(test)]
mod tests;
