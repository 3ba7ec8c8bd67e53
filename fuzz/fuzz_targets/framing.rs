//! The frames of a body: server-sent events or AWS's messages, by the first bit.

#![no_main]

use hearth_fuzz::check_frames;
use hearth_providers::Framing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((framing, data)) = data.split_first() else { return };
    check_frames(if framing & 1 == 0 { Framing::ServerSentEvents } else { Framing::AwsEventStream }, data);
});
