//! An answer in the dialect of Anthropic's messages.

#![no_main]

use hearth_fuzz::targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| targets::anthropic(data));
