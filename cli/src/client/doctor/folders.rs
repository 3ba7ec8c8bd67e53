//! The data folder, the model folder, and the models in it.

use std::{collections::BTreeMap, fs, io, path::Path};

use bytesize::ByteSize;
use hearth_domain::{Modality, Timestamp};
use hearth_node::{
    catalog::{self, Catalog, ModelFile},
    context,
    memory::{self, ContextSize, Memory},
    storage::{self, LastUsed, Survey},
};

use super::{Subject, finding::Finding};

/// Less free space than this is soon full.
const LITTLE_SPACE: u64 = 1 << 30;

/// The folders; nothing is left in them.
pub(super) fn folders(subject: &Subject) -> Vec<Finding> {
    let models = subject.models_folder();
    let mut findings = vec![folder("data", &subject.data)];
    if models.is_dir() {
        findings.push(folder("models", &models));
    }
    findings.extend(space(&models, storage::free_bytes(&models)));
    findings
}

fn folder(about: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    if path.is_dir() {
        return match try_writing(path) {
            Ok(()) => Finding::ok(about, format!("{shown} can be written to")),
            Err(error) => Finding::problem(
                about,
                format!("{shown} can't be written to: {error}"),
                "give the folder to the user that runs hearth, or name another with --data",
            ),
        };
    }
    // `hearth up` makes it, if it may.
    let above = path.ancestors().skip(1).find(|above| above.exists());
    match above.map(|above| {
        if above.is_dir() { try_writing(above) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }) {
        Some(Ok(())) => Finding::ok(about, format!("{shown} isn't there yet; `hearth up` makes it")),
        Some(Err(error)) => Finding::problem(
            about,
            format!("{shown} isn't there and can't be made: {error}"),
            "make it and give it to the user that runs hearth, or name another with --data",
        ),
        None => Finding::problem(about, format!("{shown} can't be made"), "name another folder with --data"),
    }
}

fn try_writing(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".hearth-doctor-{}", std::process::id()));
    fs::File::create_new(&path)?;
    fs::remove_file(path)
}

fn space(folder: &Path, free: Option<u64>) -> Option<Finding> {
    let free = free?;
    let told = format!("{} free where {} is", ByteSize(free), folder.display());
    if free < LITTLE_SPACE {
        let advice = "make room: `hearth storage` shows what the models take";
        return Some(Finding::warning("disk", told, advice));
    }
    Some(Finding::ok("disk", told))
}

/// The models: how many there are, which can't be used, and which don't fit into memory.
pub(super) fn models(subject: &Subject, room: Option<Memory>) -> Vec<Finding> {
    let models = Catalog::new(subject.models_folder(), Vec::new()).scan();
    let mut findings = vec![summary(&models), default_model(subject, &models)];
    let of_model = |model: &ModelFile| unusable(model).or_else(|| too_large(subject, model, room?));
    findings.extend(models.values().filter_map(of_model));
    findings.extend(over_limit(subject, &models));
    findings
}

fn summary(models: &BTreeMap<String, ModelFile>) -> Finding {
    let bytes = models.values().fold(0, |sum: u64, model| sum.saturating_add(model.size_bytes));
    match models.len() {
        0 => {
            Finding::ok("models", "none yet; `hearth up` writes tiny-chat, `hearth models pull` gets others")
        }
        1 => Finding::ok("models", format!("1 of {}", ByteSize(bytes))),
        count => Finding::ok("models", format!("{count} of {} together", ByteSize(bytes))),
    }
}

/// The one that serves requests which name none.
fn default_model(subject: &Subject, models: &BTreeMap<String, ModelFile>) -> Finding {
    let Some(named) = &subject.default_model else {
        return Finding::ok("default", format!("{}, which comes with hearth", subject.embedded_model));
    };
    let shown = named.display();
    if named.is_file() {
        let folder = named.parent().unwrap_or(named).to_owned();
        let file = Catalog::new(folder, vec![named.clone()]).scan().remove(&catalog::model_id(named));
        return match file.and_then(|file| file.problem) {
            Some(problem) => Finding::problem("default", format!("{shown} can't be used: {problem}"), CHOOSE),
            None => Finding::ok("default", shown.to_string()),
        };
    }
    match named.to_str().and_then(|id| models.get(id)) {
        Some(ModelFile { problem: Some(problem), .. }) => {
            Finding::problem("default", format!("{shown} can't be used: {problem}"), CHOOSE)
        }
        Some(_) => Finding::ok("default", shown.to_string()),
        None => Finding::problem(
            "default",
            format!("{shown} is neither a file nor a model of the folder"),
            CHOOSE,
        ),
    }
}

const CHOOSE: &str = "choose another with --model, or leave it out";

fn unusable(model: &ModelFile) -> Option<Finding> {
    let problem = model.problem.as_ref()?;
    let advice = format!("until then it can't be loaded: {}", model.path.display());
    Some(Finding::warning("model", format!("{}: {problem}", model.id), advice))
}

