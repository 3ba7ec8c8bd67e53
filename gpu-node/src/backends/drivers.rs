//! The GPUs of a machine and the identity of their drivers: a stored result is valid for these alone.
//!
//! A driver has a part in the kernel, and libraries that an update of the system replaces without a new kernel.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::libraries::file_identity;

/// Files whose content changes with a driver's part in the kernel, or with its libraries.
const VERSION_FILES: [&str; 4] = [
    "proc/driver/nvidia/version",
    "sys/module/amdgpu/version",
    "proc/sys/kernel/osrelease",
    "opt/rocm/.info/version",
];
/// Folders of shared libraries.
const LIBRARY_FOLDERS: [&str; 9] = [
    "usr/lib",
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/wsl/lib",
    "usr/local/lib",
    "usr/local/cuda/lib64",
    "opt/rocm/lib",
    "run/opengl-driver/lib",
];
/// Beginnings of the names of libraries that compute on GPUs: Vulkan's loader and Mesa's drivers, CUDA, ROCm.
const LIBRARY_PREFIXES: [&str; 5] = ["libvulkan", "libcuda.so", "libcublas", "libamdhip64", "librocblas"];
/// Folders of the manifests that name Vulkan's drivers.
const MANIFEST_FOLDERS: [&str; 4] = [
    "etc/vulkan/icd.d",
    "usr/share/vulkan/icd.d",
    "usr/local/share/vulkan/icd.d",
    "run/opengl-driver/share/vulkan/icd.d",
];
/// Beginnings of the names of variables that hide devices, or choose and configure drivers.
const VARIABLE_PREFIXES: [&str; 9] =
    ["CUDA_", "GGML_", "HIP_", "HSA_", "MESA_", "NVIDIA_", "ROCR_", "VK_", "ZE_"];

/// Returns what identifies the GPUs and drivers of the system below `root`, in a fixed order.
pub(super) fn properties(root: &Path) -> Vec<String> {
    let read_file = |file: &&str| fs::read_to_string(root.join(file)).ok();
    let mut properties: Vec<String> = VERSION_FILES.iter().filter_map(read_file).collect();
    properties.extend(devices(root));
    let libraries = LIBRARY_FOLDERS.iter().flat_map(|folder| entries(&root.join(folder)));
    let has_prefix = |path: &PathBuf| LIBRARY_PREFIXES.iter().any(|prefix| name(path).starts_with(prefix));
    let mut files: Vec<PathBuf> = libraries.filter(has_prefix).collect();
    for manifest in MANIFEST_FOLDERS.iter().flat_map(|folder| entries(&root.join(folder))) {
        files.extend(library_of(root, &manifest));
        files.push(manifest);
    }
    files.sort();
    files.dedup();
    properties.extend(files.iter().filter_map(|file| file_identity(file).ok()));
    properties
}

/// Returns the variables of `environment` that change the devices and drivers, in a fixed order.
pub(super) fn variables(environment: &[(OsString, OsString)]) -> Vec<String> {
    let texts = environment.iter().map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy()));
    let drivers = texts.filter(|(name, _)| VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
    let mut variables: Vec<String> = drivers.map(|(name, value)| format!("{name}={value}")).collect();
    variables.sort();
    variables
}

fn devices(root: &Path) -> Vec<String> {
    let paths = entries(&root.join("dev/dri")).into_iter().chain(entries(&root.join("dev")));
    let names = paths.map(|path| name(&path));
    // Others of NVIDIA's, such as nvidia-uvm, appear when a program uses CUDA first.
    let is_gpu = |name: &String| {
        let number = name.strip_prefix("renderD").or_else(|| name.strip_prefix("nvidia"));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut gpus: Vec<String> = names.filter(is_gpu).collect();
    gpus.sort();
    gpus
}

/// The library that a manifest names by its whole path; one in the folders of libraries is named without it.
fn library_of(root: &Path, manifest: &Path) -> Option<PathBuf> {
    let content: Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    let library = Path::new(content["ICD"]["library_path"].as_str()?);
    Some(root.join(library.strip_prefix("/").ok()?))
}

/// Returns the paths in a folder; none if it can't be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn new_devices_kernel_parts_and_libraries_change_the_properties() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let manifest = r#"{"ICD": {"library_path": "/opt/amdvlk/amdvlk64.so"}}"#;
        let mut before = properties(root);
        for (path, content) in [
            ("dev/dri/renderD128", ""),
            ("dev/nvidia0", ""),
            ("proc/driver/nvidia/version", "550"),
            ("proc/driver/nvidia/version", "560"),
            ("usr/lib/x86_64-linux-gnu/libvulkan_radeon.so", "Mesa 25"),
            ("usr/lib/x86_64-linux-gnu/libvulkan_radeon.so", "Mesa 25.1"),
            ("usr/local/cuda/lib64/libcublas.so.12", "12"),
            ("usr/share/vulkan/icd.d/amd_icd64.json", manifest),
            ("opt/amdvlk/amdvlk64.so", "a driver"),
            ("opt/amdvlk/amdvlk64.so", "another driver"),
        ] {
            write(root, path, content);
            let after = properties(root);
            assert_ne!(after, before, "{path}: {content}");
            assert_eq!(properties(root), after);
            before = after;
        }
        write(root, "usr/lib/libm.so.6", "");
        write(root, "usr/share/vulkan/icd.d/broken.json", "{");
        assert_eq!(properties(root).len(), before.len() + 1);
    }

    #[test]
    fn variables_of_drivers_count_and_others_do_not() {
        let environment = [("VK_ICD_FILENAMES", "a.json"), ("HOME", "/root"), ("CUDA_VISIBLE_DEVICES", "")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(variables(&environment), ["CUDA_VISIBLE_DEVICES=", "VK_ICD_FILENAMES=a.json"]);
    }
}
