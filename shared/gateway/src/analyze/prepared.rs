//! An analysis that is ready to be carried out, and the terms of its response.

use hearth_domain::{CacheControl, Generation, Task};
use hearth_wire::native::analyze::{DataFormat, LanguageBody, SchemaUsed, SuspicionBody, TemplateUsed};
use serde_json::Value;

use super::{
    confidence::rounded,
    language::{DetectedLanguage, Language},
};

/// Temperature of the samples after the first, where the request sets none: at 0 all would be alike.
const SAMPLE_TEMPERATURE: f32 = 0.7;
/// Source of the default schema.
pub(super) const DEFAULT_SOURCE: &str = "default";

/// An analysis that is ready to be carried out.
#[derive(Debug, Clone)]
pub(super) struct PreparedAnalysis {
    /// The request to a model.
    pub(super) generation: Generation,
    pub(super) samples: u32,
    pub(super) terms: ResponseTerms,
}

/// The parts of an analysis on which its response depends, beside the answers.
#[derive(Debug, Clone)]
pub(super) struct ResponseTerms {
    /// The schema of the data; none if it was deleted since the run began.
    pub(super) schema: Option<Value>,
    pub(super) schema_used: SchemaUsed,
    pub(super) template: Option<TemplateUsed>,
    pub(super) format: DataFormat,
    pub(super) threshold: f64,
    pub(super) bypasses_validation: bool,
    /// The language of the text.
    pub(super) detected: Option<DetectedLanguage>,
    /// The language of the answer.
    pub(super) requested: Option<Language>,
    pub(super) suspicious: Vec<SuspicionBody>,
}

impl ResponseTerms {
    /// True if the schema is the default one.
    pub(super) fn has_default_schema(&self) -> bool {
        self.schema_used.source == DEFAULT_SOURCE
    }

    /// The languages that are known before the answer.
    pub(super) fn language(&self) -> LanguageBody {
        LanguageBody {
            detected: self.detected.map(|detected| detected.language.code().to_owned()),
            confidence: self.detected.map(|detected| rounded(detected.confidence)),
            requested: self.requested.map(|language| language.code().to_owned()),
            ..LanguageBody::default()
        }
    }
}

impl PreparedAnalysis {
    /// The request of the sample of this number, from 0. The first one is the response's, the others vary.
    pub(super) fn sample(&self, number: u32) -> Generation {
        let mut generation = self.generation.clone();
        if number > 0
            && let Task::Text(task) = &mut generation.task
        {
            let temperature = task.sampling.temperature.filter(|temperature| *temperature > 0.0);
            task.sampling.temperature = temperature.or(Some(SAMPLE_TEMPERATURE));
            task.sampling.seed = Some(number);
            if generation.cache == CacheControl::Auto {
                // The seed makes it repeatable enough: the analysis is cached as a whole or not at all.
                generation.cache = CacheControl::Use;
            }
        }
        generation
    }

    /// A text that is equal for analyses whose answers may be the same one.
    pub(super) fn identity(&self) -> String {
        let parts = (
            &self.generation,
            self.terms.format,
            self.terms.threshold.to_bits(),
            self.samples,
            self.terms.bypasses_validation,
            &self.terms.schema_used,
            &self.terms.template,
        );
        serde_json::to_string(&parts).unwrap_or_default()
    }
}
