//! `cargo xtask openapi`: the API's description, generated from the routes.

use anyhow::{Context, Result};

use crate::permissions_page;
use crate::shell;
use crate::workspace::{BUILD_HEARTH, Workspace};

pub(crate) const PATH: &str = "docs/openapi.json";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let description = describe(workspace)?;
    let page = permissions_page::render(&description)?;
    for (path, text) in [(PATH, description), (permissions_page::PATH, page)] {
        std::fs::write(workspace.root.join(path), text).with_context(|| format!("cannot write {path}"))?;
        println!("wrote {path}");
    }
    Ok(())
}

/// Generates the description. Builds the binary first: an older one would describe an earlier commit.
pub(crate) fn describe(workspace: &Workspace) -> Result<String> {
    shell::run(&mut workspace.cargo(BUILD_HEARTH))?;
    let output = shell::output(workspace.command(workspace.binary("dev", "hearth")).arg("openapi"))?;
    let text = String::from_utf8(output).context("`hearth openapi` did not print text")?;
    Ok(format!("{}\n", text.trim_end()))
}
