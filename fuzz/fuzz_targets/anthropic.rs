//! An answer in the dialect of Anthropic's messages.

#![no_main]

use hearth_fuzz::check_answer;
use hearth_providers::dialect::Dialect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check_answer(Dialect::Anthropic, data));
