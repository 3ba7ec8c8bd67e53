//! llama.cpp's own server, built once from the sources that PyPI's `llama-cpp-python` brings along.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools::{self, Tool};
use crate::venv::Venv;
use crate::workspace::Workspace;
use crate::{environment, shell};

/// The sources' version and checksum.
const REQUIREMENTS: &str = "bench/requirements.txt";
const PACKAGE: &str = "llama-cpp-python";

/// Build backend of the package, with which pip reads its metadata. It is installed separately, to pin its version.
const BUILD_BACKEND: &str = "scikit-build-core==1.1.2";

/// Options of the build: the defaults, without parts that need other libraries.
const OPTIONS: [&str; 5] = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_CURL=OFF",
];

/// Returns the server in `folder`, after building it if it is missing.
///
/// # Errors
/// The sources cannot be downloaded or built.
pub(super) fn ensure(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let requirements = fs::read_to_string(workspace.root.join(REQUIREMENTS));
    let requirements = requirements.with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let version = version(&requirements)
        .with_context(|| format!("{REQUIREMENTS} does not begin with {PACKAGE}==VERSION"))?;
    let clang = amx_clang();
    let compiler = if clang.is_some() { "-clang" } else { "" };
    let built = folder.join(format!("llama-server-{version}{compiler}"));
    let program = built.join("bin").join("llama-server").with_extension(std::env::consts::EXE_EXTENSION);
    if !program.is_file() {
        build(workspace, version, clang.as_deref(), &folder.join("llama-server.build"), &built)?;
    }
    Ok(program)
}

/// Clang for C++, where Hearth's variant for this processor is compiled by it: on a processor with AMX whose code the C++
/// compiler breaks. Elsewhere both are compiled by the C++ compiler.
fn amx_clang() -> Option<PathBuf> {
    tools::amx_compiler().filter(|_| environment::processor_has_amx()).and_then(|_| tools::clangxx())
}

/// CMake's options for that compiler. Clang before 16 has AMX under other names of these macros; without them llama.cpp leaves its
/// kernels out.
fn compiler_options(clang: &Path) -> [String; 4] {
    let name = clang.to_string_lossy();
    let (c, macros) = (name.replacen("clang++", "clang", 1), "-D__AMX_TILE__ -D__AMX_INT8__");
    [
        format!("-DCMAKE_C_COMPILER={c}"),
        format!("-DCMAKE_CXX_COMPILER={name}"),
        format!("-DCMAKE_C_FLAGS={macros}"),
        format!("-DCMAKE_CXX_FLAGS={macros}"),
    ]
}

/// Builds the server with its libraries into `bin` of `built`, and removes `scratch`.
fn build(
    workspace: &Workspace,
    version: &str,
    clang: Option<&Path>,
    scratch: &Path,
    built: &Path,
) -> Result<()> {
    eprintln!("llama-server is built from its sources, once (several minutes on two cores)");
    for folder in [scratch, built].into_iter().filter(|folder| folder.exists()) {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    for folder in [scratch, built] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let sources = download(workspace, version, scratch)?.join("vendor").join("llama.cpp");
    let binaries = scratch.join("build");
    let mut configure = workspace.command("cmake");
    configure.args(clang.into_iter().flat_map(compiler_options));
    shell::run(configure.arg("-S").arg(sources).arg("-B").arg(&binaries).args(OPTIONS))?;
    let jobs = std::thread::available_parallelism().map_or(1, NonZero::get).to_string();
    let mut make = workspace.command("cmake");
    make.arg("--build").arg(&binaries).args(["--config", "Release", "--target", "llama-server"]);
    shell::run(make.args(["--parallel", &jobs]))?;
    fs::rename(binaries.join("bin"), built.join("bin"))
        .context("llama-server was built, and is not there")?;
    fs::remove_dir_all(scratch).with_context(|| format!("cannot remove {}", scratch.display()))
}

/// Downloads the sources, and returns their folder.
fn download(workspace: &Workspace, version: &str, folder: &Path) -> Result<PathBuf> {
    tools::ensure(workspace, &[Tool::Python])?;
    let venv = Venv::of_packages(workspace, "venv-bench", &[BUILD_BACKEND])?;
    let mut pip = venv.command(workspace, "python");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--no-build-isolation", "--no-binary", PACKAGE, "--require-hashes"]);
    shell::run(pip.args(["--requirement", REQUIREMENTS, "--dest"]).arg(folder))?;
    let name = format!("{}-{version}", PACKAGE.replace('-', "_"));
    let archive = folder.join(format!("{name}.tar.gz"));
    shell::run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder))?;
    Ok(folder.join(name))
}

fn version(requirements: &str) -> Option<&str> {
    requirements.strip_prefix(PACKAGE)?.strip_prefix("==")?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_is_compiled_by_the_same_clang() {
        let options = compiler_options(Path::new("/usr/bin/clang++-16"));
        assert_eq!(
            options[..2],
            ["-DCMAKE_C_COMPILER=/usr/bin/clang-16", "-DCMAKE_CXX_COMPILER=/usr/bin/clang++-16"]
        );
    }

    #[test]
    fn version_is_the_pinned_one() {
        assert_eq!(version("llama-cpp-python==0.3.36 --hash=sha256:00\n"), Some("0.3.36"));
        assert_eq!(version("llama-cpp-python>=0.3\n"), None);
        assert_eq!(version("other==1\n"), None);
    }
}
