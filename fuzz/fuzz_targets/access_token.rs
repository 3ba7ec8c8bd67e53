//! Any text as the access token of a login, and any claims under a good signature.

#![no_main]

use hearth_fuzz::targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| targets::access_token(data));
