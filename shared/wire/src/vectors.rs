//! The vectors of a run that embeds texts.

use hearth_domain::Usage;

use crate::{ApiError, ErrorCode, RunEvent, RunEventBody, answer::final_outcome};

/// The vectors of a run, in the order of the texts.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    /// The model that served the run.
    pub(crate) model: String,
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) usage: Usage,
}

impl Vectors {
    /// Collects the vectors of `count` texts from all events of a run.
    ///
    /// # Errors
    /// The run's own error; `provider_error` if a vector is missing.
    pub(crate) fn collect(events: &[RunEvent], count: usize) -> Result<Self, ApiError> {
        final_outcome(events)?;
        let (mut numbered, mut collected) = (Vec::with_capacity(count), Self::default());
        for event in events {
            match &event.body {
                RunEventBody::Selected(selected) => collected.model = selected.model.to_string(),
                RunEventBody::Embedding { index, vector } => numbered.push((*index, vector)),
                RunEventBody::Usage { usage } => collected.usage = *usage,
                _ => {}
            }
        }
        numbered.sort_by_key(|(index, _)| *index);
        let is_complete =
            numbered.len() == count && (0..).zip(&numbered).all(|(expected, (index, _))| *index == expected);
        if !is_complete {
            return Err(ApiError::new(ErrorCode::ProviderError, "the model left out a vector; try again"));
        }
        collected.vectors = numbered.into_iter().map(|(_, vector)| vector.clone()).collect();
        Ok(collected)
    }
}
