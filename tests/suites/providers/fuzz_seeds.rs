//! The seeds of the fuzz targets, with the properties that the targets check.
//!
//! The targets are a workspace of their own, which the gate doesn't build. Their functions are compiled and called here, so a change of
//! what they use is noticed.

use std::{fs, path::Path};

#[expect(clippy::unwrap_used, unreachable_pub, reason = "the library of the fuzz targets")]
#[path = "../../../fuzz/src/lib.rs"]
mod properties;

use properties::targets;

/// The first bytes of each input: the size of the pieces into which it is cut.
const PIECE_SIZES: [u8; 4] = [1, 2, 7, 255];

/// The function of a target.
type Target = fn(&[u8]);

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
    let targets: [(&str, Target); 5] = [
        ("openai_chat", targets::openai_chat),
        ("openai_responses", targets::openai_responses),
        ("anthropic", targets::anthropic),
        ("gemini", targets::gemini),
        ("bedrock", targets::bedrock),
    ];
    for (name, target) in targets {
        for mut input in seeds(name).iter().flat_map(|seed| variants(seed)) {
            for size in PIECE_SIZES {
                input[0] = size;
                target(&input);
            }
        }
    }
}

#[test]
fn frames_of_the_seeds_are_the_same_however_they_are_cut() {
    for mut input in seeds("framing").iter().flat_map(|seed| variants(seed)) {
        for size in PIECE_SIZES {
            if let Some(second) = input.get_mut(1) {
                *second = size;
            }
            targets::framing(&input);
        }
    }
}

#[test]
fn texts_are_no_forged_credentials() {
    let claims = r#"{"iss":"https://issuer.example","aud":"hearth","sub":"a","exp":4070908800,"iat":1}"#;
    let header = r#"{"alg":"EdDSA","kid":"k"}"#;
    for text in ["", "hth_", "hth_0123456789abcdef", "a.b.c", "....", "\u{e9}", header, claims] {
        targets::credential(text);
        targets::cursor(text);
        for selector in 0..3 {
            let with_selector = [&[selector], text.as_bytes()].concat();
            targets::access_token(&with_selector);
            targets::issuer_token(&with_selector);
        }
    }
    let signed = [&[1, u8::try_from(header.len()).unwrap()], header.as_bytes(), claims.as_bytes()].concat();
    targets::issuer_token(&signed);
}

/// A target that did more would not be compiled by any test.
#[test]
fn each_target_only_calls_its_function() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let functions = fs::read_to_string(folder.join("src/targets.rs")).unwrap();
    let mut files: Vec<_> =
        fs::read_dir(folder.join("fuzz_targets")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(file).unwrap();
        let call = ["data: &[u8]", "text: &str"].into_iter().find_map(|parameter| {
            let (argument, _) = parameter.split_once(':')?;
            let is_defined = functions.contains(&format!("pub fn {name}({parameter})"));
            is_defined.then(|| format!("fuzz_target!(|{parameter}| targets::{name}({argument}));"))
        });
        let code: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with("//")).collect();
        let uses = ["#![no_main]", "use hearth_fuzz::targets;", "use libfuzzer_sys::fuzz_target;"];
        assert_eq!(code, [&uses[..], &[&*call.unwrap_or_default()]].concat(), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is no target");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), files.len());
}
