//! `POST /v1/images/generations` (<https://platform.openai.com/docs/api-reference/images>).

mod list;
mod request;

#[cfg(test)]
mod tests;

pub use list::{ImageBody, ImageFrames, ImageList, ImageUsage, InputTokens, Made};
pub use request::{ImageRequest, ResponseFormat, Shown};
