//! 200 schemas of ten kinds for tests, written from the features of the specification: each with an answer that fits and one
//! that doesn't.

mod conditions;
mod objects;
mod references;
mod values;

use serde_json::Value;

/// Number of schemas of each kind.
pub const SAMPLES_PER_KIND: usize = 20;

/// A schema with answers.
#[derive(Debug, Clone)]
pub struct SchemaSample {
    /// Its kind, such as `references`.
    pub kind: &'static str,
    /// Its number among those of its kind.
    pub number: usize,
    /// The schema.
    pub schema: Value,
    /// An answer that fits.
    pub fitting: Value,
    /// An answer that doesn't fit.
    pub unfit: Value,
}

/// A schema, an answer that fits, and one that doesn't.
type Sample = (Value, Value, Value);

/// Makes the sample of a number below [`SAMPLES_PER_KIND`].
type MakeSample = fn(usize) -> Sample;

/// The kinds of schemas.
const KINDS: [(&str, MakeSample); 10] = [
    ("records", objects::record),
    ("nested objects", objects::nested),
    ("open objects", objects::open),
    ("lists", values::list),
    ("enumerations", values::enumeration),
    ("numbers", values::number),
    ("texts", values::text),
    ("combinations", conditions::combination),
    ("conditions", conditions::condition),
    ("references", references::reference),
];

/// Returns all schemas, always the same.
pub fn samples() -> Vec<SchemaSample> {
    let all = KINDS.iter().flat_map(|(kind, make)| {
        (0..SAMPLES_PER_KIND).map(move |number| {
            let (schema, fitting, unfit) = make(number);
            SchemaSample { kind, number, schema, fitting, unfit }
        })
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnswerSchema;

    #[test]
    fn samples_are_200_different_schemas_with_answers_that_show_them() {
        let samples = samples();
        assert_eq!(samples.len(), 200);
        let mut texts: Vec<String> = samples.iter().map(|sample| sample.schema.to_string()).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 200);
        for SchemaSample { kind, number, schema, fitting, unfit } in samples {
            let schema =
                AnswerSchema::parse(&schema).unwrap_or_else(|error| panic!("{kind} {number}: {error}"));
            let checker = schema.checker().unwrap_or_else(|error| panic!("{kind} {number}: {error}"));
            let result = checker.check_value(fitting);
            assert!(result.valid, "{kind} {number}: {result:?}");
            assert!(!checker.check_value(unfit).valid, "{kind} {number}");
        }
    }
}
