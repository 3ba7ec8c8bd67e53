//! Checks the AMX variant of llama.cpp's CPU backend: that it is in a folder, and has AMX's instructions. A compiler that
//! names AMX's macros otherwise than llama.cpp compiles the variant without them, and its self-test passes.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::tools::Tool;
use crate::workspace::Workspace;
use crate::{environment, shell};

const LIBRARY: &str = "libggml-cpu-sapphirerapids.so";
/// Loads the form of the tiles, and multiplies two of them.
const INSTRUCTIONS: [&str; 2] = ["ldtilecfg", "tdpbssd"];

/// Checks the variant in a folder for x86-64. A missing variant and a missing `objdump` are printed.
///
/// # Errors
/// The variant has no AMX instructions.
pub(super) fn check(workspace: &Workspace, folder: &Path) -> Result<()> {
    let library = folder.join(LIBRARY);
    if !library.is_file() {
        println!(
            "notice: the folder has no AMX variant of the CPU backend: the C++ compiler breaks AMX, and the build found no {}. \
             Install it, then {REBUILD}",
            Tool::Clang.name()
        );
        return Ok(());
    }
    let Some(objdump) = environment::program("objdump") else {
        println!("notice: {LIBRARY} isn't checked for AMX's instructions: there is no objdump");
        return Ok(());
    };
    let mut objdump = workspace.command(objdump);
    objdump.args(["--disassemble", "--no-show-raw-insn"]).arg(&library);
    let assembly = shell::output(&mut objdump)?;
    let missing = missing_instructions(&String::from_utf8_lossy(&assembly));
    ensure!(
        missing.is_empty(),
        "{} has no {}: it was compiled without AMX, and is slow where it should be fastest. Install Clang 16 or later, or \
         GCC 14 or later, then {REBUILD}",
        library.display(),
        missing.join(" and no ")
    );
    Ok(())
}

const REBUILD: &str =
    "`cargo clean --profile portable --package llama-cpp-sys-2` and `cargo xtask dist` once more";

fn missing_instructions(assembly: &str) -> Vec<&'static str> {
    let is_missing = |instruction: &&str| !assembly.split_whitespace().any(|word| word == *instruction);
    INSTRUCTIONS.into_iter().filter(is_missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_words_of_the_assembly() {
        let with =
            "0000000000001139 <f>:\n    1150:\tldtilecfg -0x40(%rsp)\n    115a:\ttdpbssd %tmm2,%tmm1,%tmm0\n";
        assert_eq!(missing_instructions(with), Vec::<&str>::new());
        assert_eq!(missing_instructions(&with.replace("tdpbssd", "tdpbusd")), ["tdpbssd"]);
        let without =
            "0000000000001139 <ldtilecfg_test>:\n    1139:\tvpdpbusd %zmm1,%zmm2,%zmm3\n    115a:\tret\n";
        assert_eq!(missing_instructions(without), INSTRUCTIONS);
    }
}
