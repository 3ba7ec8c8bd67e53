//! Paths of the document, such as `/v1/models/{id}/status`.

/// A path with parameters.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Literal(String),
    Parameter,
}

impl Template {
    pub(super) fn parse(path: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            pieces.push(Piece::Literal(before.to_owned()));
            pieces.push(Piece::Parameter);
            rest = after.split_once('}').map_or("", |(_, rest)| rest);
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Self(pieces)
    }

    /// Characters outside of parameters.
    pub(super) fn literal_chars(&self) -> usize {
        let chars = |piece: &Piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Parameter => 0,
        };
        self.0.iter().map(chars).sum()
    }

    /// True if the path is one of these. `spans_slashes`: a parameter may contain slashes.
    pub(super) fn matches(&self, path: &str, spans_slashes: bool) -> bool {
        matches(&self.0, path, spans_slashes)
    }
}

fn matches(pieces: &[Piece], path: &str, spans_slashes: bool) -> bool {
    match pieces {
        [] => path.is_empty(),
        [Piece::Literal(text), rest @ ..] => {
            path.strip_prefix(text.as_str()).is_some_and(|path| matches(rest, path, spans_slashes))
        }
        [Piece::Parameter, rest @ ..] => {
            let limit = if spans_slashes { path.len() } else { path.find('/').unwrap_or(path.len()) };
            let ends = (1..=limit).filter(|end| path.is_char_boundary(*end));
            ends.rev().any(|end| matches(rest, &path[end..], spans_slashes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_is_a_segment_or_a_part_of_one() {
        for (template, path, spans_slashes, is_match) in [
            ("/v1/models", "/v1/models", false, true),
            ("/v1/models/{id}", "/v1/models/a", false, true),
            ("/v1/models/{id}", "/v1/models/a/b", false, false),
            ("/v1/models/{id}", "/v1/models/a/b", true, true),
            ("/v1/models/{id}/status", "/v1/models/a/b/status", true, true),
            ("/v1/models/{id}", "/v1/models/", false, false),
            ("/v1beta/models/{model}:countTokens", "/v1beta/models/m:x:countTokens", false, true),
            ("/v1beta/models/{model}:countTokens", "/v1beta/models/m:embed", false, false),
        ] {
            assert_eq!(Template::parse(template).matches(path, spans_slashes), is_match, "{template} {path}");
        }
    }
}
