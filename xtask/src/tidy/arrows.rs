//! Which crate may depend on which: the direction that ARCHITECTURE.md draws.

use crate::workspace::{DependencyKind, Package};

enum May {
    See(&'static [&'static str]),
    SeeAllBut(&'static [&'static str]),
}

const SUITES: &str = "hearth-tests";
const BENCH: &str = "hearth-bench";
const FUNCTION: &str = "hearth-fn-";

/// What a crate may see of the workspace; `None` for a crate that has no place yet.
///
/// `aws-emulator` is in no list: it is for the tests and the benchmarks alone.
fn may(name: &str) -> Option<May> {
    Some(May::See(match name {
        "hearth-domain" | "hearth-schema" | "hearth-telemetry" | "aws-emulator" | "lambda-emulator"
        | "xtask" => &[],
        "hearth-wire" => &["hearth-domain"],
        "hearth-auth" | "hearth-store" => &["hearth-domain", "hearth-wire"],
        // It signs the node link's tokens.
        "hearth-providers" => &["hearth-domain", "hearth-schema", "hearth-wire", "hearth-auth"],
        "hearth-gateway" => {
            &["hearth-domain", "hearth-wire", "hearth-auth", "hearth-store", "hearth-providers"]
        }
        "hearth-http" => &[
            "hearth-domain",
            "hearth-wire",
            "hearth-auth",
            "hearth-store",
            "hearth-providers",
            "hearth-gateway",
            "hearth-telemetry",
        ],
        "hearth-node" => {
            &["hearth-domain", "hearth-schema", "hearth-wire", "hearth-auth", "hearth-telemetry"]
        }
        // What is stored and who is called is the gateway's business; no function sees another.
        name if name.starts_with(FUNCTION) => &[
            "hearth-domain",
            "hearth-wire",
            "hearth-auth",
            "hearth-gateway",
            "hearth-http",
            "hearth-telemetry",
        ],
        "hearth" => {
            return Some(May::SeeAllBut(&[SUITES, BENCH, "aws-emulator", "lambda-emulator", "xtask"]));
        }
        SUITES => return Some(May::SeeAllBut(&[BENCH])),
        BENCH => return Some(May::SeeAllBut(&[SUITES])),
        _ => return None,
    }))
}

pub(super) fn check(crates: &[Package]) -> Vec<String> {
    let ours = |name: &str| crates.iter().any(|other| other.name == name);
    let mut problems = Vec::new();
    for each in crates {
        let Some(may) = may(&each.name) else {
            problems.push(format!(
                "crate {}: has no place in xtask/src/tidy/arrows.rs; say there what it may depend on",
                each.name
            ));
            continue;
        };
        for (seen, kind) in each.dependencies.iter().filter(|(seen, _)| ours(seen)) {
            let allowed = match may {
                May::See(names) => names.contains(&seen.as_str()),
                May::SeeAllBut(names) => !names.contains(&seen.as_str()),
            };
            if !allowed {
                problems.push(format!("crate {}: must not depend on {seen}{}", each.name, suffix(*kind)));
            }
        }
    }
    problems
}

fn suffix(kind: DependencyKind) -> &'static str {
    match kind {
        DependencyKind::Development => ", not in its tests either (they belong in tests/)",
        DependencyKind::Build => ", not in its build script either",
        DependencyKind::Normal => "",
    }
}
