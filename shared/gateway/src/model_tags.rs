//! Names of models with Ollama's tag `latest`, which its clients add to names without a tag.

use hearth_wire::ollama::untagged;

use crate::Gateway;

impl Gateway {
    /// The id that `name` stands for: a name with the tag `latest` stands for the model without it, unless something has
    /// the whole name.
    pub async fn without_latest_tag(&self, name: &str) -> String {
        let Some(id) = untagged(name) else { return name.to_owned() };
        let is_alias = self.0.directory.routing().aliases.contains_key(name);
        let has_whole =
            is_alias || self.providers().await.iter().any(|known| known.models.iter().any(|m| m == name));
        if has_whole { name.to_owned() } else { id.to_owned() }
    }
}
