//! An answer in the dialect of OpenAI's chat completions.

#![no_main]

use hearth_fuzz::check_answer;
use hearth_providers::dialect::{Dialect, openai_chat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check_answer(Dialect::OpenAiChat(&openai_chat::COMMON), data));
