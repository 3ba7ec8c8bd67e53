//! Checks packages by themselves: in a build of the workspace they have the features that other packages need of their
//! dependencies, and may use what they haven't enabled.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::Outcome;
use crate::shell;
use crate::workspace::Workspace;

/// The packages of the binary that `cargo xtask up` builds.
const HOME: [&str; 8] = ["tree", "--package", "hearth", "--edges", "normal", "--prefix", "none", "--quiet"];
/// Beginnings of names of packages that the functions and the tests need: clients of AWS, Lambda's runtime, and a DynamoDB and
/// an S3 in the process.
const FOREIGN: [&str; 6] = ["aws-sdk-", "aws-config", "aws_lambda_", "lambda_", "dynoxide", "s3s"];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    check_home(workspace)?;
    let start = ["--package", "hearth"];
    let command = ["--package", "hearth", "--no-default-features", "--features", "aws", "--all-targets"];
    for selection in [start.as_slice(), &command, &["--package", "hearth-fn-accounts"]] {
        shell::run(workspace.cargo(["check", "--quiet"]).args(selection))?;
    }
    Ok(Outcome::Passed)
}

/// # Errors
/// The binary `hearth` without the feature `aws` has a package that it doesn't use.
fn check_home(workspace: &Workspace) -> Result<()> {
    let tree = shell::output(&mut workspace.cargo(HOME))?;
    let foreign = foreign_packages(&String::from_utf8_lossy(&tree));
    ensure!(
        foreign.is_empty(),
        "`hearth` without the feature `aws` depends on {}: what `cargo xtask up` builds has clients of AWS or a store of the \
         tests in it. `cargo tree --package hearth --edges normal,features --invert {}` shows the way there; put it behind \
         the feature `aws`",
        foreign.join(", "),
        foreign.first().map_or("", String::as_str)
    );
    Ok(())
}

/// Names of the foreign packages in lines of `cargo tree`, such as `aws-sdk-s3 v1.2.3 (*)`.
fn foreign_packages(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let foreign = names.filter(|name| FOREIGN.iter().any(|start| name.starts_with(start)));
    foreign.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_aws_and_stores_of_tests_are_foreign() {
        let home =
            "hearth v0.1.0 (/somewhere/cli)\naws-sigv4 v1.3.5\naws-smithy-types v1.3.3\nrusty-s3 v0.11.0\n";
        assert_eq!(foreign_packages(home), Vec::<String>::new());
        let all =
            format!("{home}s3s v0.14.1\naws-sdk-s3 v1.9.0 (*)\naws-sdk-s3 v1.9.0\ndynoxide-rs v3.2.0\n");
        assert_eq!(foreign_packages(&all), ["aws-sdk-s3", "dynoxide-rs", "s3s"]);
    }
}
