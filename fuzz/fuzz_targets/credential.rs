//! Any text as an API token, an access key, a refresh token and a one-time code.

#![no_main]

use hearth_fuzz::targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| targets::credential(text));
