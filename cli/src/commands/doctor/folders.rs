//! Checks of the data folder, the model folder, and the models in it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::Path,
};

use bytesize::ByteSize;
use hearth_domain::{Modality, Timestamp};
use hearth_node::{
    context,
    engines::table,
    memory::{self, ContextSize, Memory},
    model_files::{self, ModelFile, ModelScanner},
    storage::{self, LastUsed, Survey},
};
use hearth_store::home::{MasterKeyState, check_master_key};

use super::{Subject, finding::Finding};
use crate::home::model::TINY_ID;

/// Free space in bytes below which the disk is soon full.
const FREE_SPACE_MIN_BYTES: u64 = 1 << 30;

/// Checks that the folders can be written to, and the free space. No file is left in them.
pub(super) fn folders(subject: &Subject) -> Vec<Finding> {
    let models = subject.settings.models_folder();
    let mut findings = vec![folder("data", &subject.settings.data)];
    findings.extend(master_key(&subject.settings.data));
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
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Finding::problem(
                about,
                format!("{shown} can't be written to: the disk is full"),
                "make room on this disk: until then nothing can be stored",
            ),
            Err(error) => Finding::problem(
                about,
                format!("{shown} can't be written to: {error}"),
                "make the user that runs hearth its owner, or name another folder with --data",
            ),
        };
    }
    // `hearth up` creates it, if it is permitted to.
    let above = path.ancestors().skip(1).find(|above| above.exists());
    match above.map(|above| {
        if above.is_dir() { try_writing(above) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }) {
        Some(Ok(())) => Finding::ok(about, format!("{shown} doesn't exist yet; `hearth up` creates it")),
        Some(Err(error)) => Finding::problem(
            about,
            format!("{shown} doesn't exist and can't be created: {error}"),
            "create it with the user that runs hearth as its owner, or name another with --data",
        ),
        None => {
            Finding::problem(about, format!("{shown} can't be created"), "name another folder with --data")
        }
    }
}

/// Checks the key that encrypts the folder's secrets.
fn master_key(folder: &Path) -> Option<Finding> {
    let path = folder.join("master-key");
    let shown = path.display();
    Some(match check_master_key(folder) {
        Ok(MasterKeyState::Missing) => return None,
        Ok(MasterKeyState::Ready) => {
            Finding::ok("secrets", format!("encrypted by {shown}; keep a copy of it apart from the folder's"))
        }
        Ok(MasterKeyState::Exposed) => Finding::warning(
            "secrets",
            format!("other users of this machine can read {shown}"),
            format!("chmod 600 {shown}"),
        ),
        Ok(MasterKeyState::Rotating) => Finding::warning(
            "secrets",
            "a rotation of the master key wasn't finished",
            "stop the gateway, and run `hearth key rotate-master` again",
        ),
        Err(error) => {
            Finding::problem("secrets", error.to_string(), "docs/backup.md, The master key, has the steps")
        }
    })
}

