//! An answer in the dialect of OpenAI's responses.

#![no_main]

use hearth_fuzz::check_answer;
use hearth_providers::dialect::Dialect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check_answer(Dialect::OpenAiResponses, data));
