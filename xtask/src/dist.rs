//! `cargo xtask dist`: a folder that runs wherever it is copied.

mod amx;
pub(crate) mod compile_flags;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tools::{self, Tool};
use crate::workspace::Workspace;
use crate::{gate, progress, shell};

/// The cargo profile of a folder for other machines. llama.cpp's build differs from that of `release` (it has every
/// variant of the CPU backend), so it has a build folder of its own.
pub(crate) const PORTABLE: &str = "portable";

/// The engine for images: package and binary.
const PICTURES: &str = "hearth-diffusion";

/// Options of `dist`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Features of the binary beside the default ones, such as `cuda`.
    features: Option<String>,
    /// Build the engine for images too.
    pictures: bool,
    /// Start the folder, as the gate starts one of its own build.
    smoke: bool,
    /// Folder to write; by default `dist/hearth` in the target folder.
    out: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                "--pictures" => options.pictures = true,
                "--smoke" => options.smoke = true,
                "--features" => options.features = Some(value()?.clone()),
                "--out" => options.out = Some(value()?.into()),
                other => bail!(
                    "`cargo xtask dist` takes `--features`, `--pictures`, `--smoke` and `--out`, not `{other}`"
                ),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    tools::ensure(workspace, &Tool::TO_BUILD)?;
    tools::ensure_optional(workspace, tools::amx_compiler());
    let features = options.features.as_deref();
    build(workspace, PORTABLE, features)?;
    let out = options.out.clone().unwrap_or_else(|| workspace.target.join("dist/hearth"));
    let mut bytes = assemble(workspace, PORTABLE, features, &out)?;
    if options.pictures {
        build_pictures(workspace, PORTABLE, features)?;
        bytes += copy(&workspace.binary(PORTABLE, PICTURES), &out)?;
    }
    println!("{} ({} MiB)", out.display(), bytes >> 20);
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        amx::check(workspace, &out)?;
    }
    if options.smoke {
        let out = std::path::absolute(&out).context("the folder has no absolute path")?;
        gate::smoke_test(workspace, PORTABLE, &out)?;
    }
    Ok(())
}

/// Builds `hearth` in a cargo profile, with more features, and shows the progress.
///
/// # Errors
/// The build failed.
pub(crate) fn build(workspace: &Workspace, profile: &str, features: Option<&str>) -> Result<()> {
    let mut cargo =
        workspace.cargo(["build", "--profile", profile, "--package", "hearth", "--bin", "hearth"]);
    if let Some(features) = features {
        cargo.args(["--features", features]);
    }
    if profile == PORTABLE {
        cargo.env("GGML_CPU_VARIANTS", "all");
    }
    progress::watch(&workspace.output(profile), || shell::run(&mut cargo))
}

/// Builds the engine for images, which the node finds beside its binary. Vulkan is llama.cpp's alone.
///
/// # Errors
/// The build failed.
pub(crate) fn build_pictures(workspace: &Workspace, profile: &str, features: Option<&str>) -> Result<()> {
    let mut cargo =
        workspace.cargo(["build", "--profile", profile, "--package", PICTURES, "--bin", PICTURES]);
    let gpu =
        features.unwrap_or_default().split([',', ' ']).map(|feature| feature.trim_start_matches("hearth/"));
    for feature in gpu.filter(|feature| ["cuda", "metal"].contains(feature)) {
        cargo.args(["--features", feature]);
    }
    progress::watch(&workspace.output(profile), || shell::run(&mut cargo))
}

/// Copies the binary of a finished build and llama.cpp's libraries into a folder. Returns their bytes.
///
/// # Errors
/// A file cannot be copied.
pub(crate) fn assemble(
    workspace: &Workspace,
    profile: &str,
    features: Option<&str>,
    out: &Path,
) -> Result<u64> {
    fs::create_dir_all(out).with_context(|| format!("{} can't be made", out.display()))?;
    let binary = workspace.binary(profile, "hearth");
    Ok(copy(&binary, out)? + copy_libraries(&workspace.output(profile), out, features.unwrap_or_default())?)
}

/// Copies llama.cpp's libraries that belong to a build with `features`, in place of those that an earlier
/// `dist` put there. Returns their bytes.
fn copy_libraries(built: &Path, out: &Path, features: &str) -> Result<u64> {
    for old in libraries(out)? {
        fs::remove_file(&old).with_context(|| format!("{} can't be removed", old.display()))?;
    }
    let ours = libraries(built)?.into_iter().filter(|library| belongs(library, features));
    ours.map(|library| copy(&library, out)).sum()
}

/// llama.cpp's libraries in a folder. Links between their names are for linking.
fn libraries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| is_library(path) && !path.is_symlink()).collect())
}

fn is_library(path: &Path) -> bool {
    let name = name(path);
    let ours = name.starts_with("libggml") || name.starts_with("libllama");
    ours && (name.contains(".so") || name.ends_with(".dylib"))
}

/// Returns whether a library belongs to a build with `features`: a GPU's backend of an earlier build stays in the build
/// folder. Metal's is in every build for macOS.
fn belongs(library: &Path, features: &str) -> bool {
    let name = name(library);
    let backend = name.strip_prefix("libggml-").and_then(|rest| rest.split('.').next());
    match backend.filter(|backend| ["cuda", "vulkan"].contains(backend)) {
        Some(gpu) => features.split([',', ' ']).any(|feature| feature.trim_start_matches("hearth/") == gpu),
        None => true,
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn copy(file: &Path, folder: &Path) -> Result<u64> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, folder.join(name)).with_context(|| format!("{} can't be copied", file.display()))
}

#[cfg(test)]
mod cmake_tests;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn options_are_read_in_any_order() {
        let parse =
            |line: &str| Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let all = Options {
            features: Some("cuda".to_owned()),
            pictures: true,
            smoke: true,
            out: Some("there".into()),
        };
        assert_eq!(parse("--smoke --out there --pictures --features cuda").unwrap(), all);
        assert_eq!(parse("").unwrap(), Options::default());
        for line in ["--out", "--features", "there"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn folder_has_only_the_libraries_of_this_build() {
        let (built, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let always = ["libggml-base.so.0", "libggml-cpu-haswell.so", "libggml.so.0", "libllama.so.0"];
        for library in always.iter().chain(&["libggml-cuda.so", "libggml-vulkan.so", "libhearth.rlib"]) {
            fs::write(built.path().join(library), library).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("libggml.so.0", built.path().join("libggml.so")).unwrap();
        fs::write(out.path().join("libggml-cpu-of-last-year.so"), "").unwrap();
        fs::write(out.path().join("hearth.toml"), "").unwrap();
        for (features, gpus) in [
            ("", &[][..]),
            ("vulkan", &["libggml-vulkan.so"]),
            ("hearth/cuda,vulkan", &["libggml-cuda.so", "libggml-vulkan.so"]),
            ("cuda", &["libggml-cuda.so"]),
        ] {
            let bytes = copy_libraries(built.path(), out.path(), features).unwrap();
            let wanted: BTreeSet<&str> = always.iter().chain(gpus).copied().collect();
            assert_eq!(bytes, wanted.iter().map(|name| name.len() as u64).sum::<u64>());
            let copied = fs::read_dir(out.path()).unwrap().map(|entry| name(&entry.unwrap().path()));
            let copied: BTreeSet<String> = copied.filter(|name| name != "hearth.toml").collect();
            assert_eq!(copied.iter().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{features}");
        }
    }
}
