//! Three calls into ggml that llama-cpp-2 doesn't wrap: the score of a library, loading one library, and dequantizing weights.
//!
//! llama-cpp-2 only loads the best library of a folder, but that one may be broken.

#![expect(unsafe_code, reason = "loading a library runs its code; these calls are in this module alone")]

use std::{
    ffi::{CString, c_int},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Returns the score of the library at `path` on this processor: higher is better, 0 is "not supported". `None` for a
/// library without a score, such as a GPU's.
///
/// A broken library may end the process: call this in a child process.
pub(super) fn score(path: &Path) -> Result<Option<i32>, String> {
    // SAFETY: the file is one of the build's own libraries. Its initialisers are those that `load` runs too.
    let library =
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| error.to_string())?;
    // SAFETY: `ggml_backend_score_t` in ggml-backend-impl.h has this signature.
    let score = unsafe { library.get::<unsafe extern "C" fn() -> c_int>(b"ggml_backend_score\0") };
    // SAFETY: as above; it reads CPUID and nothing else.
    let score = score.ok().map(|score| unsafe { score() });
    // Never unloaded: ggml's libraries have threads and callbacks that exist until the process ends.
    std::mem::forget(library);
    Ok(score)
}

/// Loads exactly these libraries, in this order, and registers their devices with ggml, for the rest of the process.
pub(crate) fn load_all(libraries: &[PathBuf]) -> Result<(), String> {
    libraries.iter().try_for_each(|library| load(library))
}

fn load(path: &Path) -> Result<(), String> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| format!("{} has a zero byte in its name", path.display()))?;
    // SAFETY: the string lives until the call returns, and ggml copies what it needs.
    let registered = unsafe { llama_cpp_sys_2::ggml_backend_load(name.as_ptr()) };
    if registered.is_null() {
        return Err(format!("{} cannot be loaded", path.display()));
    }
    Ok(())
}

/// Converts `weights` weights in blocks of a type to numbers, by the scalar code of libggml-base.
///
/// # Errors
/// If ggml doesn't dequantize this type, or the blocks have another size.
pub(super) fn dequantize(kind: u32, blocks: &[u8], weights: usize) -> Result<Vec<f32>, String> {
    // ggml ends the process for other numbers.
    if kind >= llama_cpp_sys_2::GGML_TYPE_COUNT {
        return Err(format!("ggml has no type {kind}"));
    }
    // SAFETY: the number is one of ggml's types, whose traits are a constant.
    let traits = unsafe { *llama_cpp_sys_2::ggml_get_type_traits(kind) };
    let per_block = usize::try_from(traits.blck_size).unwrap_or(0).max(1);
    if !weights.is_multiple_of(per_block) || blocks.len() != weights / per_block * traits.type_size {
        return Err(format!("{} bytes aren't {weights} weights of the type {kind}", blocks.len()));
    }
    if kind == llama_cpp_sys_2::GGML_TYPE_F32 {
        return Ok(blocks.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
    }
    let to_float = traits.to_float.ok_or_else(|| format!("ggml can't dequantize the type {kind}"))?;
    // Aligned as ggml's blocks need to be.
    let words = blocks.chunks(8).map(|chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(bytes)
    });
    let words: Vec<u64> = words.collect();
    let mut numbers = vec![0.0_f32; weights];
    // SAFETY: ggml reads as many whole blocks as these weights have, and writes a number for each weight.
    unsafe { to_float(words.as_ptr().cast(), numbers.as_mut_ptr(), weights as i64) };
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use llama_cpp_sys_2::{GGML_TYPE_F32, GGML_TYPE_Q4_0};

    use super::*;

    #[test]
    fn blocks_become_numbers_and_a_wrong_size_is_refused() {
        // The scale 1 in half precision, and the codes 0 and 15, which stand for -8 and 7.
        let mut block = vec![0x00, 0x3c];
        block.extend([0xf0; 16]);
        let numbers = dequantize(GGML_TYPE_Q4_0, &block, 32).unwrap();
        assert_eq!((&numbers[..16], &numbers[16..]), (&[-8.0; 16][..], &[7.0; 16][..]));
        assert_eq!(dequantize(GGML_TYPE_F32, &1.5_f32.to_le_bytes(), 1).unwrap(), [1.5]);
        for (kind, weights) in [(2, 64), (2, 31), (0, 32), (3, 32), (4, 32), (999, 32)] {
            assert!(dequantize(kind, &block, weights).is_err(), "{kind}, {weights}");
        }
    }
}
