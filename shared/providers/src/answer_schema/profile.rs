//! The subsets of JSON Schema that providers enforce, as data with their sources.

/// The subset of JSON Schema that a provider's structured outputs take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SchemaProfile {
    /// The provider, for the table in the documentation.
    pub(crate) title: &'static str,
    /// The page that states the subset.
    pub(crate) source: &'static str,
    /// The keywords that are enforced. Others move into the description.
    pub(super) keywords: &'static [&'static str],
    /// The formats that are enforced; `None` for all.
    pub(super) formats: Option<&'static [&'static str]>,
    /// The root must be an object, without `anyOf`.
    pub(super) object_root: bool,
    /// Each object must have `additionalProperties: false`.
    pub(super) closed_objects: bool,
    /// Each property must be required. An optional one becomes nullable.
    pub(super) all_required: bool,
    /// Each schema must have a type, or refer to schemas with types.
    pub(super) typed: bool,
    /// Values of `enum` other than texts and numbers are accepted.
    pub(super) mixed_enums: bool,
    /// Keywords beside `$ref` are accepted.
    pub(super) reference_siblings: bool,
    pub(super) recursion: Recursion,
    pub(super) patterns: Patterns,
    /// Largest value of `minItems` that is enforced.
    pub(super) min_items_max: u64,
    pub(super) limits: SchemaLimits,
}

/// Support for a schema that refers to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recursion {
    Supported,
    /// Through optional properties alone.
    OptionalOnly,
    Unsupported,
}

/// Support for `pattern`, where it is one of the keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patterns {
    Any,
    /// Without look-around, back references and word boundaries.
    Simple,
}

/// Limits of a schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SchemaLimits {
    pub(super) properties: usize,
    pub(super) optional_properties: usize,
    /// Places with `anyOf` or several types.
    pub(super) unions: usize,
    /// Levels of objects.
    pub(super) depth: usize,
    pub(super) enum_values: usize,
    /// Characters of all names and values of enumerations.
    pub(super) chars: usize,
}

const UNLIMITED: SchemaLimits = SchemaLimits {
    properties: usize::MAX,
    optional_properties: usize::MAX,
    unions: usize::MAX,
    depth: usize::MAX,
    enum_values: usize::MAX,
    chars: usize::MAX,
};

/// OpenAI's strict mode, which vendors with its API share.
pub(crate) const OPENAI: SchemaProfile = SchemaProfile {
    title: "OpenAI",
    source: "https://platform.openai.com/docs/guides/structured-outputs#supported-schemas",
    keywords: &[
        "$ref",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    ],
    formats: Some(&["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]),
    object_root: true,
    closed_objects: true,
    all_required: true,
    typed: true,
    mixed_enums: true,
    reference_siblings: false,
    recursion: Recursion::Supported,
    patterns: Patterns::Simple,
    min_items_max: u64::MAX,
    limits: SchemaLimits { properties: 5000, depth: 10, enum_values: 1000, chars: 120_000, ..UNLIMITED },
};

/// Anthropic's structured outputs.
pub(crate) const ANTHROPIC: SchemaProfile = SchemaProfile {
    title: "Anthropic",
    source: "https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations",
    keywords: &[
        "$ref",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "pattern",
        "format",
        "minItems",
    ],
    formats: Some(&[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ]),
    object_root: false,
    closed_objects: true,
    all_required: false,
    typed: true,
    mixed_enums: true,
    reference_siblings: false,
    recursion: Recursion::Unsupported,
    patterns: Patterns::Simple,
    min_items_max: 1,
    limits: SchemaLimits { optional_properties: 24, unions: 16, ..UNLIMITED },
};

/// Bedrock's structured outputs: Anthropic's, and those of some open models.
pub(crate) const BEDROCK: SchemaProfile = SchemaProfile {
    title: "Bedrock",
    source: "https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html",
    ..ANTHROPIC
};

/// Gemini's `responseJsonSchema`.
pub(crate) const GEMINI: SchemaProfile = SchemaProfile {
    title: "Gemini",
    source: "https://ai.google.dev/api/generate-content#generationconfig",
    keywords: &[
        "$ref",
        "type",
        "enum",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "anyOf",
        "format",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
    ],
    formats: None,
    object_root: false,
    closed_objects: false,
    all_required: false,
    typed: false,
    mixed_enums: false,
    reference_siblings: false,
    recursion: Recursion::OptionalOnly,
    patterns: Patterns::Simple,
    min_items_max: u64::MAX,
    limits: UNLIMITED,
};

/// All profiles, for the table in the documentation.
#[cfg(test)]
pub(crate) const PROFILES: [&SchemaProfile; 4] = [&OPENAI, &ANTHROPIC, &GEMINI, &BEDROCK];

impl SchemaProfile {
    pub(super) fn has(&self, keyword: &str) -> bool {
        self.keywords.contains(&keyword)
    }

    /// Returns whether a pattern is enforced.
    pub(super) fn enforces_pattern(&self, pattern: &str) -> bool {
        const NOT_SIMPLE: [&str; 5] = ["(?", "\\b", "\\B", "\\p", "\\P"];
        let has_back_reference = || {
            let bytes = pattern.as_bytes();
            bytes.windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit())
        };
        self.has("pattern")
            && (self.patterns == Patterns::Any
                || !NOT_SIMPLE.iter().any(|part| pattern.contains(part)) && !has_back_reference())
    }
}
