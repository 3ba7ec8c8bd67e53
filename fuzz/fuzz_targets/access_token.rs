//! Any text as the access token of a login, and any claims under a good signature.

#![no_main]

use hearth_fuzz::credentials::check_access_token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check_access_token(data));
