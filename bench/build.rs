//! Has the loader look for llama.cpp's libraries where the binary is: what this takes of the node, its
//! defaults, comes with them.

#![expect(clippy::disallowed_methods, reason = "the environment is how cargo speaks to a build script")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // The older kind of path holds for the libraries' own dependencies too.
        Ok("linux") => println!("cargo:rustc-link-arg-bins=-Wl,-rpath,$ORIGIN,--disable-new-dtags"),
        Ok("macos") => println!("cargo:rustc-link-arg-bins=-Wl,-rpath,@loader_path"),
        _ => {}
    }
}
