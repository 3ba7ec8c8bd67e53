//! The selection of CPU variants in `gpu-node/cmake`, with the features of other processors and the versions of other compilers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// x86-64 with SSE4.2 and AVX.
const AVX: &str = "fpu sse sse2 sse4_1 sse4_2 avx";
/// The same with AVX2.
const AVX2: &str = "fpu sse sse2 sse4_1 sse4_2 avx f16c fma avx2 bmi1 bmi2";
/// The same with the AVX-512 of the first servers that have it.
const AVX512: &str =
    "fpu sse4_2 avx f16c fma avx2 bmi2 avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni avx512vbmi";

fn cmake_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gpu-node/cmake")
}

/// Runs a script that includes `cpu-variants.cmake` between these lines. Returns the value of `result` after it.
fn run(before: &str, after: &str, path: Option<&Path>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.cmake");
    let include = cmake_folder().join("cpu-variants.cmake");
    let text = format!(
        "cmake_minimum_required(VERSION 3.14)\n{before}\ninclude(\"{}\")\n{after}\nfile(WRITE \"{}/result\" \"${{result}}\")\n",
        include.display(),
        folder.path().display()
    );
    fs::write(&script, text).unwrap();
    let mut cmake = Command::new("cmake");
    cmake.arg("-P").arg(&script);
    if let Some(path) = path {
        cmake.env("PATH", std::env::join_paths([path, Path::new("/usr/bin"), Path::new("/bin")]).unwrap());
    }
    let output = cmake.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(folder.path().join("result")).unwrap()
}

/// The variants that are compiled on a processor with these features.
fn wanted(selection: &str, line: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cpuinfo");
    fs::write(&file, format!("processor\t: 0\n{line}\nbogomips\t: 1\n{line}\n")).unwrap();
    let before =
        format!("set(GGML_CPU_VARIANTS \"{selection}\")\nset(HEARTH_CPUINFO \"{}\")", file.display());
    run(&before, "hearth_wanted_variants(result)", None)
}

#[test]
fn host_build_has_the_two_best_variants_of_the_processor_and_the_generic_ones() {
    let amx = format!("{AVX512} avx512_bf16 amx_tile amx_int8");
    for (line, variants) in [
        (format!("flags\t\t: {AVX}"), "sandybridge;sse42;x64;armv8.0_1"),
        (format!("flags\t\t: {AVX} f16c"), "ivybridge;sandybridge;x64;armv8.0_1"),
        (format!("flags\t\t: {AVX2}"), "haswell;x64;armv8.0_1"),
        (format!("flags\t\t: {AVX2} avx_vnni"), "alderlake;haswell;x64;armv8.0_1"),
        (format!("flags\t\t: {AVX512}"), "icelake;cascadelake;x64;armv8.0_1"),
        (format!("flags\t\t: {AVX512} avx512_bf16"), "zen4;cooperlake;x64;armv8.0_1"),
        (format!("flags\t\t: {amx}"), "sapphirerapids;zen4;x64;armv8.0_1"),
        (
            "Features\t: fp asimd asimddp asimdhp sve i8mm sve2".to_owned(),
            "armv8.6_2;armv8.6_1;x64;armv8.0_1",
        ),
        // A list of all: nothing is known of the processor.
        ("flags\t\t: fpu sse2".to_owned(), ""),
        ("isa\t\t: rv64imafdc".to_owned(), ""),
    ] {
        assert_eq!(wanted("host", &line), variants, "{line}");
    }
}

#[test]
fn selection_is_followed_whatever_the_processor_has() {
    let line = format!("flags\t\t: {AVX2}");
    assert_eq!(wanted("all", &line), "");
    assert_eq!(wanted("zen4;x64", &line), "zen4;x64");
    let missing = "set(GGML_CPU_VARIANTS host)\nset(HEARTH_CPUINFO /nonexistent/cpuinfo)";
    assert_eq!(run(missing, "hearth_wanted_variants(result)", None), "");
}

/// The compiler of the AMX variant where CMake's is this one.
fn amx_compiler(id: &str, version: &str, path: Option<&Path>) -> String {
    let before = format!("set(CMAKE_CXX_COMPILER_ID {id})\nset(CMAKE_CXX_COMPILER_VERSION {version})");
    run(&before, "hearth_amx_compiler(result)", path)
}

#[test]
fn amx_is_compiled_with_clang_where_gcc_breaks_it() {
    let folder = tempfile::tempdir().unwrap();
    let clang = folder.path().join("clang++");
    fs::write(&clang, "#!/bin/sh\necho \"$@\"\n").unwrap();
    make_executable(&clang);
    for version in ["12.4.0", "12.5", "13.3.0", "14.1.0", "15.0"] {
        assert_eq!(amx_compiler("GNU", version, Some(folder.path())), "FALSE", "{version}");
    }
    for version in ["11.4.0", "12.2.0", "12.3.0", "13.0", "13.2.1"] {
        let compiler = amx_compiler("GNU", version, Some(folder.path()));
        assert_eq!(Path::new(&compiler), clang, "{version}");
    }
    assert_eq!(amx_compiler("Clang", "14.0.6", Some(folder.path())), "FALSE");
}

#[test]
fn launcher_starts_clang_in_place_of_the_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let clang = folder.path().join("clang++");
    fs::write(&clang, "#!/bin/sh\necho \"$@\"\n").unwrap();
    make_executable(&clang);
    let mut launcher = Command::new("sh");
    launcher.arg(cmake_folder().join("with-clang.sh")).arg(&clang);
    let output = launcher.args(["-x", "c++", "/usr/bin/c++", "-O3", "-c", "a b.cpp"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim(), "-x c++ -Wno-unknown-warning-option -O3 -c a b.cpp");
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
