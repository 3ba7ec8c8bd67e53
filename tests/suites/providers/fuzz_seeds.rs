//! The seeds of the fuzz targets, with the properties that the targets check.
//!
//! The targets are a workspace of their own, which the gate doesn't build. Their properties are compiled here, so a change of what
//! they use is noticed.

use std::{fs, path::Path};

use hearth_providers::{
    Framing,
    dialect::{Dialect, openai_chat},
};

#[expect(clippy::unwrap_used, unreachable_pub, reason = "the library of the fuzz targets")]
#[path = "../../../fuzz/src/lib.rs"]
mod properties;

use properties::{check_answer, check_frames, credentials};

/// The first bytes of each input: the size of the pieces into which it is cut.
const PIECE_SIZES: [u8; 4] = [1, 2, 7, 255];

/// The seeds of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let read = || -> std::io::Result<Vec<Vec<u8>>> {
        fs::read_dir(&folder)?.map(|entry| fs::read(entry?.path())).collect()
    };
    let seeds = read().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

/// The seed as it is, cut at each of some places, and with each of its bytes changed.
fn variants(seed: &[u8]) -> Vec<Vec<u8>> {
    let mut variants = vec![seed.to_vec()];
    let step = (seed.len() / 40).max(1);
    for at in (1..seed.len()).step_by(step) {
        variants.push(seed[..at].to_vec());
        let mut changed = seed.to_vec();
        changed[at] ^= 0x20;
        variants.push(changed);
    }
    variants
}

#[test]
fn answers_of_the_seeds_are_the_same_however_they_are_cut() {
    for (target, dialect) in [
        ("openai_chat", Dialect::OpenAiChat(&openai_chat::COMMON)),
        ("openai_responses", Dialect::OpenAiResponses),
        ("anthropic", Dialect::Anthropic),
        ("gemini", Dialect::Gemini),
        ("bedrock", Dialect::Bedrock),
    ] {
        for mut input in seeds(target).iter().flat_map(|seed| variants(seed)) {
            for size in PIECE_SIZES {
                input[0] = size;
                check_answer(dialect, &input);
            }
        }
    }
}

#[test]
fn frames_of_the_seeds_are_the_same_however_they_are_cut() {
    for input in seeds("framing").iter().flat_map(|seed| variants(seed)) {
        let Some((framing, rest)) = input.split_first() else { continue };
        let framing = if framing & 1 == 0 { Framing::ServerSentEvents } else { Framing::AwsEventStream };
        let mut rest = rest.to_vec();
        for size in PIECE_SIZES {
            if let Some(first) = rest.first_mut() {
                *first = size;
            }
            check_frames(framing, &rest);
        }
    }
}

#[test]
fn texts_are_no_forged_credentials() {
    let claims = r#"{"iss":"https://issuer.example","aud":"hearth","sub":"a","exp":4070908800,"iat":1}"#;
    let header = r#"{"alg":"EdDSA","kid":"k"}"#;
    for text in ["", "hth_", "hth_0123456789abcdef", "a.b.c", "....", "\u{e9}", header, claims] {
        credentials::check_credential(text);
        credentials::check_cursor(text);
        for selector in 0..3 {
            let with_selector = [&[selector], text.as_bytes()].concat();
            credentials::check_access_token(&with_selector);
            credentials::check_issuer_token(&with_selector);
        }
    }
    let signed = [&[1, u8::try_from(header.len()).unwrap()], header.as_bytes(), claims.as_bytes()].concat();
    credentials::check_issuer_token(&signed);
}
