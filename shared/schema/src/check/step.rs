//! The keyword that counts the steps of a check, and bounds the matches of patterns.
//!
//! A validator matches all names of an object with all patterns of `patternProperties` in one go, and a pattern with look-around may
//! take milliseconds for a name. So the keyword rehearses these matches, with a look at the clock between them: the validator takes as
//! long for each repetition. A pattern that backtracks isn't matched with a long text at all: nothing could stop it.

use std::time::Instant;

use fancy_regex::{CompileError, Error, RegexBuilder};
use jsonschema::{Draft, FancyRegex, Keyword, PatternCache, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::{ENDS_AT, Unfinished, count_steps, leave};
use crate::pattern::backtracks;

/// Largest number of backtracking steps of a pattern; then it doesn't match.
const BACKTRACK_MAX_COUNT: usize = 100_000;
/// Largest size of a compiled pattern.
const PATTERN_MAX_BYTES: usize = 1 << 20;
/// Largest size of all compiled patterns of a schema.
const PATTERNS_MAX_BYTES: usize = 32 << 20;
/// Largest text that a pattern which backtracks is matched with.
const BACKTRACKED_MAX_BYTES: usize = 16 << 10;
/// Number of matches of one object that aren't rehearsed.
const UNREHEARSED_MAX_COUNT: usize = 64;
/// Parts of the remaining time of which a rehearsal may take one: a validator repeats its matches for other keywords and for errors.
const REHEARSAL_PARTS: u32 = 4;

/// Limits of the patterns of a schema.
pub(super) struct PatternLimits {
    /// Largest size of a compiled pattern.
    pub(super) pattern_bytes: usize,
    /// The compiled patterns, for the validator and for rehearsals.
    pub(super) cache: PatternCache,
}

impl PatternLimits {
    /// The limits of a schema with this number of patterns.
    pub(super) fn new(pattern_count: usize) -> Self {
        let pattern_bytes = (PATTERNS_MAX_BYTES / pattern_count.max(1)).min(PATTERN_MAX_BYTES);
        Self { pattern_bytes, cache: PatternCache::new() }
    }

    /// The options by which patterns are compiled.
    pub(super) fn options(&self) -> PatternOptions<FancyRegex> {
        PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACK_MAX_COUNT)
            .size_limit(self.pattern_bytes)
            .dfa_size_limit(self.pattern_bytes)
    }
}

/// True if a pattern is a regular expression whose compiled form has more than `max_bytes`.
pub(super) fn is_too_large(pattern: &str, max_bytes: usize) -> bool {
    let mut builder = RegexBuilder::new(pattern);
    builder.delegate_size_limit(max_bytes).delegate_dfa_size_limit(max_bytes);
    let Err(Error::CompileError(error)) = builder.build() else { return false };
    matches!(*error, CompileError::InnerError(error) if error.size_limit().is_some())
}

/// The keyword of one schema.
pub(super) struct Step {
    /// Validators of the patterns of names.
    name_patterns: Vec<Validator>,
    /// True if a pattern of names needs backtracking.
    names_backtrack: bool,
    /// True if the pattern of texts needs backtracking.
    text_backtracks: bool,
}

impl Step {
    /// The keyword before a schema that is about to be compiled. `value`: the patterns of the schema.
    pub(super) fn new(value: &Value, limits: &PatternLimits) -> Self {
        count_steps(1);
        let patterns = || value.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let validator = |pattern: &String| {
            let validator = jsonschema::options()
                .offline()
                .with_draft(Draft::Draft202012)
                .with_pattern_options(limits.options())
                .with_pattern_cache(limits.cache.clone())
                .build(&json!({"pattern": pattern}));
            count_steps(1);
            // A bad pattern is an error of the whole schema.
            validator.ok()
        };
        let step = Self {
            name_patterns: patterns().filter_map(|(pattern, _)| validator(pattern)).collect(),
            names_backtrack: patterns().any(|(pattern, _)| backtracks(pattern)),
            text_backtracks: value.get("pattern").and_then(Value::as_str).is_some_and(backtracks),
        };
        // Names of properties are matched when the schema is compiled.
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            step.rehearse(properties);
        }
        step
    }

    fn count(&self, value: &Value) {
        count_steps(1);
        match value {
            Value::Object(members) => self.rehearse(members),
            Value::String(text) if self.text_backtracks && text.len() > BACKTRACKED_MAX_BYTES => {
                leave(Unfinished::Time);
            }
            _ => {}
        }
    }

    /// Matches the names of an object with the patterns, until they have taken their part of the time.
    fn rehearse(&self, members: &Map<String, Value>) {
        if self.names_backtrack && members.keys().any(|name| name.len() > BACKTRACKED_MAX_BYTES) {
            leave(Unfinished::Time);
        }
        let match_count = self.name_patterns.len().saturating_mul(members.len());
        count_steps(u64::try_from(match_count).unwrap_or(u64::MAX));
        if match_count <= UNREHEARSED_MAX_COUNT {
            return;
        }
        let began = Instant::now();
        let time = ENDS_AT.get().map(|end| end.saturating_duration_since(began) / REHEARSAL_PARTS);
        for name in members.keys() {
            let name = Value::String(name.clone());
            for pattern in &self.name_patterns {
                let _ = pattern.is_valid(&name);
                if time.is_some_and(|time| began.elapsed() > time) {
                    leave(Unfinished::Time);
                }
            }
        }
    }
}

/// The value of the keyword before a schema: its patterns, and the names that they are matched with when it is compiled.
pub(super) fn patterns_of(schema: &Map<String, Value>) -> Value {
    let names = |keyword: &str| -> Option<Value> {
        let members = schema.get(keyword)?.as_object()?;
        Some(members.keys().map(|name| (name.clone(), Value::Bool(true))).collect())
    };
    let patterns = names("patternProperties");
    let properties = patterns.as_ref().and_then(|_| names("properties"));
    json!({"patternProperties": patterns, "properties": properties, "pattern": schema.get("pattern")})
}

impl<'i> Keyword<'i> for Step {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        self.count(value);
        Ok(())
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        self.count(value);
        true
    }
}
