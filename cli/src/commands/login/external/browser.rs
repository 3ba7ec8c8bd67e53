//! Opens an address in the user's browser.

use std::process::{Command, Stdio};

use url::Url;

/// The program that opens an address.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Opens an address; false if there is no program for that.
pub(super) fn open(url: &Url) -> bool {
    // Without a shell, so that no character of the address has a meaning.
    let mut command = Command::new(OPENER);
    command.arg(url.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
