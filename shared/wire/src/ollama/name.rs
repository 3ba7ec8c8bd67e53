//! Model names of Ollama's clients, which have a tag.

/// Default tag.
pub const LATEST_TAG: &str = "latest";

/// Adds the tag `latest` to a model's name, since clients treat a name with and without it as two models. A provider's
/// model has the provider before the colon, and stays as it is.
pub(super) fn tagged(id: &str) -> String {
    if id.contains(':') { id.to_owned() } else { format!("{id}:{LATEST_TAG}") }
}

/// Removes the tag `latest` from a local model's name; `None` for any other name. A tag after a provider's name is the
/// provider's own.
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
