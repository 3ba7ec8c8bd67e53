//! Any text as a list's cursor.

#![no_main]

use hearth_fuzz::credentials::check_cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| check_cursor(text));
