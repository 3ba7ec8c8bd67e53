//! The table of engines: which program loads a model, and by which rules.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hearth_domain::Modality;

use crate::{
    frames::LoadSpec,
    memory::{self, ContextSize},
    model_files::ModelFile,
};

/// The program of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// The node's own binary, with this command of `hearth engine`.
    Own(&'static str),
    /// A binary of its own beside the node's, which may be missing.
    Beside(&'static str),
}

/// An engine.
#[derive(Debug)]
pub struct Engine {
    /// The name in logs.
    pub name: &'static str,
    program: Program,
    /// It computes with the libraries of llama.cpp that have passed the self-test.
    pub uses_backends: bool,
    /// Limit of the runs that a worker carries out at once, below the operator's setting.
    slots_max_count: usize,
    /// Predicts the memory of a model in bytes.
    predict: fn(&ModelFile, &LoadSpec) -> Option<u64>,
}

/// llama.cpp: texts and embeddings.
static LLAMA: Engine = Engine {
    name: "llama",
    program: Program::Own("llama"),
    uses_backends: true,
    slots_max_count: usize::MAX,
    predict: predict_text,
};

/// Stable Diffusion and FLUX.1: images. Its networks are another library's, which llama.cpp's would clash with or slow the build of.
static DIFFUSION: Engine = Engine {
    name: "diffusion",
    program: Program::Beside("hearth-diffusion"),
    uses_backends: false,
    // A picture uses all threads of the worker: two at once would take twice as long each, and twice the memory.
    slots_max_count: 1,
    predict: predict_image,
};

/// The command that starts a worker of an engine.
#[derive(Debug, PartialEq, Eq)]
pub struct EngineCommand {
    /// The binary.
    pub program: PathBuf,
    /// Its name in the list of processes.
    pub name: &'static str,
    /// Its first arguments.
    pub arguments: Vec<&'static str>,
}

impl Engine {
    /// The engine that loads the model in `file`.
    #[must_use]
    pub fn of(file: &ModelFile) -> &'static Self {
        match file.description.modality {
            Modality::Image => &DIFFUSION,
            Modality::Text | Modality::Embedding | Modality::ThreeD => &LLAMA,
        }
    }

    /// The command that starts a worker, for a node whose binary is `node`.
    #[must_use]
    pub fn command(&self, node: &Path) -> EngineCommand {
        match self.program {
            Program::Own(command) => {
                EngineCommand { program: node.to_owned(), name: "hearth", arguments: vec!["engine", command] }
            }
            Program::Beside(name) => {
                EngineCommand { program: beside(node, name), name, arguments: Vec::new() }
            }
        }
    }

    /// The reason why the engine can't be used, with the way to get it.
    #[must_use]
    pub fn missing(&self, node: &Path) -> Option<String> {
        let Program::Beside(name) = self.program else { return None };
        (!beside(node, name).is_file()).then(|| {
            format!(
                "the engine for images, {name}, isn't beside the node's program; `cargo xtask up --pictures` builds it, and a \
                 folder of `cargo xtask dist --pictures` has it (docs/images.md)"
            )
        })
    }

    /// The runs that a worker carries out at once, where the operator allows `slots`.
    #[must_use]
    pub fn slots(&self, slots: usize) -> usize {
        slots.min(self.slots_max_count)
    }

    /// Predicts the memory that a model needs from its header, in bytes.
    #[must_use]
    pub fn predict_memory(&self, file: &ModelFile, spec: &LoadSpec) -> Option<u64> {
        (self.predict)(file, spec)
    }
}

/// Returns the engine of images, for a report about the machine.
#[must_use]
pub fn images() -> &'static Engine {
    &DIFFUSION
}

fn beside(node: &Path, name: &str) -> PathBuf {
    // `/proc/self/exe` is a link, whose target may have been replaced.
    let node = node.canonicalize().or_else(|_| fs::read_link(node)).unwrap_or_else(|_| node.to_owned());
    node.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn predict_text(file: &ModelFile, spec: &LoadSpec) -> Option<u64> {
    let context = match file.description.modality {
        Modality::Embedding => ContextSize::for_embedding(spec.context_length),
        _ => ContextSize::for_text(spec.context_length, spec.slots),
    };
    Some(memory::predict(file.shape.as_ref()?, &context).total())
}

fn predict_image(file: &ModelFile, _: &LoadSpec) -> Option<u64> {
    Some(memory::predict_image(file.shape.as_ref()?).total())
}

#[cfg(test)]
mod tests {
    use hearth_domain::ModelDescription;

    use super::*;
    use crate::gguf::Shape;

    fn file(modality: Modality, tensor_bytes: u64) -> ModelFile {
        ModelFile {
            id: "m".into(),
            path: "m".into(),
            parts: Vec::new(),
            description: ModelDescription::new("m", modality),
            size_bytes: tensor_bytes,
            modified: None,
            shape: Some(Shape { tensor_bytes, ..Shape::default() }),
            problem: None,
        }
    }

    #[test]
    fn modality_decides_the_engine_and_its_command() {
        let node = Path::new("/opt/hearth/hearth");
        let text = Engine::of(&file(Modality::Text, 1));
        let arguments = vec!["engine", "llama"];
        let command = EngineCommand { program: node.to_owned(), name: "hearth", arguments };
        assert_eq!((text.command(node), text.slots(4), text.missing(node)), (command, 4, None));
        let image = Engine::of(&file(Modality::Image, 1));
        let (program, name) = (PathBuf::from("/opt/hearth/hearth-diffusion"), "hearth-diffusion");
        assert_eq!(image.command(node), EngineCommand { program, name, arguments: Vec::new() });
        assert_eq!((image.slots(4), image.uses_backends), (1, false));
    }

    #[test]
    fn missing_engine_is_reported_with_the_way_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("hearth");
        let reason = images().missing(&node).unwrap();
        assert!(reason.contains("hearth-diffusion") && reason.contains("--pictures"), "{reason}");
        fs::write(images().command(&node).program, b"").unwrap();
        assert_eq!(images().missing(&node), None);
    }

    #[test]
    fn image_model_is_predicted_larger_than_its_weights() {
        const GIB: u64 = 1 << 30;
        let image = file(Modality::Image, 4 * GIB);
        let spec = crate::config::NodeConfig::new("/m".into(), "/hearth".into()).load_spec(&image);
        let predicted = Engine::of(&image).predict_memory(&image, &spec).unwrap();
        assert!((5 * GIB..8 * GIB).contains(&predicted), "{predicted}");
        assert_eq!((spec.slots, spec.context_length, spec.prefix_folder), (1, 0, None));
    }
}
