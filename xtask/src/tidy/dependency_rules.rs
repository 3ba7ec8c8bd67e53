//! Dependencies that each crate of the workspace may have on the others, the same in ARCHITECTURE.md's table.

use std::collections::BTreeSet;

use super::tree::Tree;
use crate::workspace::{DependencyKind, Package};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// Heading of the section with the table.
const SECTION: &str = "## Crates and arrows";

/// Crates that a crate may depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

use Rule::{AllBut, Only};

/// The rule of each crate, by the names of ARCHITECTURE.md: a crate's folder, without `shared/`.
///
/// The stores of AWS in `aws-emulator` are for the tests and the benchmarks alone. No function sees another: what they
/// share is the gateway's.
const RULES: [(&str, Rule); 27] = [
    ("domain", Only(&[])),
    ("files", Only(&[])),
    ("memory", Only(&[])),
    ("schema", Only(&[])),
    ("aws-emulator", Only(&[])),
    ("fault-proxy", Only(&[])),
    ("sam-template", Only(&[])),
    ("tiny-flux", Only(&[])),
    ("xtask", Only(&[])),
    ("lambda-emulator", Only(&["sam-template"])),
    ("wire", Only(&["domain"])),
    ("settings", Only(&["domain"])),
    ("auth", Only(&["domain"])),
    ("telemetry", Only(&["settings"])),
    ("worker", Only(&["domain", "wire"])),
    ("diffusion", Only(&["domain", "wire", "telemetry", "worker", "tiny-flux"])),
    ("store", Only(&["domain", "files", "settings", "wire"])),
    ("providers", Only(&["domain", "schema", "settings", "telemetry", "wire", "auth"])),
    ("gateway", Only(&["domain", "schema", "settings", "telemetry", "wire", "auth", "store", "providers"])),
    ("http", Only(&["domain", "telemetry", "wire", "gateway"])),
    ("server", Only(&["settings", "memory", "gateway", "http"])),
    ("lambda", Only(&["domain", "settings", "store", "gateway", "http", "telemetry"])),
    ("gpu-node", Only(&["domain", "files", "schema", "settings", "wire", "auth", "telemetry", "worker"])),
    ("functions/*", Only(&["domain", "wire", "gateway", "http", "lambda", "telemetry"])),
    (
        "cli",
        AllBut(&[
            "lambda",
            "tests",
            "bench",
            "aws-emulator",
            "fault-proxy",
            "lambda-emulator",
            "sam-template",
            "tiny-flux",
            "xtask",
            "diffusion",
        ]),
    ),
    ("tests", AllBut(&["bench"])),
    ("bench", AllBut(&["tests"])),
];

/// Returns the name of a package in the rules. Functions share one.
fn crate_name(package: &str) -> &str {
    match package {
        "hearth" => "cli",
        "hearth-node" => "gpu-node",
        package if package.starts_with("hearth-fn-") => "functions/*",
        package => package.strip_prefix("hearth-").unwrap_or(package),
    }
}

fn rule_of(package: &str) -> Option<Rule> {
    let name = crate_name(package);
    RULES.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, rule)| *rule)
}

/// Finds dependencies that the rules forbid, and crates without a rule.
pub(super) fn check(crates: &[Package]) -> Vec<String> {
    let is_member = |name: &str| crates.iter().any(|other| other.name == name);
    let mut problems = Vec::new();
    for package in crates {
        let Some(rule) = rule_of(&package.name) else {
            problems.push(format!(
                "crate {}: has no rule in xtask/src/tidy/dependency_rules.rs; add the crates that it may depend on",
                package.name
            ));
            continue;
        };
        for (dependency, kind) in package.dependencies.iter().filter(|(name, _)| is_member(name)) {
            let name = crate_name(dependency);
            let allowed = match rule {
                Only(names) => names.contains(&name),
                AllBut(names) => !names.contains(&name),
            };
            if !allowed {
                problems.push(format!(
                    "crate {}: must not depend on {dependency}{}",
                    package.name,
                    suffix(*kind)
                ));
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

/// Compares ARCHITECTURE.md's table with the rules. A row has crates in its first cell; in its second one the crates that
/// they may depend on, or `all but` and the others.
pub(super) fn check_table(tree: &Tree) -> Vec<String> {
    let Some(section) =
        tree.text(ARCHITECTURE).and_then(|text| text.split_once(SECTION)).map(|(_, text)| text)
    else {
        return vec![format!("{ARCHITECTURE}: has no section {SECTION:?}")];
    };
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut missing: BTreeSet<&str> = RULES.iter().map(|(name, _)| *name).collect();
    let mut problems = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.trim_matches('|').split('|');
        let (names, allowed) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let is_all_but = allowed.contains("all but");
        let allowed: BTreeSet<&str> = code_spans(allowed).collect();
        for name in code_spans(names) {
            missing.remove(name);
            let matches = RULES.iter().any(|(crate_name, rule)| {
                let (all_but, crates) = match rule {
                    Only(crates) => (false, crates),
                    AllBut(crates) => (true, crates),
                };
                *crate_name == name && all_but == is_all_but && allowed == crates.iter().copied().collect()
            });
            if !matches {
                problems.push(format!(
                    "{ARCHITECTURE}: the row of `{name}` differs from xtask/src/tidy/dependency_rules.rs"
                ));
            }
        }
    }
    let missing =
        missing.into_iter().map(|name| format!("{ARCHITECTURE}: the table has no row for `{name}`"));
    problems.into_iter().chain(missing).collect()
}

/// The texts between backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
