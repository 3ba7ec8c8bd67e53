//! Has the loader find llama.cpp's libraries beside the binary. `cli/build.rs` and `bench/build.rs` are the same.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo passes its settings to a build script in the environment"
)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // The older kind of path also holds for the libraries' own dependencies.
        Ok("linux") => println!("cargo:rustc-link-arg-bins=-Wl,-rpath,$ORIGIN,--disable-new-dtags"),
        Ok("macos") => println!("cargo:rustc-link-arg-bins=-Wl,-rpath,@loader_path"),
        _ => {}
    }
}
