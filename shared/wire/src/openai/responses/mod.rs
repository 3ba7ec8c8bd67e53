//! `POST /v1/responses` (<https://platform.openai.com/docs/api-reference/responses>).

mod form;
mod items;
mod layout;
mod offer;
mod references;
mod render;
mod request;
mod response;
mod tools;

pub use form::{ReasoningBody, TextBody, TextFormat};
pub use items::{InputItem, ItemContent, ItemPart, ItemRole, ResponsesInput};
pub use layout::Layout;
pub use references::Reference;
pub use render::Renderer;
pub(crate) use request::param;
pub use request::{ResponsesRequest, Turn};
pub use response::{
    Asked, DeletedResponse, Incomplete, InputDetails, OutputDetails, OutputItem, OutputPart, OutputRefusal,
    OutputText, ReasoningText, ResponseFailure, ResponseObject, ResponseUsage,
};
pub use tools::{ChosenTools, NamedTool, ResponsesTool, ResponsesToolChoice};

#[cfg(test)]
mod tests;
