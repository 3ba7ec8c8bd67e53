//! The frames of a body: server-sent events or AWS's messages, by the first bit.

#![no_main]

use hearth_fuzz::targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| targets::framing(data));
