//! Findings of the checks.

use std::fmt;

use serde::Serialize;

use crate::client::error::AlreadyReported;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// The check passed.
    Ok,
    /// Hearth works, with a restriction.
    Warning,
    /// Hearth, or a part of it, doesn't work.
    Problem,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Subject of the check, in one word.
    pub(super) about: &'static str,
    pub(super) message: String,
    /// Advice, if something can be done.
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(about: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, about, message: message.into(), advice: None }
    }

    pub(super) fn warning(
        about: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warning, about, message: message.into(), advice: Some(advice.into()) }
    }

    pub(super) fn problem(
        about: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: Level::Problem, about, message: message.into(), advice: Some(advice.into()) }
    }
}

/// Returns whether no finding is a problem.
pub(super) fn is_healthy(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level != Level::Problem)
}

/// Formats findings, each in lines of its own.
pub(super) fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The result of the command: an error, already printed, if something is wrong.
pub(super) fn outcome(healthy: bool) -> anyhow::Result<()> {
    if healthy { Ok(()) } else { Err(AlreadyReported.into()) }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        };
        write!(f, "{level:<8} {:<10} {}", self.about, self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{:20}-> {advice}", ""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_is_printed_in_columns() {
        assert_eq!(Finding::ok("memory", "8 GiB").to_string(), "ok       memory     8 GiB");
        assert_eq!(
            Finding::problem("port", "8080 is in use", "choose another").to_string(),
            "problem  port       8080 is in use\n                    -> choose another"
        );
    }
}
