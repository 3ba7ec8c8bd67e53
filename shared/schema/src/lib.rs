//! JSON Schemas of structured answers: limits, resolution into one document, relaxation for a grammar, and validation.
//!
//! A client's schema may be of any draft from 4 to 2020-12. [`resolve`] rewrites it to 2020-12, with each reference
//! pointing into `$defs`. [`relax`] drops the keywords that a grammar can't express, so the grammar accepts more than the
//! schema. [`check`] validates the finished answer against the whole schema.

#![warn(missing_docs)]

mod built_in;
mod check;
mod document;
mod draft;
mod keywords;
mod relax;
mod resolve;

use serde_json::Value;

pub use check::{AnswerChecker, CheckResult};
use document::Document;
pub use relax::{RelaxLevel, RelaxedSchema};

/// A client's schema, resolved into one document.
pub struct AnswerSchema {
    document: Document,
}

impl AnswerSchema {
    /// Parses a client's schema.
    ///
    /// # Errors
    /// The problem of a schema that is invalid, refers to another document, or exceeds a limit. Its subject is the schema:
    /// "is invalid", "refers to ...".
    pub fn parse(schema: &Value) -> Result<Self, String> {
        let draft = draft::detect(schema)?;
        Ok(Self { document: resolve::resolve(schema, draft)? })
    }

    /// The levels to which the schema can be relaxed, the most exact first.
    pub fn levels(&self) -> &'static [RelaxLevel] {
        if self.document.intersects_many_patterns() { &RelaxLevel::ALL[1..] } else { RelaxLevel::ALL }
    }

    /// Relaxes the schema to `level`.
    pub fn relax(&self, level: RelaxLevel) -> RelaxedSchema {
        relax::relax(&self.document, level)
    }

    /// Creates a validator of the whole schema.
    ///
    /// # Errors
    /// The problem of a schema with a pattern that is invalid or too large.
    pub fn checker(&self) -> Result<AnswerChecker, String> {
        AnswerChecker::new(&self.document)
    }
}
