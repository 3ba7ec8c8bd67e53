//! The setting `durability`: a write is synced before its answer, or left to the operating system.

use std::{fs, path::Path};

use hearth_tests::{Setup, skip};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

/// A library that is loaded before the others, and appends the name of each file that is synced to the file `SYNC_LOG`.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int logged(int file, long call) {
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    const char *path = getenv("SYNC_LOG");
    int log = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (log >= 0 && length > 0) {
        name[length] = '\n';
        if (write(log, name, length + 1) < 0) abort();
    }
    if (log >= 0) close(log);
    return syscall(call, file);
}

int fsync(int file) { return logged(file, SYS_fsync); }
int fdatasync(int file) { return logged(file, SYS_fdatasync); }
"#;
/// Writes that a client waits for, one after the other.
const WRITES: usize = 5;

/// Compiles the library; returns false where there is no compiler.
async fn compile(library: &Path) -> bool {
    let source = library.with_extension("c");
    fs::write(&source, LIBRARY).unwrap();
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-o"]).arg(library).arg(&source);
    let Ok(output) = command.output().await else { return false };
    assert!(output.status.success(), "{output:?}");
    true
}

#[tokio::test]
async fn acknowledged_write_is_synced_if_the_setting_says_so() {
    let folder = TempDir::new().unwrap();
    let library = folder.path().join("syncs.so");
    if !compile(&library).await {
        return skip("there is no program `cc`");
    }
    for (settings, syncs_commits) in
        [("durability = 'fsync'", true), ("durability = 'os'", false), ("# the default", false)]
    {
        let log = folder.path().join("syncs.log");
        fs::write(&log, "").unwrap();
        let variables = [format!("LD_PRELOAD={}", library.display()), format!("SYNC_LOG={}", log.display())];
        let under = ["env", &variables[0], &variables[1]];
        let home = Setup::new().without_node().settings(settings).under(&under).start().await;
        let syncs = || {
            let text = fs::read_to_string(&log).unwrap();
            // The first start writes secrets, which are always synced.
            assert!(!text.is_empty(), "the library wasn't loaded");
            text.lines().filter(|name| name.ends_with("/store.db-wal")).count()
        };
        let before = syncs();
        for number in 0..WRITES {
            let token = json!({"name": format!("token {number}")});
            assert_eq!(home.client().post("/v1/users/tokens", &token).await.status, 201);
        }
        let during = syncs() - before;
        match syncs_commits {
            true => assert!(during >= WRITES, "{settings}: {during} syncs"),
            false => assert_eq!(during, 0, "{settings}"),
        }
        home.stop().await;
    }
}
