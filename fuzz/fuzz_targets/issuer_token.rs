//! Any text as a token of an identity provider, any header and claims under a good signature, and any set of keys.

#![no_main]

use hearth_fuzz::targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| targets::issuer_token(data));
