//! The limit of an answer's size.

use hearth_wire::{ApiError, ErrorCode, RunEventBody};

/// Limit of the files of one run: each has an entry in the run's record.
const FILES_MAX_COUNT: usize = 64;

/// Counts an answer's bytes and files against their limits.
#[derive(Debug)]
pub(super) struct AnswerLimits {
    max_bytes: u64,
    bytes: u64,
    files: usize,
}

impl AnswerLimits {
    /// Limits an answer to `max_bytes`.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, bytes: 0, files: 0 }
    }

    /// Counts an event; returns an error if it exceeds a limit.
    pub(super) fn count(&mut self, event: &RunEventBody) -> Option<ApiError> {
        self.bytes += match event {
            RunEventBody::Delta { text, .. } | RunEventBody::Refusal { text, .. } => text.len(),
            RunEventBody::Reasoning { added, .. } => {
                let sealed = [&added.signature, &added.encrypted];
                added.text.len() + sealed.into_iter().flatten().map(String::len).sum::<usize>()
            }
            RunEventBody::ToolCall { arguments, .. } => arguments.len(),
            RunEventBody::Extension { extension, .. } => extension.bytes(),
            RunEventBody::Embedding { vector, .. } => size_of_val(vector.as_slice()),
            RunEventBody::Artifact { .. } => {
                self.files += 1;
                0
            }
            _ => 0,
        } as u64;
        if self.files > FILES_MAX_COUNT {
            let message = format!("the answer has more than {FILES_MAX_COUNT} files, and was stopped");
            return Some(ApiError::new(ErrorCode::ProviderError, message));
        }
        (self.bytes > self.max_bytes).then(|| {
            let message = format!(
                "the answer is larger than {} bytes, and was stopped; ask for a shorter one, or raise answer_max_bytes in \
                 the gateway's settings",
                self.max_bytes
            );
            ApiError::new(ErrorCode::ProviderError, message).with("answer_max_bytes", self.max_bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Artifact, ArtifactId, Timestamp};

    use super::*;

    #[test]
    fn answer_above_the_limit_names_the_setting() {
        let mut limits = AnswerLimits::new(8);
        assert_eq!(limits.count(&RunEventBody::text("four")), None);
        assert_eq!(limits.count(&RunEventBody::text("four")), None);
        let error = limits.count(&RunEventBody::Embedding { index: 0, vector: vec![0.5] }).unwrap();
        assert!(error.message.contains("answer_max_bytes"), "{error:?}");
        assert_eq!(error.code, ErrorCode::ProviderError);
    }

    #[test]
    fn answer_has_64_files_at_most() {
        let artifact = Artifact {
            id: ArtifactId::new(),
            media_type: "image/png".into(),
            size_bytes: 1,
            sha256: String::new(),
            revised_prompt: None,
            expires_at: Timestamp::now(),
            link: String::new(),
        };
        let (mut limits, file) = (AnswerLimits::new(8), RunEventBody::Artifact { index: 0, artifact });
        assert!((0..64).all(|_| limits.count(&file).is_none()));
        assert!(limits.count(&file).unwrap().message.contains("more than 64 files"));
    }
}
