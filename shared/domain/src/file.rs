//! Files that users upload.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Purpose of a file, as in OpenAI's Files API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilePurpose {
    /// For assistants.
    Assistants,
    /// Input of a batch.
    Batch,
    /// Training data.
    #[serde(rename = "fine-tune")]
    FineTune,
    /// Image for a model with vision.
    Vision,
    /// Any other file of the user.
    UserData,
    /// Data of an evaluation.
    Evals,
    /// Results of a batch. No upload has it.
    BatchOutput,
}

impl FilePurpose {
    /// Every purpose.
    pub const ALL: [Self; 7] = [
        Self::Assistants,
        Self::Batch,
        Self::FineTune,
        Self::Vision,
        Self::UserData,
        Self::Evals,
        Self::BatchOutput,
    ];

    /// Returns the purpose as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::Batch => "batch",
            Self::FineTune => "fine-tune",
            Self::Vision => "vision",
            Self::UserData => "user_data",
            Self::Evals => "evals",
            Self::BatchOutput => "batch_output",
        }
    }
}

impl fmt::Display for FilePurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no purpose of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: assistants, batch, fine-tune, vision, user_data, evals, batch_output")]
pub struct InvalidPurpose;

impl FromStr for FilePurpose {
    type Err = InvalidPurpose;

    fn from_str(text: &str) -> Result<Self, InvalidPurpose> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or(InvalidPurpose)
    }
}

/// State of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Its bytes are being uploaded. It is in no list, and counts against no quota.
    Uploading,
    /// It is stored.
    Stored,
    /// It is deleted, and in no list. Its bytes are deleted again when nothing can send them any more.
    Deleted,
}

impl FileState {
    /// Returns the state's name, as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Stored => "stored",
            Self::Deleted => "deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_parsed_and_written_as_in_json() {
        for purpose in FilePurpose::ALL {
            assert_eq!(purpose.as_str().parse(), Ok(purpose));
            assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.as_str());
        }
        for other in ["", "Vision", "fine_tune", "assistants_output"] {
            assert_eq!(other.parse::<FilePurpose>(), Err(InvalidPurpose));
        }
    }
}
