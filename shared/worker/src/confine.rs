//! The sandbox of a worker process: limits of its privileges, files, network and memory.
//!
//! A model file comes from the internet, and the parsers of engines have had vulnerabilities. An exploited worker should find
//! no secrets and no way out. So it gets a filtered environment ([`environment`]), and confines itself before its first
//! thread starts: most limits apply to the calling thread and the threads that it starts.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Variables that a worker inherits: paths of libraries and temporary files, and locales.
const INHERITED: [&str; 13] = [
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LLVM_PROFILE_FILE",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "PATH",
    "RUST_BACKTRACE",
    "TMPDIR",
    "TZ",
    "USER",
];
/// Prefixes of variables that configure drivers and compute libraries.
const INHERITED_PREFIXES: [&str; 12] =
    ["CUDA_", "GGML_", "GOMP_", "HIP_", "HSA_", "MESA_", "MIMALLOC_", "OMP_", "ROCR_", "VK_", "XDG_", "ZE_"];
/// Parts of the names of variables that may be secrets. They are not inherited, even with an inherited prefix.
const SECRET_PARTS: [&str; 6] = ["AUTH", "CREDENTIAL", "KEY", "PASS", "SECRET", "TOKEN"];

/// Returns the variables of `all` that a worker inherits.
pub fn environment(all: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    all.into_iter().filter(|(name, _)| is_inherited(name)).collect()
}

fn is_inherited(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let secret = SECRET_PARTS.iter().any(|part| name.to_ascii_uppercase().contains(part));
    !secret && (INHERITED.contains(&name) || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// The limits of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Maximum memory without mapped files, in bytes.
    pub memory_bytes: Option<u64>,
    /// True if it may open only the files that it needs, on systems with Landlock.
    pub landlock: bool,
    /// Folders and files that it reads, besides the system's libraries.
    pub reads: Vec<PathBuf>,
    /// Folders that it writes to.
    pub writes: Vec<PathBuf>,
}

impl Confinement {
    /// The limits of a worker that loads the file `model`, and saves its prefix cache in `prefixes`.
    #[must_use]
    pub fn for_model(model: &Path, prefixes: Option<&Path>) -> Self {
        // The folders, since a model may have several files; and of a link also the folder of its target.
        let target = model.canonicalize().unwrap_or_else(|_| model.to_owned());
        let folders = [model.parent(), target.parent()];
        let reads = folders.into_iter().flatten().map(Path::to_owned).collect();
        // The parent, since each model's folder is renamed and removed.
        let writes = prefixes.and_then(Path::parent).map(Path::to_owned).into_iter().collect();
        Self { memory_bytes: None, landlock: false, reads, writes }
    }
}

/// Confines this process. Must be called before another thread starts. A limit that can't be set doesn't keep the others from being
/// set. A hard limit of the process is a limit of the memory, too.
///
/// # Errors
/// The first limit that can't be set. It is only logged: the worker works without it.
#[cfg(target_os = "linux")]
pub fn apply(confinement: &Confinement) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = |resource, bytes: u64| {
        let bytes = getrlimit(resource).maximum.map_or(bytes, |hard| hard.min(bytes));
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(resource, limit).map_err(|error| format!("the limit of {resource:?} can't be set: {error}"))
    };
    // A core dump would contain prompts.
    let core = limit(Resource::Core, 0);
    let memory = confinement.memory_bytes.map_or(Ok(()), |bytes| limit(Resource::Data, bytes));
    let privileges = rustix::thread::set_no_new_privs(true)
        .map_err(|error| format!("new privileges can't be disabled: {error}"));
    let files = match confinement.landlock {
        true => landlock::restrict(confinement).map_err(|error| format!("Landlock can't be set up: {error}")),
        false => Ok(()),
    };
    core.and(memory).and(privileges).and(files)
}

/// Does nothing: this system has no such limits.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn apply(_: &Confinement) -> Result<(), String> {
    Ok(())
}

/// Returns whether this system has Landlock, which limits the files that a worker opens.
#[must_use]
pub fn has_landlock() -> bool {
    #[cfg(target_os = "linux")]
    return landlock::is_available();
    #[cfg(not(target_os = "linux"))]
    return false;
}

#[cfg(target_os = "linux")]
mod landlock {
    use std::{
        fs::DirBuilder,
        os::unix::fs::DirBuilderExt as _,
        path::{Path, PathBuf},
    };

    use ::landlock::{
        ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
        Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope,
    };

    use super::Confinement;

