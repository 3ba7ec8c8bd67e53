//! What a request needs of a model, as far as it can be told before one is asked.

use hearth_domain::{Capability, ClientDialect, Facts, Generation, Input, Modality, ResponseFormat, Task};

/// Bytes of text that a token has at least, nearly always: with this many the estimate is too low rather than
/// too high, and no model is passed over that could have taken the request.
const BYTES_PER_TOKEN: usize = 6;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// What it makes.
    pub(crate) modality: Modality,
    /// It says something in words.
    pub(crate) words: bool,
    /// It shows images.
    pub(crate) images: bool,
    /// It gives a mesh.
    pub(crate) mesh: bool,
    /// It offers tools.
    pub(crate) tools: bool,
    /// It needs a tool that a provider of this dialect runs itself.
    pub(crate) hosted: Option<ClientDialect>,
    /// It asks for JSON of a schema.
    pub(crate) schema: bool,
    /// Tokens of its prompt, at least.
    pub(crate) prompt_tokens: u32,
    /// Tokens that the answer may have, if it says so.
    pub(crate) max_tokens: Option<u32>,
}

impl Needs {
    pub(crate) fn of(generation: &Generation) -> Self {
        let modality = generation.task.modality();
        let none = Self {
            modality,
            words: true,
            images: false,
            mesh: false,
            tools: false,
            hosted: generation.extra.hosted.needed.is_some().then_some(generation.extra.dialect),
            schema: false,
            prompt_tokens: 0,
            max_tokens: None,
        };
        match &generation.task {
            Task::Text(task) => Self {
                images: task.messages.iter().any(|message| !message.images.is_empty()),
                tools: !task.tools.is_empty(),
                schema: matches!(task.response_format, ResponseFormat::JsonSchema(_)),
                prompt_tokens: tokens(task.messages.iter().map(|message| message.content.len()).sum()),
                max_tokens: task.sampling.max_tokens,
                ..none
            },
            // What a model is shown to change is an input of its own.
            Task::Image(task) => Self { images: !task.images.is_empty(), ..none },
            Task::Mesh(task) => {
                let words = task.prompt.as_ref().is_some_and(|prompt| !prompt.trim().is_empty());
                Self { words, images: task.image.is_some(), mesh: task.mesh.is_some(), ..none }
            }
            Task::Embedding(_) => none,
        }
    }

    /// What a model of these facts lacks, if something. What isn't known of it is no lack.
    pub(crate) fn unmet(&self, facts: &Facts) -> Option<String> {
        if facts.modality != self.modality {
            return Some(format!("it makes {}", facts.modality.as_str()));
        }
        if self.words && !facts.takes(Input::Text) {
            return Some("it takes no text".to_owned());
        }
        if self.images && !facts.takes(Input::Image) && !facts.can(Capability::Vision) {
            return Some("it takes no images".to_owned());
        }
        if self.mesh && !facts.takes(Input::Mesh) {
            return Some("it takes no meshes".to_owned());
        }
        let lacks = |capability| !facts.capabilities.is_empty() && !facts.can(capability);
        if self.tools && lacks(Capability::Tools) {
            return Some("it calls no tools".to_owned());
        }
        if self.schema && lacks(Capability::JsonSchema) {
            return Some("it keeps to no JSON Schema".to_owned());
        }
        let context = facts.context_length.filter(|context| self.prompt_tokens > *context);
        context.map(|context| {
            format!("the prompt has at least {} tokens, and its context {context}", self.prompt_tokens)
        })
    }
}

fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Image, ImageSource, MeshTask, Message, PlacedImage, Role, Sampling, TextTask};

    use super::*;

    fn needs(change: impl FnOnce(&mut TextTask)) -> Needs {
        let mut task = TextTask::new(vec![Message::new(Role::User, "hello")], Sampling::default());
        change(&mut task);
        Needs::of(&Generation::new(None, task))
    }

    fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = Facts { capabilities: vec![Capability::Chat], ..Facts::default() };
        change(&mut facts);
        facts
    }

    #[test]
    fn what_a_model_lacks_is_said() {
        let plain = facts(|_| ());
        assert_eq!(needs(|_| ()).unmet(&plain), None);
        let embeds = facts(|facts| facts.modality = Modality::Embedding);
        assert_eq!(needs(|_| ()).unmet(&embeds).as_deref(), Some("it makes embedding"));
        let tools = Needs { tools: true, ..needs(|_| ()) };
        assert_eq!(tools.unmet(&plain).as_deref(), Some("it calls no tools"));
        assert_eq!(tools.unmet(&facts(|facts| facts.capabilities.push(Capability::Tools))), None);
        // Of whose capabilities nothing is known.
        assert_eq!(tools.unmet(&Facts::default()), None);
        let long = needs(|task| task.messages[0].content = "word ".repeat(1200));
        assert_eq!(long.prompt_tokens, 1000);
        assert!(long.unmet(&facts(|facts| facts.context_length = Some(999))).is_some());
        assert_eq!(long.unmet(&facts(|facts| facts.context_length = Some(1000))), None);
    }

    #[test]
    fn a_mesh_of_words_needs_a_model_that_reads() {
        let mesh = |prompt: Option<&str>, image: Option<&str>| {
            let (prompt, image) = (prompt.map(str::to_owned), image.map(Image::at));
            Needs::of(&Generation::new(None, MeshTask { prompt, image, ..MeshTask::default() }))
        };
        let sees = Facts { modality: Modality::ThreeD, inputs: vec![Input::Image], ..Facts::default() };
        assert_eq!(mesh(Some("a chair"), None).unmet(&sees).as_deref(), Some("it takes no text"));
        assert_eq!(mesh(None, Some("data:image/png;base64,AA")).unmet(&sees), None);
        let another = Needs { mesh: true, words: false, ..mesh(None, None) };
        assert_eq!(another.unmet(&sees).as_deref(), Some("it takes no meshes"));
        assert_eq!(another.unmet(&Facts { inputs: vec![Input::Mesh], ..sees.clone() }), None);
        let reads = Facts { inputs: vec![Input::Text], ..sees };
        assert_eq!(mesh(Some("a chair"), None).unmet(&reads), None);
    }

    #[test]
    fn images_need_a_model_that_sees() {
        let shown = needs(|task| {
            let image = Image { source: ImageSource::Url("https://x/y.png".into()), detail: None };
            task.messages[0].images.push(PlacedImage { at: 0, image });
        });
        assert!(shown.images);
        assert_eq!(shown.unmet(&facts(|_| ())).as_deref(), Some("it takes no images"));
        assert_eq!(shown.unmet(&facts(|facts| facts.inputs.push(Input::Image))), None);
    }
}