fn too_large(subject: &Subject, model: &ModelFile, room: Memory) -> Option<Finding> {
    let length = context::length(model, subject.context_length, subject.slots, Some(room.total));
    let context = match model.modality {
        Modality::Embedding => ContextSize::for_embedding(length),
        _ => ContextSize::for_text(length, subject.slots),
    };
    let needed = memory::predict(model.shape.as_ref()?, &context).total();
    (needed > room.total).then(|| {
        let (id, slots) = (&model.id, subject.slots);
        let (needed, there) = (ByteSize(needed), ByteSize(room.total));
        Finding::warning(
            "model",
            format!("{id} needs about {needed} with {slots} slots of {length} tokens, and there are {there}"),
            "lower node.context_length or node.slots, or take a smaller quantisation",
        )
    })
}

fn over_limit(subject: &Subject, models: &BTreeMap<String, ModelFile>) -> Option<Finding> {
    let limit = subject.policy.max_bytes?;
    let folder = subject.models_folder();
    let survey = Survey::of(&folder, models, &LastUsed::read(&folder), |_| None, Timestamp::now());
    let total = survey.total();
    (total > limit).then(|| {
        let told =
            format!("{} takes {}, and may take {}", folder.display(), ByteSize(total), ByteSize(limit));
        Finding::warning(
            "storage",
            told,
            "`hearth storage prune --dry-run` shows what a running node removes",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hearth_node::storage::Policy;

    use super::{super::finding::Level, *};

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf");
    const ROOM: Memory = Memory { total: 8 << 30, available: 4 << 30, limited: false };

    fn subject(data: &Path) -> Subject {
        Subject {
            data: data.to_owned(),
            host: [127, 0, 0, 1].into(),
            port: 0,
            threads: 1,
            slots: 4,
            context_length: Some(4096),
            gpu_layers: 999,
            worker_sandbox: true,
            default_model: None,
            embedded_model: "tiny-chat".to_owned(),
            embedded_file: b"",
            policy: Policy::default(),
            url_named: false,
            executable: PathBuf::new(),
        }
    }

    #[test]
    fn folders_are_tried_and_left_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), b"").unwrap();
        for (path, level) in [("", Level::Ok), ("not/yet", Level::Ok), ("file/below", Level::Problem)] {
            let finding = folder("data", &root.path().join(path));
            assert_eq!(finding.level, level, "{finding}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        let levels: Vec<Level> = folders(&subject(root.path())).iter().map(|found| found.level).collect();
        assert!(!levels.contains(&Level::Problem), "{levels:?}");
        assert_eq!(space(root.path(), Some(5 << 20)).unwrap().level, Level::Warning);
        assert_eq!(space(root.path(), Some(5 << 30)).unwrap().level, Level::Ok);
    }

    #[test]
    fn bad_models_and_large_ones_are_told() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("models");
        fs::create_dir(&folder).unwrap();
        fs::copy(TINY, folder.join("tiny-chat.gguf")).unwrap();
        let told = |subject: &Subject, room| {
            let found = models(subject, Some(room));
            let bad = found.into_iter().filter(|finding| finding.level != Level::Ok);
            bad.map(|finding| finding.message).collect::<Vec<_>>()
        };
        let subject = subject(data.path());
        assert_eq!(told(&subject, ROOM), [""; 0]);
        let small = told(&subject, Memory { total: 1 << 20, ..ROOM });
        assert!(small[0].contains("tiny-chat needs about") && small.len() == 1, "{small:?}");
        let limited = Subject { policy: Policy { max_bytes: Some(1), keep_days: None }, ..subject.clone() };
        assert!(told(&limited, ROOM)[0].contains("and may take 1 B"));
        fs::write(folder.join("cut.gguf"), b"GGUF").unwrap();
        let broken = told(&subject, ROOM);
        assert!(broken[0].starts_with("cut: ") && broken[0].contains("truncated"), "{broken:?}");
    }

    #[test]
    fn the_default_model_has_to_be_there() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("models");
        fs::create_dir(&folder).unwrap();
        fs::copy(TINY, folder.join("good.gguf")).unwrap();
        fs::write(folder.join("cut.gguf"), b"GGUF").unwrap();
        let elsewhere = data.path().join("cut-elsewhere.gguf");
        fs::write(&elsewhere, b"GGUF").unwrap();
        for (named, level) in [
            (None, Level::Ok),
            (Some("good".to_owned()), Level::Ok),
            (Some(TINY.to_owned()), Level::Ok),
            (Some("cut".to_owned()), Level::Problem),
            (Some("missing".to_owned()), Level::Problem),
            (Some(elsewhere.display().to_string()), Level::Problem),
        ] {
            let default_model = named.as_ref().map(PathBuf::from);
            let found = models(&Subject { default_model, ..subject(data.path()) }, None);
            let default = found.iter().find(|finding| finding.about == "default").unwrap();
            assert_eq!(default.level, level, "{named:?}: {default}");
        }
    }
}
