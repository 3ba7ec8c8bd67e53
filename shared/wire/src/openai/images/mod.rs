//! `POST /v1/images/generations` and `/v1/images/edits` (<https://platform.openai.com/docs/api-reference/images>).

mod answer;
mod edit;
mod request;

#[cfg(test)]
mod tests;

pub use answer::{GeneratedImages, ImageBody, ImageFrames, ImageInputTokensDetails, ImageList, ImageUsage};
pub use edit::{ImageEdit, ImageEditForm};
pub use request::{ImageAnswerOptions, ImageRequest, ImageResponseFormat};
