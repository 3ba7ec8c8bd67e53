//! Checks a key at its provider, by requests that cost nothing.

use hearth_wire::{ApiError, ErrorCode};

use crate::HttpProvider;

/// The path that most APIs list their models at.
const USUAL_LIST: &str = "/models";

/// The result of a check.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyCheck {
    /// The provider accepts the key; the number of models that it lists for it, if it lists any.
    Accepted(Option<usize>),
    /// The provider refuses the key.
    Refused(ApiError),
    /// The provider can't be reached, or has no API that tells.
    Unknown(ApiError),
}

impl HttpProvider {
    /// Checks the key: by the list of models and, since some lists need no key, by the balance where there is one.
    pub async fn verify(&self) -> KeyCheck {
        let listed = if self.lists_models() {
            self.models().await.map(|models| Some(models.len()))
        } else {
            self.get_json(USUAL_LIST).await.map(|_| None)
        };
        let models = match listed {
            Ok(models) => models,
            Err(error) => return failed(error),
        };
        match self.poll_balance().await {
            Err(error) if error.code == ErrorCode::ProviderAuth => failed(error),
            _ => KeyCheck::Accepted(models),
        }
    }
}

fn failed(error: ApiError) -> KeyCheck {
    if error.code == ErrorCode::ProviderAuth { KeyCheck::Refused(error) } else { KeyCheck::Unknown(error) }
}