    /// The Landlock version whose rights are restricted. An older kernel restricts those that it supports.
    const VERSION: ABI = ABI::V6;
    /// Libraries, and files of the system that the C library and the engines read.
    const SYSTEM: [&str; 13] = [
        "/usr",
        "/lib",
        "/lib32",
        "/lib64",
        "/opt",
        "/nix/store",
        "/etc/ld.so.cache",
        "/proc/self",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/stat",
        "/sys/devices",
        "/sys/fs/cgroup",
    ];
    const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];

    pub(super) fn restrict(confinement: &Confinement) -> Result<(), RulesetError> {
        for folder in &confinement.writes {
            // Created now, since that is impossible later. If it fails, saving the prefix cache will report it.
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        }
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let write = AccessFs::from_all(VERSION) & !AccessFs::Execute;
        let reads = SYSTEM.iter().map(PathBuf::from).chain(confinement.reads.iter().cloned());
        let rules = reads
            .map(|path| (path, read))
            .chain(
                DEVICES
                    .iter()
                    .map(|device| (PathBuf::from(device), AccessFs::ReadFile | AccessFs::WriteFile)),
            )
            .chain(confinement.writes.iter().map(|path| (path.clone(), write)));
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(VERSION))?
            .handle_access(AccessNet::from_all(VERSION))?
            .scope(Scope::from_all(VERSION))?
            .create()?;
        for (path, access) in rules {
            // A path that doesn't exist needs no rule.
            if let Some(rule) = rule_beneath(&path, access) {
                ruleset = ruleset.add_rule(rule)?;
            }
        }
        ruleset.restrict_self().map(drop)
    }

    fn rule_beneath(path: &Path, access: BitFlags<AccessFs>) -> Option<PathBeneath<PathFd>> {
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(VERSION) };
        PathFd::new(path).ok().map(|open| PathBeneath::new(open, access))
    }

    pub(super) fn is_available() -> bool {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))
            .is_ok_and(|ruleset| ruleset.create().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_inherited() {
        for (name, inherited) in [
            ("PATH", true),
            ("LD_LIBRARY_PATH", true),
            ("CUDA_VISIBLE_DEVICES", true),
            ("VK_ICD_FILENAMES", true),
            ("HEARTH_TOKEN", false),
            ("HEARTH_PROVIDERS__X__API_KEY", false),
            ("HEARTH_HUB__TOKEN", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("AWS_PROFILE", false),
            ("NVIDIA_API_KEY", false),
            ("OMP_API_KEY", false),
            ("XDG_SESSION_TOKEN", false),
            ("SSH_AUTH_SOCK", false),
            ("LD_PRELOAD", false),
        ] {
            assert_eq!(is_inherited(OsStr::new(name)), inherited, "{name}");
        }
    }

    #[test]
    fn folder_of_a_links_target_is_readable() {
        let folder = tempfile::tempdir().unwrap();
        let (links, files) = (folder.path().join("links"), folder.path().join("files"));
        std::fs::create_dir_all(&links).unwrap();
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("m.gguf"), b"").unwrap();
        std::os::unix::fs::symlink(files.join("m.gguf"), links.join("m.gguf")).unwrap();
        let confinement = Confinement::for_model(&links.join("m.gguf"), Some(Path::new("/kept/m")));
        assert_eq!(confinement.reads[0], links);
        assert!(confinement.reads[1].ends_with("files"), "{confinement:?}");
        assert_eq!(confinement.writes, [Path::new("/kept")]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn hard_limit_below_the_wanted_one_stays_and_the_other_limits_are_set() {
        let test = std::env::current_exe().unwrap();
        let name = "confine::tests::confine_this_process_below_its_hard_limit";
        let arguments = ["--exact", name, "--ignored", "--nocapture"];
        let run = std::process::Command::new(test).args(arguments).output().unwrap();
        let output = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && output.contains("1 passed"), "{run:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[ignore = "confines its process, so another test runs it in one of its own"]
    fn confine_this_process_below_its_hard_limit() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let hard = Some(64 << 30);
        setrlimit(Resource::Data, Rlimit { current: hard, maximum: hard }).unwrap();
        let memory_bytes = Some(65 << 30);
        apply(&Confinement { memory_bytes, landlock: true, ..Confinement::default() }).unwrap();
        assert_eq!(getrlimit(Resource::Data), Rlimit { current: hard, maximum: hard });
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert!(rustix::thread::no_new_privs().unwrap());
        assert!(!has_landlock() || std::fs::read("/etc/passwd").is_err());
    }

    /// Landlock applies to one thread and the threads that it starts, so a test can use it.
    #[cfg(target_os = "linux")]
    #[test]
    fn confined_thread_opens_its_model_but_no_secrets() {
        if !has_landlock() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (models, kept) = (folder.path().join("models"), folder.path().join("kept/prefixes"));
        std::fs::create_dir_all(&models).unwrap();
        std::fs::write(models.join("m.gguf"), b"GGUF").unwrap();
        std::fs::write(folder.path().join("secret"), b"secret").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut confinement = Confinement::for_model(&models.join("m.gguf"), Some(&kept.join("m")));
        confinement.landlock = true;
        let confined = std::thread::spawn(move || {
            landlock::restrict(&confinement).unwrap();
            assert!(std::fs::read(models.join("m.gguf")).is_ok());
            assert!(std::fs::read("/proc/meminfo").is_ok());
            std::fs::create_dir(kept.join("m.part")).unwrap();
            std::fs::write(kept.join("m.part/0.state"), b"state").unwrap();
            std::fs::rename(kept.join("m.part"), kept.join("m")).unwrap();
            std::fs::remove_dir_all(kept.join("m")).unwrap();
            for path in ["/etc/passwd", "/proc/1/environ", models.join("../secret").to_str().unwrap()] {
                assert!(std::fs::read(path).is_err(), "{path}");
            }
            assert!(std::fs::write(models.join("m.gguf"), b"").is_err());
            assert!(std::process::Command::new("/bin/true").status().is_err());
            assert!(std::net::TcpStream::connect(address).is_err());
        });
        confined.join().unwrap();
    }
}