fn try_writing(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".hearth-doctor-{}", std::process::id()));
    let written = fs::File::create_new(&path).and_then(|mut file| {
        // An empty file can be created on a full disk. Some file systems notice only when they write it to the disk.
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    let removed = fs::remove_file(path);
    written.and(removed)
}

fn space(folder: &Path, free: Option<u64>) -> Option<Finding> {
    let free = free?;
    let message = format!("{} free on the disk of {}", ByteSize(free), folder.display());
    if free < FREE_SPACE_MIN_BYTES {
        let advice = "make room: `hearth storage` shows the size of the models";
        return Some(Finding::warning("disk", message, advice));
    }
    Some(Finding::ok("disk", message))
}

/// Checks the models: their number, files that can't be used, and models that don't fit into memory.
pub(super) fn models(subject: &Subject, room: Option<Memory>) -> Vec<Finding> {
    let models = ModelScanner::new(subject.settings.models_folder(), Vec::new()).scan();
    let mut findings = vec![summary(&models), default_model(subject, &models)];
    let check_model = |model: &ModelFile| unusable(model).or_else(|| too_large(subject, model, room?));
    findings.extend(models.values().filter_map(check_model));
    findings.extend(image_engine(subject, &models));
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

/// Checks the model that serves requests which name none.
fn default_model(subject: &Subject, models: &BTreeMap<String, ModelFile>) -> Finding {
    let Some(named) = &subject.settings.model else {
        return Finding::ok("default", format!("{}, the embedded model", TINY_ID));
    };
    let shown = named.display();
    if named.is_file() {
        let folder = named.parent().unwrap_or(named).to_owned();
        let file =
            ModelScanner::new(folder, vec![named.clone()]).scan().remove(&model_files::model_id(named));
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
    let advice = format!("it can't be loaded; replace or remove {}", model.path.display());
    Some(Finding::warning("model", format!("{}: {problem}", model.id), advice))
}

fn too_large(subject: &Subject, model: &ModelFile, room: Memory) -> Option<Finding> {
    if model.description.modality == Modality::Image {
        return too_large_image(model, room);
    }
    let length =
        context::length(model, subject.settings.node.context_length, subject.slots(), Some(room.total));
    let context = match model.description.modality {
        Modality::Embedding => ContextSize::for_embedding(length),
        _ => ContextSize::for_text(length, subject.slots()),
    };
    let needed = memory::predict(model.shape.as_ref()?, &context).total();
    (needed > room.total).then(|| {
        let (id, slots) = (&model.id, subject.slots());
        let (needed, there) = (ByteSize(needed), ByteSize(room.total));
        Finding::warning(
            "model",
            format!("{id} needs about {needed} with {slots} slots of {length} tokens, of {there}"),
            "lower node.context_length or node.slots, or use a smaller quantisation",
        )
    })
}

fn too_large_image(model: &ModelFile, room: Memory) -> Option<Finding> {
    let needed = memory::predict_image(model.shape.as_ref()?).total();
    (needed > room.total).then(|| {
        let (id, needed, there) = (&model.id, ByteSize(needed), ByteSize(room.total));
        let message = format!("{id} needs about {needed}, of {there}");
        Finding::warning("model", message, "use a smaller image model, or a machine with more memory")
    })
}

/// Checks that there is an engine for the image models.
fn image_engine(subject: &Subject, models: &BTreeMap<String, ModelFile>) -> Option<Finding> {
    let count = models.values().filter(|model| model.description.modality == Modality::Image).count();
    if count == 0 {
        return None;
    }
    let engine = table::images();
    Some(match engine.missing(&subject.executable) {
        Some(problem) => Finding::warning("pictures", problem, "until then, image models can't be loaded"),
        None => Finding::ok("pictures", format!("the engine for images is there, for {count} of the models")),
    })
}

fn over_limit(subject: &Subject, models: &BTreeMap<String, ModelFile>) -> Option<Finding> {
    let limit = subject.settings.storage.max_bytes?.as_u64();
    let folder = subject.settings.models_folder();
    let survey = Survey::of(&folder, models, &LastUsed::read(&folder), |_| None, Timestamp::now());
    let total = survey.total();
    (total > limit).then(|| {
        let message =
            format!("{} has {}, and may have {}", folder.display(), ByteSize(total), ByteSize(limit));
        Finding::warning(
            "storage",
            message,
            "`hearth storage prune --dry-run` shows the models that a running node removes",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hearth_settings::{NodeSettings, StorageSettings};

    use super::{super::finding::Level, *};
    use crate::settings::Settings;

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf");
    const ROOM: Memory = Memory { total: 8 << 30, available: 4 << 30, limited: false };

    fn subject(data: &Path) -> Subject {
        let node = NodeSettings { context_length: Some(4096), threads: Some(1), ..NodeSettings::default() };
        let settings = Settings { data: data.to_owned(), port: 0, node, ..Settings::default() };
        Subject { settings, executable: PathBuf::new() }
    }

    #[test]
    fn check_leaves_folders_unchanged() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), b"").unwrap();
        for (path, level) in [("", Level::Ok), ("not/yet", Level::Ok), ("file/below", Level::Problem)] {
            let finding = folder("data", &root.path().join(path));
            assert_eq!(finding.level, level, "{finding}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        let levels: Vec<Level> = folders(&subject(root.path())).iter().map(|finding| finding.level).collect();
        assert!(!levels.contains(&Level::Problem), "{levels:?}");
        assert_eq!(space(root.path(), Some(5 << 20)).unwrap().level, Level::Warning);
        assert_eq!(space(root.path(), Some(5 << 30)).unwrap().level, Level::Ok);
    }

    #[test]
    fn broken_and_large_models_are_warnings() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("models");
        fs::create_dir(&folder).unwrap();
        fs::copy(TINY, folder.join("tiny-chat.gguf")).unwrap();
        let messages = |subject: &Subject, room| {
            let findings = models(subject, Some(room));
            let bad = findings.into_iter().filter(|finding| finding.level != Level::Ok);
            bad.map(|finding| finding.message).collect::<Vec<_>>()
        };
        let subject = subject(data.path());
        assert_eq!(messages(&subject, ROOM), [""; 0]);
        let small = messages(&subject, Memory { total: 1 << 20, ..ROOM });
        assert!(small[0].contains("tiny-chat needs about") && small.len() == 1, "{small:?}");
        let mut limited = subject.clone();
        limited.settings.storage = StorageSettings { max_bytes: Some(ByteSize(1)), keep_days: None };
        assert!(messages(&limited, ROOM)[0].contains("and may have 1 B"));
        fs::write(folder.join("cut.gguf"), b"GGUF").unwrap();
        let broken = messages(&subject, ROOM);
        assert!(broken[0].starts_with("cut: ") && broken[0].contains("truncated"), "{broken:?}");
    }

    #[test]
    fn missing_or_broken_default_model_is_a_problem() {
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
            let mut subject = subject(data.path());
            subject.settings.model = named.as_ref().map(PathBuf::from);
            let findings = models(&subject, None);
            let default = findings.iter().find(|finding| finding.about == "default").unwrap();
            assert_eq!(default.level, level, "{named:?}: {default}");
        }
    }
}
