//! The progress of a long build.
//!
//! Cargo's own bar counts packages. llama.cpp is one of them and takes minutes, so its compiled files are counted too.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Time between two lines of the progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(20);

/// Runs `build`, and prints its progress until it returns.
///
/// `output` is the folder of the profile that is built, `<target>/release`.
pub(crate) fn watch<T>(output: &Path, build: impl FnOnce() -> T) -> T {
    let (build_ends, end) = channel::<()>();
    let (start, started_at) = (Instant::now(), SystemTime::now());
    thread::scope(|scope| {
        scope.spawn(move || {
            while end.recv_timeout(REPORT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{}", report(start.elapsed(), llama_files(output, started_at)));
            }
        });
        let result = build();
        drop(build_ends);
        result
    })
}

/// Files of llama.cpp: compiled ones, and all.
type LlamaFiles = (usize, usize);

fn report(elapsed: Duration, llama: Option<LlamaFiles>) -> String {
    let (minutes, seconds) = (elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    let build = format!("     ... {minutes}:{seconds:02} min");
    match llama {
        Some((compiled, files)) if compiled < files => {
            format!("{build}, llama.cpp {compiled} of {files} files")
        }
        _ => build,
    }
}

/// Counts the files of llama.cpp's build that is under way: one whose objects are newer than `started_at`.
fn llama_files(output: &Path, started_at: SystemTime) -> Option<LlamaFiles> {
    let folders = fs::read_dir(output.join("build")).ok()?.flatten();
    let builds =
        folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("llama-cpp-sys-2-"));
    builds.map(|folder| folder.path().join("out/build")).find_map(|build| {
        let commands = fs::read_to_string(build.join("compile_commands.json")).ok()?;
        let (compiled, newest) = objects(&build);
        (newest? >= started_at).then_some((compiled, commands.matches("\"file\":").count()))
    })
}

/// The number of object files below a folder, and the time of the newest.
fn objects(folder: &Path) -> (usize, Option<SystemTime>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold((0, None), |(count, newest), entry| {
        let path = entry.path();
        let (more, time) = if path.is_dir() {
            objects(&path)
        } else if path.extension().is_some_and(|extension| extension == "o") {
            (1, entry.metadata().and_then(|metadata| metadata.modified()).ok())
        } else {
            (0, None)
        };
        (count + more, newest.max(time))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_the_time_and_the_share_of_llama() {
        let elapsed = Duration::from_secs(125);
        assert_eq!(report(elapsed, None), "     ... 2:05 min");
        assert_eq!(report(elapsed, Some((50, 200))), "     ... 2:05 min, llama.cpp 50 of 200 files");
        assert_eq!(report(elapsed, Some((200, 200))), "     ... 2:05 min");
    }

    #[test]
    fn objects_of_this_build_are_counted() {
        let output = tempfile::tempdir().unwrap();
        let build = output.path().join("build/llama-cpp-sys-2-0123/out/build");
        let commands = r#"[{"file": "a.cpp"}, {"file": "b.cpp"}, {"file": "c.cpp"}]"#;
        fs::create_dir_all(build.join("src/models")).unwrap();
        fs::write(build.join("compile_commands.json"), commands).unwrap();
        for object in ["src/a.cpp.o", "src/models/b.cpp.o", "src/models/b.cpp"] {
            fs::write(build.join(object), "").unwrap();
        }
        assert_eq!(llama_files(output.path(), SystemTime::UNIX_EPOCH), Some((2, 3)));
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        assert_eq!(llama_files(output.path(), tomorrow), None);
    }
}
