//! JSON Schemas of answers: bounded, resolved into one document, relaxed to the part that a grammar can express, and
//! checked as a whole.
//!
//! A client's schema may be of any draft from 4 to 2020-12. [`resolve`] rewrites it to 2020-12, with each reference
//! pointing into `$defs`. [`relax`] then drops the keywords that a grammar can't express, so that the grammar accepts
//! more than the schema does, and [`check`] validates the finished answer against the whole schema.

#![warn(missing_docs)]

mod built_in;
mod check;
mod document;
mod draft;
mod keywords;
mod relax;
mod resolve;

use serde_json::Value;

pub use check::{Checker, Verdict};
use document::Document;
pub use relax::{Level, Relaxed};

/// A client's schema, understood.
pub struct AnswerSchema {
    document: Document,
}

impl AnswerSchema {
    /// Reads a client's schema.
    ///
    /// # Errors
    /// Why the schema is refused: it is invalid, refers to another document, or exceeds a limit. The text continues
    /// a sentence that begins with the schema.
    pub fn read(schema: &Value) -> Result<Self, String> {
        let draft = draft::detect(schema)?;
        Ok(Self { document: resolve::resolve(schema, draft)? })
    }

    /// The levels at which the schema can be relaxed, the most exact first.
    pub fn levels(&self) -> &'static [Level] {
        if self.document.intersects_many_patterns() { &Level::ALL[1..] } else { Level::ALL }
    }

    /// The schema without the keywords that a grammar can't express at `level`.
    pub fn relax(&self, level: Level) -> Relaxed {
        relax::relax(&self.document, level)
    }

    /// A validator of the whole schema.
    ///
    /// # Errors
    /// If a pattern of the schema isn't a regular expression, or is too large.
    pub fn checker(&self) -> Result<Checker, String> {
        Checker::new(&self.document)
    }
}
