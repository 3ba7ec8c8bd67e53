//! Any text as an API token, an access key, a refresh token and a one-time code.

#![no_main]

use hearth_fuzz::credentials::check_credential;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| check_credential(text));
