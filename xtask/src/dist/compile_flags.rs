//! Checks the flags that llama.cpp was compiled with. They are the same in every profile, so that the tests run the code that
//! users run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{libraries, name};

/// The library by whose content the build is recognised.
const LIBRARY: &str = "libllama.";
/// The start of the names of cargo's folders for llama.cpp's build script.
const BUILD_FOLDER: &str = "llama-cpp-sys-2-";
/// CMake's values for a release.
const EXPECTED: [(&str, &str); 3] = [
    ("CMAKE_BUILD_TYPE", "Release"),
    ("CMAKE_C_FLAGS_RELEASE", "-O3 -DNDEBUG"),
    ("CMAKE_CXX_FLAGS_RELEASE", "-O3 -DNDEBUG"),
];
/// Flags of every build type. They have no level of optimisation and no debug information.
const GENERAL: [&str; 2] = ["CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS"];

/// Checks the build of the libraries in `output`, cargo's folder of a profile.
///
/// # Errors
/// The build has other flags than a release, or isn't there.
pub(crate) fn check(output: &Path) -> Result<()> {
    let caches = caches(output)?;
    ensure!(
        !caches.is_empty(),
        "no folder {}/build/{BUILD_FOLDER}* has the build of llama.cpp's libraries beside the binary; build them anew: \
         cargo clean --package llama-cpp-sys-2",
        output.display()
    );
    for cache in caches {
        let text = fs::read_to_string(&cache).with_context(|| format!("cannot read {}", cache.display()))?;
        let faults = faults(&text);
        ensure!(
            faults.is_empty(),
            "llama.cpp was compiled with other flags than in a release, so the tests run other code than users: {}. \
             {} has the flags. `.cargo/config.toml` sets LLAMA_LIB_PROFILE=Release; cargo has to find that file, and the \
             environment may not have another value, nor flags in CFLAGS and CXXFLAGS",
            faults.join("; "),
            cache.display()
        );
    }
    Ok(())
}

/// CMake's caches of the builds that made the libraries in `output`. Builds of other features and versions stay beside them.
fn caches(output: &Path) -> Result<Vec<PathBuf>> {
    let ours = libraries(output)?.into_iter().find(|library| name(library).starts_with(LIBRARY));
    let ours = ours.with_context(|| format!("{} has no {LIBRARY}*", output.display()))?;
    let content = fs::read(&ours).with_context(|| format!("cannot read {}", ours.display()))?;
    let builds = output.join("build");
    let entries = fs::read_dir(&builds).with_context(|| format!("cannot read {}", builds.display()))?;
    let mut caches = Vec::new();
    for entry in entries {
        let build = entry?.path();
        let mut folders = ["lib", "lib64"].into_iter().map(|folder| build.join("out").join(folder));
        let has_ours =
            |folder: PathBuf| fs::read(folder.join(name(&ours))).is_ok_and(|other| other == content);
        if name(&build).starts_with(BUILD_FOLDER) && folders.any(has_ours) {
            caches.push(build.join("out/build/CMakeCache.txt"));
        }
    }
    Ok(caches)
}

/// The entries of a cache that differ from those of a release.
fn faults(cache: &str) -> Vec<String> {
    let value = |name: &str| {
        let entry = cache.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        entry.and_then(|entry| entry.split_once('=')).map_or("", |(_, value)| value.trim())
    };
    let other = EXPECTED.iter().filter(|(name, expected)| value(name) != *expected);
    let other = other.map(|(name, expected)| format!("{name} is `{}` and not `{expected}`", value(name)));
    let general = GENERAL.iter().flat_map(|name| {
        let changes = value(name).split_whitespace().filter(|flag| changes_code(flag));
        changes.map(move |flag| format!("{name} has `{flag}`"))
    });
    other.chain(general).collect()
}

fn changes_code(flag: &str) -> bool {
    ["-O", "-g", "-fsanitize"].iter().any(|start| flag.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "\
        // For builds\n\
        CMAKE_BUILD_TYPE:STRING=Release\n\
        CMAKE_CXX_FLAGS:STRING= -ffunction-sections -fdata-sections -fPIC -m64 -march=x86-64 -w\n\
        CMAKE_CXX_FLAGS_DEBUG:STRING=-g\n\
        CMAKE_CXX_FLAGS_RELEASE:STRING=-O3 -DNDEBUG\n\
        CMAKE_C_FLAGS:STRING= -fPIC\n\
        CMAKE_C_FLAGS_RELEASE:STRING=-O3 -DNDEBUG\n";

    #[test]
    fn flags_of_a_debug_build_are_faults() {
        assert_eq!(faults(RELEASE), Vec::<String>::new());
        for (from, to, fault) in [
            (
                "TYPE:STRING=Release",
                "TYPE:STRING=RelWithDebInfo",
                "CMAKE_BUILD_TYPE is `RelWithDebInfo` and not `Release`",
            ),
            (
                "CMAKE_CXX_FLAGS_RELEASE:STRING=-O3",
                "CMAKE_CXX_FLAGS_RELEASE:STRING=-O2",
                "CMAKE_CXX_FLAGS_RELEASE is `-O2 -DNDEBUG` and not `-O3 -DNDEBUG`",
            ),
            (
                "CMAKE_C_FLAGS:STRING= -fPIC",
                "CMAKE_C_FLAGS:STRING= -fPIC -g -O1",
                "CMAKE_C_FLAGS has `-g`; CMAKE_C_FLAGS has `-O1`",
            ),
            (
                "CMAKE_C_FLAGS_RELEASE:STRING=-O3 -DNDEBUG\n",
                "",
                "CMAKE_C_FLAGS_RELEASE is `` and not `-O3 -DNDEBUG`",
            ),
        ] {
            let cache = RELEASE.replace(from, to);
            assert_ne!(cache, RELEASE, "{from}");
            assert_eq!(faults(&cache).join("; "), fault);
        }
    }

    #[test]
    fn build_is_recognised_by_its_library() {
        let output = tempfile::tempdir().unwrap();
        fs::write(output.path().join("libllama.so.0"), "new").unwrap();
        for (build, library, cache) in [("1", "new", RELEASE), ("2", "old", "CMAKE_BUILD_TYPE:STRING=Debug")]
        {
            let out = output.path().join(format!("build/{BUILD_FOLDER}{build}/out"));
            fs::create_dir_all(out.join("lib")).unwrap();
            fs::create_dir_all(out.join("build")).unwrap();
            fs::write(out.join("lib/libllama.so.0"), library).unwrap();
            fs::write(out.join("build/CMakeCache.txt"), cache).unwrap();
        }
        check(output.path()).unwrap();
        fs::write(output.path().join("libllama.so.0"), "old").unwrap();
        let error = check(output.path()).unwrap_err().to_string();
        assert!(error.contains("CMAKE_BUILD_TYPE is `Debug`") && error.contains("2/out/build"), "{error}");
        fs::write(output.path().join("libllama.so.0"), "of another machine").unwrap();
        let error = check(output.path()).unwrap_err().to_string();
        assert!(error.contains("cargo clean --package llama-cpp-sys-2"), "{error}");
    }
}
