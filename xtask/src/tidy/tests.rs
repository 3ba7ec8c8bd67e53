//! Each check on a tree that it must refuse, and all of them on this one.

use super::tree::Tree;
use super::*;
use crate::workspace::{DependencyKind, Package};

/// The problems, each of which must begin with the words given for it.
#[track_caller]
fn expect(problems: &[String], beginnings: &[&str]) {
    let fits = problems.len() == beginnings.len()
        && problems.iter().zip(beginnings).all(|(problem, beginning)| problem.starts_with(beginning));
    assert!(fits, "found {problems:#?}, expected {beginnings:#?}");
}

fn depends(name: &str, on: &[(&str, DependencyKind)]) -> Package {
    let dependencies = on.iter().map(|(seen, kind)| ((*seen).to_owned(), *kind)).collect();
    Package { name: name.to_owned(), dependencies }
}

#[test]
fn the_tree_is_tidy() {
    let workspace = Workspace::load().unwrap();
    let tree = Tree::load(&workspace.root).unwrap();
    let problems = of_the_tree(&workspace, &tree);
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn arrows_point_inwards() {
    use DependencyKind::{Build, Development, Normal};
    let crates = [
        depends("hearth-domain", &[("hearth-wire", Normal), ("serde", Normal)]),
        depends("hearth-wire", &[("hearth-domain", Normal)]),
        depends("hearth-auth", &[("hearth-domain", Normal), ("hearth-wire", Build)]),
        depends("hearth-store", &[("hearth-auth", Normal), ("aws-emulator", Development)]),
        depends("aws-emulator", &[]),
        depends("hearth-providers", &[("hearth-auth", Normal)]),
        depends("hearth-fn-generate", &[("hearth-fn-models", Normal), ("hearth-store", Build)]),
        depends("hearth-fn-models", &[]),
        depends(
            "hearth",
            &[("aws-emulator", Normal), ("hearth-store", Normal), ("hearth-tests", Development)],
        ),
        depends("hearth-tests", &[("hearth", Normal), ("hearth-store", Normal)]),
        depends("hearth-bench", &[("hearth-node", Normal), ("hearth-providers", Normal)]),
        depends("hearth-node", &[("hearth-bench", Development)]),
    ];
    expect(
        &arrows::check(&crates),
        &[
            "crate hearth-domain: must not depend on hearth-wire",
            "crate hearth-store: must not depend on hearth-auth",
            "crate hearth-store: must not depend on aws-emulator, not in its tests",
            "crate hearth-fn-generate: must not depend on hearth-fn-models",
            "crate hearth-fn-generate: must not depend on hearth-store, not in its build script",
            "crate hearth: must not depend on aws-emulator",
            "crate hearth: must not depend on hearth-tests",
            "crate hearth-node: must not depend on hearth-bench",
        ],
    );
}

#[test]
fn a_new_crate_needs_a_place() {
    expect(&arrows::check(&[depends("hearth-cache", &[])]), &["crate hearth-cache: has no place"]);
    expect(&arrows::check(&[depends("hearth-fn-images", &[])]), &[]);
}

#[test]
fn tests_do_not_count_as_length() {
    let text = "use a;\n\n#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\nfn g() {}\n";
    assert_eq!(length::lines_of_code(text), 3);
    assert_eq!(length::lines_of_code("#[cfg(test)]\nmod tests;\n#[cfg(test)]\nfn f() {}\n"), 4);
    assert_eq!(length::lines_of_code("mod a {\n    #[cfg(test)]\n    mod tests {\n    }\n}\n"), 2);
}

#[test]
fn long_files_are_found() {
    let (long, short) = ("x\n".repeat(401), "x\n".repeat(400));
    let tree = Tree::of([
        ("cli/src/long.rs", &long),
        ("cli/src/short.rs", &short),
        ("cli/src/long/tests.rs", &long),
        ("tests/suites/long.rs", &long),
        ("docs/long.md", &long),
    ]);
    expect(&length::check(&tree), &["cli/src/long.rs: 401 lines"]);
}

#[test]
fn codes_and_pages_match() {
    let codes = "table! {\n    ModelNotFound => \"model_not_found\", 404, \"no such model\";\n    Busy => \"busy\", 429;\n}";
    let tree = Tree::of([
        ("shared/wire/src/error/code.rs", codes),
        ("docs/errors/README.md", ""),
        ("docs/errors/busy.md", ""),
        ("docs/errors/gone.md", ""),
        ("docs/errors/notes.txt", ""),
    ]);
    expect(
        &error_pages::check(&tree),
        &[
            "docs/errors/model_not_found.md: not there",
            "docs/errors/gone.md: shared/wire/src/error/code.rs has no such code",
            "docs/errors/notes.txt: ",
        ],
    );
}

#[test]
fn a_table_without_codes_is_not_a_pass() {
    expect(&error_pages::check(&Tree::of([])), &["shared/wire/src/error/code.rs: not there"]);
    let tree = Tree::of([("shared/wire/src/error/code.rs", "enum Code {}")]);
    expect(&error_pages::check(&tree), &["shared/wire/src/error/code.rs: no line"]);
}

#[test]
fn an_event_is_named_for_its_route() {
    let names = [
        ("post", "/v1/chat/completions", "post_v1.chat.completions.json"),
        ("get", "/v1/requests/{id}/events", "get_v1.requests.id.events.json"),
        ("get", "/health", "get_health.json"),
        ("get", "/docs/{proxy+}", "get_docs.proxy.json"),
    ];
    for (method, path, name) in names {
        assert_eq!(events::event_name(method, path), name);
    }
}

#[test]
fn events_and_routes_match() {
    let description = r#"{"paths":{"/health":{"get":{},"parameters":[]},"/v1/models":{"get":{},"post":{}}}}"#;
    let tree = Tree::of([
        ("docs/openapi.json", description),
        ("events/README.md", ""),
        ("events/get_health.json", "{}"),
        ("events/post_v1.models.json", "{}"),
        ("events/delete_health.json", "{}"),
    ]);
    expect(
        &events::check(&tree),
        &["events/get_v1.models.json: not there", "events/delete_health.json: docs/openapi.json has no such"],
    );
    expect(&events::check(&Tree::of([])), &["docs/openapi.json: not there"]);
    expect(&events::check(&Tree::of([("docs/openapi.json", "{}")])), &["docs/openapi.json: not JSON"]);
}

#[test]
fn the_description_is_compared_to_the_letter() {
    let tree = Tree::of([("docs/openapi.json", "{}\n")]);
    expect(&description(&tree, "{}\n"), &[]);
    expect(&description(&tree, "{ }\n"), &["docs/openapi.json: differs"]);
    expect(&description(&Tree::of([]), "{}\n"), &["docs/openapi.json: differs"]);
}

#[test]
fn bags_are_found() {
    let tree = Tree::of([
        ("shared/a/src/utils.rs", ""),
        ("shared/a/src/common/mod.rs", ""),
        ("shared/a/src/window_manager.rs", ""),
        ("docs/misc.md", ""),
    ]);
    let found = ["shared/a/src/common/mod.rs: ", "shared/a/src/utils.rs: "];
    expect(&file_names::check(&tree), &found);
}

#[test]
fn paths_of_one_machine_are_found() {
    let leak = |folder: &str| format!("ok\nsee `/{folder}/me/file`\n");
    let tree = Tree::of([("a.md", &leak("root")), ("b.md", &leak("work")), ("c.toml", &leak("home"))]);
    expect(&environment_leaks::check(&tree), &["a.md:2: ", "b.md:2: ", "c.toml:2: "]);
}

#[test]
fn what_only_looks_like_a_path_passes() {
    let text =
        ["/root", "cd /root/ ", "https://example.com/home/me", "frame/work/x", "~/work/x", "$HOME/work/x"];
    expect(&environment_leaks::check(&Tree::of([("a.md", &text.join("\n"))])), &[]);
}

#[test]
fn metric_label_that_is_not_listed_is_found() {
    let text = |label: &str| {
        format!(
            "metrics::counter!(\"hearth_x_total\", \"provider\" => a, \"{label}\" => user()).increment(1);"
        )
    };
    let tree = Tree::of([("a.rs", &text("user")), ("b.rs", &text("code"))]);
    expect(&metric_labels::check(&tree), &["a.rs:"]);
}

#[test]
fn route_without_documentation_is_found() {
    let route = "let router = api::router(state)\n    .route_service(\"/files\", files);\n";
    let in_test = format!("#[cfg(test)]\nmod tests {{ {route} }}");
    let wildcard = ".route(\"/v1/models/{*path}\", get(read))\n.route(\"/v1/models/{*path}\", post(write))\n";
    let tree = Tree::of([
        ("cli/src/home/mod.rs", route),
        ("cli/src/home/node.rs", "router.merge(stores.routes())"),
        ("cli/src/home/stores.rs", &in_test),
        ("functions/models/src/lib.rs", wildcard),
        ("shared/embedded/src/router.rs", route),
    ]);
    expect(&unguarded_routes::check(&tree), &["cli/src/home/mod.rs:2: ", "cli/src/home/node.rs:1: "]);
}

#[test]
fn mirrors_are_found() {
    let cargo =
        "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"git+https://x\"\n";
    let npm = "{\n  \"resolved\": \"https://registry.npmjs.org/a\",\n  \"resolved\": \"https://mirror/b\"\n}";
    let tree = Tree::of([
        ("Cargo.lock", cargo),
        ("requirements.txt", "--index-url https://mirror\nopenai==1\n"),
        ("tests/package-lock.json", npm),
    ]);
    let found = ["Cargo.lock:2: ", "requirements.txt:1: ", "tests/package-lock.json:3: "];
    expect(&lock_files::check(&tree), &found);
}

#[test]
fn decisions_are_numbered_and_listed() {
    let tree = Tree::of([
        ("docs/decisions/0001-first.md", ""),
        ("docs/decisions/0003-third.md", ""),
        ("docs/decisions/README.md", "[first](0001-first.md)"),
        ("docs/decisions/draft.md", ""),
    ]);
    expect(
        &decisions::check(&tree),
        &[
            "docs/decisions/0003-third.md: the next number is 0002",
            "docs/decisions/0003-third.md: docs/decisions/README.md does not list it",
            "docs/decisions/draft.md: not named",
        ],
    );
    expect(&decisions::check(&Tree::of([])), &["docs/decisions/README.md: not there"]);
}
