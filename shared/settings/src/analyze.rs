//! Settings of analyses.

use serde::{Deserialize, Serialize};

use crate::bounds::{InvalidSetting, check_ranges};

/// The table `analyze` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyzeSettings {
    /// Characters of a prompt.
    pub prompt_max_chars: u64,
    /// KiB of a request's own schema.
    pub schema_max_kb: u64,
    /// Levels of schemas in one another.
    pub schema_max_depth: u32,
    /// Items of a batch.
    pub batch_max_items: u32,
    /// Items of a batch that are analyzed at the same time.
    pub batch_concurrency: u32,
    /// Confidence below which an analysis is marked, 0 to 1, where the request sets none.
    pub confidence_threshold: f64,
    /// Refuse prompts with a pattern of an attack; else they are reported in the response.
    pub refuse_suspicious: bool,
}

impl Default for AnalyzeSettings {
    fn default() -> Self {
        Self {
            prompt_max_chars: 10_000,
            schema_max_kb: 50,
            schema_max_depth: 10,
            batch_max_items: 100,
            batch_concurrency: 8,
            confidence_threshold: 0.5,
            refuse_suspicious: false,
        }
    }
}

impl AnalyzeSettings {
    /// Bytes of a request's own schema.
    #[must_use]
    pub fn schema_max_bytes(&self) -> usize {
        usize::try_from(self.schema_max_kb << 10).unwrap_or(usize::MAX)
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "analyze.",
            [
                ("prompt_max_chars", Some(self.prompt_max_chars), 1..=1_000_000),
                ("schema_max_kb", Some(self.schema_max_kb), 1..=1024),
                ("schema_max_depth", Some(self.schema_max_depth.into()), 1..=64),
                ("batch_max_items", Some(self.batch_max_items.into()), 1..=1000),
                ("batch_concurrency", Some(self.batch_concurrency.into()), 1..=100),
            ],
        )?;
        if (0.0..=1.0).contains(&self.confidence_threshold) {
            return Ok(());
        }
        let message =
            format!("analyze.confidence_threshold must be 0 to 1, and is {}", self.confidence_threshold);
        Err(InvalidSetting::new(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_out_of_bounds_is_named() {
        assert_eq!(AnalyzeSettings::default().validate(), Ok(()));
        for (settings, name) in [
            (AnalyzeSettings { batch_concurrency: 0, ..Default::default() }, "analyze.batch_concurrency"),
            (
                AnalyzeSettings { confidence_threshold: 1.5, ..Default::default() },
                "analyze.confidence_threshold",
            ),
            (
                AnalyzeSettings { confidence_threshold: f64::NAN, ..Default::default() },
                "analyze.confidence_threshold",
            ),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
