//! Names of models, which Ollama's clients write with a tag.

/// The tag of a name without one.
pub const LATEST_TAG: &str = "latest";

/// A model's name as Ollama's clients read it: with a tag, since they take two names for one model whose only difference
/// is the tag `latest`. A provider's model has its provider before the colon, and stays as it is.
pub(super) fn tagged(id: &str) -> String {
    if id.contains(':') { id.to_owned() } else { format!("{id}:{LATEST_TAG}") }
}

/// The id that a name with the tag `latest` stands for, if it is one: the name without the tag. What is named after a
/// provider keeps its tag, which is the provider's.
#[must_use]
pub fn untagged(name: &str) -> Option<&str> {
    let (id, tag) = name.rsplit_once(':')?;
    let (provider, model) = id.split_once(':').unwrap_or(("local", id));
    (tag == LATEST_TAG && provider == "local" && !model.is_empty() && !model.contains(':')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_name_loses_its_tag() {
        let cases = [
            ("tiny-chat:latest", Some("tiny-chat")),
            ("owner/tiny-chat:latest", Some("owner/tiny-chat")),
            ("local:tiny-chat:latest", Some("local:tiny-chat")),
            ("tiny-chat", None),
            ("tiny-chat:q4", None),
            ("openai:gpt-5", None),
            ("ollama:llama3:latest", None),
            (":latest", None),
        ];
        for (name, id) in cases {
            assert_eq!(untagged(name), id, "{name}");
        }
        assert_eq!(
            (tagged("tiny-chat"), tagged("openai:gpt-5")),
            ("tiny-chat:latest".into(), "openai:gpt-5".into())
        );
    }
}
