//! Pictures by `hearth` alone: a session, a picture in it, a change, and the session's export.

use hearth_tests::{Home, hearth, run};

use crate::{MODEL, decoded, home};

/// Runs a client command, which must succeed, and returns its standard output.
async fn command(home: &Home, arguments: &[&str]) -> String {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token).current_dir(home.folder());
    let ended = run(command, "").await;
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    ended.stdout
}

#[tokio::test]
async fn picture_is_made_changed_and_exported_by_commands() {
    let home = home().await;
    let session = command(&home, &["sessions", "new"]).await;
    let session = session.trim();
    let common = [
        "generate",
        "--session",
        session,
        "--model",
        MODEL,
        "--size",
        "72x64",
        "--steps",
        "2",
        "--seed",
        "1",
    ];
    let make = |more: &[&'static str]| [&common[..], more].concat();
    command(&home, &make(&["--output", "fox.png", "a fox"])).await;
    command(
        &home,
        &make(&["--strength", "0.5", "--input", "fox.png", "--output", "rain.png", "in the rain"]),
    )
    .await;
    let read = |name: &str| std::fs::read(home.folder().join(name)).unwrap();
    let (fox, rain) = (decoded(&read("fox.png")), decoded(&read("rain.png")));
    assert_eq!((fox.dimensions(), rain.dimensions()), ((72, 64), (72, 64)));
    assert_ne!(fox, rain);
    let exported = command(&home, &["sessions", "export", session]).await;
    assert!(exported.contains("in the rain"), "{exported}");
    home.stop().await;
}
