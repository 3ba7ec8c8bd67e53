//! Anthropic's messages (<https://platform.claude.com/docs/en/api/messages>), in the version `2023-06-01`.

mod conversation;
mod event;
mod provider_block;
pub(super) mod request;
pub(super) mod stream;
mod thinking;

pub(crate) use thinking::claude_version;

#[cfg(test)]
mod tests;
