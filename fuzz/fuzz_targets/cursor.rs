//! Any text as a list's cursor.

#![no_main]

use hearth_fuzz::targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| targets::cursor(text));
