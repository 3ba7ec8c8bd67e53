//! `POST /v1/images/generations` and `/v1/images/edits` (<https://platform.openai.com/docs/api-reference/images>).

mod edit;
mod list;
mod request;

#[cfg(test)]
mod tests;

pub use edit::{ImageEdit, ImageEditForm};
pub use list::{ImageBody, ImageFrames, ImageList, ImageUsage, InputTokens, Made};
pub use request::{ImageRequest, ResponseFormat, Shown};
