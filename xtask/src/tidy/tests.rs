//! Tests of each check on a tree with problems, and of all checks on this one.

use super::tree::Tree;
use super::*;
use crate::workspace::{DependencyKind, Package};

/// Asserts that there is a problem for each of `beginnings`, in the same order.
#[track_caller]
fn expect(problems: &[String], beginnings: &[&str]) {
    let fits = problems.len() == beginnings.len()
        && problems.iter().zip(beginnings).all(|(problem, beginning)| problem.starts_with(beginning));
    assert!(fits, "problems: {problems:#?}, expected: {beginnings:#?}");
}

fn depends(name: &str, on: &[(&str, DependencyKind)]) -> Package {
    let dependencies = on.iter().map(|(seen, kind)| ((*seen).to_owned(), *kind)).collect();
    Package { name: name.to_owned(), dependencies }
}

#[test]
fn this_tree_has_no_problem() {
    let workspace = Workspace::load().unwrap();
    let tree = Tree::load(&workspace.root).unwrap();
    let problems = check_tree(&workspace, &tree);
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn forbidden_dependency_is_a_problem() {
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
        &dependency_rules::check(&crates),
        &[
            "crate hearth-domain: must not depend on hearth-wire",
            "crate hearth-auth: must not depend on hearth-wire, not in its build script",
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
fn crate_without_a_rule_is_a_problem() {
    expect(&dependency_rules::check(&[depends("hearth-cache", &[])]), &["crate hearth-cache: has no rule"]);
    expect(&dependency_rules::check(&[depends("hearth-fn-images", &[])]), &[]);
}

#[test]
fn length_excludes_tests() {
    let text = "use a;\n\n#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\nfn g() {}\n";
    assert_eq!(length::lines_of_code(text), 3);
    assert_eq!(length::lines_of_code("#[cfg(test)]\nmod tests;\n#[cfg(test)]\nfn f() {}\n"), 4);
    assert_eq!(length::lines_of_code("mod a {\n    #[cfg(test)]\n    mod tests {\n    }\n}\n"), 2);
}

#[test]
fn long_file_is_a_problem() {
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
fn code_without_a_page_and_page_without_a_code_are_problems() {
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
fn table_without_codes_is_a_problem() {
    expect(&error_pages::check(&Tree::of([])), &["shared/wire/src/error/code.rs: not there"]);
    let tree = Tree::of([("shared/wire/src/error/code.rs", "enum Code {}")]);
    expect(&error_pages::check(&tree), &["shared/wire/src/error/code.rs: no line"]);
}

#[test]
fn event_has_the_name_of_its_route() {
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
fn route_without_an_event_and_event_without_a_route_are_problems() {
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
fn description_that_differs_is_a_problem() {
    let tree = Tree::of([("docs/openapi.json", "{}\n")]);
    expect(&check_description(&tree, "{}\n"), &[]);
    expect(&check_description(&tree, "{ }\n"), &["docs/openapi.json: differs"]);
    expect(&check_description(&Tree::of([]), "{}\n"), &["docs/openapi.json: differs"]);
}

#[test]
fn vague_file_name_is_a_problem() {
    let tree = Tree::of([
        ("shared/a/src/utils.rs", ""),
        ("shared/a/src/common/mod.rs", ""),
        ("shared/a/src/window_manager.rs", ""),
        ("docs/misc.md", ""),
    ]);
    expect(&file_names::check(&tree), &["shared/a/src/common/mod.rs: ", "shared/a/src/utils.rs: "]);
}

#[test]
fn unboxed_future_of_the_gateway_is_a_problem() {
    let gateway = "impl Gateway {\n    #[crate::boxed_future]\n    pub async fn a(&self) {}\n    pub async fn b(\n        &self,\n    ) {\n\
                   }\n    pub async fn c<T>(t: T) {}\n    pub async fn d(t: impl Send) {}\n    pub(crate) async fn e() {}\n}\n";
    let tree = Tree::of([("shared/gateway/src/a.rs", gateway), ("shared/store/src/a.rs", gateway)]);
    expect(&boxed_futures::check(&tree), &["shared/gateway/src/a.rs:4: "]);
}

#[test]
fn path_of_one_machine_is_a_problem() {
    let leak = |folder: &str| format!("ok\nsee `/{folder}/me/file`\n");
    let tree = Tree::of([("a.md", &leak("root")), ("b.md", &leak("work")), ("c.toml", &leak("home"))]);
    expect(&environment_leaks::check(&tree), &["a.md:2: ", "b.md:2: ", "c.toml:2: "]);
}

#[test]
fn text_similar_to_such_a_path_is_none() {
    let text =
        ["/root", "cd /root/ ", "https://example.com/home/me", "frame/work/x", "~/work/x", "$HOME/work/x"];
    expect(&environment_leaks::check(&Tree::of([("a.md", &text.join("\n"))])), &[]);
}

const METRIC_DESCRIPTIONS: &str = "shared/telemetry/src/metrics/descriptions.rs";

#[test]
fn unlisted_label_of_a_metric_is_a_problem() {
    let text = |label: &str| {
        format!(
            "metrics::counter!(\"hearth_x_total\", \"provider\" => a, \"{label}\" => user()).increment(1);"
        )
    };
    let page = "| `hearth_x_total` | counter | `code`, `provider`, `user` | |";
    let code = [
        ("shared/a.rs", &*text("user")),
        ("shared/b.rs", &text("code")),
        ("docs/metrics.md", page),
        (METRIC_DESCRIPTIONS, "(\"hearth_x_total\", \"All\")"),
    ];
    expect(&metrics::check(&Tree::of(code)), &["shared/a.rs:1: "]);
}

#[test]
fn metric_without_documentation_and_stale_documentation_are_problems() {
    let code = "counter!(\n    \"hearth_a_total\",\n    \"code\" => code,\n);\ngauge!(\"hearth_b\").set(1.0);\n\
                describe_gauge!(\"hearth_c\", \"\");";
    let page = "| metric | type | labels | meaning |\n| `hearth_a_total` | counter | | |\n| `hearth_d` | gauge | | |";
    let descriptions = "(\"hearth_a_total\", \"All\"), (\"hearth_e\", \"None\")";
    let tree = Tree::of([
        ("shared/a.rs", code),
        ("docs/metrics.md", page),
        (METRIC_DESCRIPTIONS, descriptions),
        ("infra/observability/rules.yml", "rate(hearth_d_count[5m]) / hearth_f_total{provider=\"a\"}"),
    ]);
    expect(
        &metrics::check(&tree),
        &[
            "docs/metrics.md: the row of hearth_a_total has other labels",
            "docs/metrics.md: no row for hearth_b",
            "docs/metrics.md: nothing records hearth_d",
            &format!("{METRIC_DESCRIPTIONS}: no description of hearth_b"),
            &format!("{METRIC_DESCRIPTIONS}: nothing records hearth_e"),
            "infra/observability/rules.yml: docs/metrics.md has no metric hearth_f_total",
        ],
    );
}

#[test]
fn vague_name_is_a_problem() {
    let items = [
        "fn told() {}",
        "pub(crate) async fn asked(a: u8) {}",
        "struct Known<T>(T);",
        "const MADE: u8 = 1;",
        "pub const fn found() {}",
        "fn known_routes() {}",
        "let said = told;",
        "type Kept = u8;",
    ];
    let text = &*items.join("\n");
    let tree = Tree::of([("a.rs", text), ("a.md", text)]);
    expect(
        &words::check(&tree),
        &["a.rs:1: told", "a.rs:2: asked", "a.rs:3: Known", "a.rs:4: MADE", "a.rs:5: found", "a.rs:8: Kept"],
    );
}

#[test]
fn doc_comment_that_begins_with_a_pronoun_is_a_problem() {
    let doc = |marker: &str, first: &str| format!("{marker} {first} is here.\n");
    let text = [
        doc("///", "What"),
        "fn a() {}\n".to_owned(),
        doc("    ///", "Returns"),
        doc("    ///", "Who"),
        "fn b() {}\n".to_owned(),
        doc("//!", "Whether"),
        doc("//", "Those"),
        doc("///", "However"),
    ]
    .concat();
    let tree = Tree::of([("a.rs", &text)]);
    expect(
        &words::check(&tree),
        &["a.rs:1: the comment begins with What", "a.rs:6: the comment begins with Whether"],
    );
}

#[test]
fn duration_without_its_kind_is_a_problem() {
    let text = "const PATIENCE: Duration = A;\npub(crate) const LIST: std::time::Duration = A;\n\
                const LIST_TIMEOUT: Duration = A;\nconst COUNT: u8 = 1;\nstatic WAITS: [Duration; 2] = B;";
    expect(&words::check(&Tree::of([("a.rs", text)])), &["a.rs:1: PATIENCE", "a.rs:2: LIST"]);
}

#[test]
fn crate_table_that_differs_from_the_rules_is_a_problem() {
    let row = |names: &str, allowed: &str| format!("| {names} | {allowed} |\n");
    let rows = [
        row(
            "`domain`, `files`, `schema`, `aws-emulator`, `fault-proxy`, `sam-template`, `tiny-flux`, `xtask`",
            "none",
        ),
        row("`lambda-emulator`", "`sam-template`"),
        row("`telemetry`", "`settings`"),
        row("`wire`, `settings`, `auth`", "`domain`"),
        row("`store`", "`domain`, `wire`"),
        row("`tests`", "all but `bench`"),
        row("`bench`", "`tests`"),
    ];
    let text = format!("## Crates and arrows\n\n| crate | sees |\n|---|---|\n{}\n## Next\n", rows.concat());
    let problems = dependency_rules::check_table(&Tree::of([("ARCHITECTURE.md", &text)]));
    let missing = [
        "cli",
        "diffusion",
        "functions/*",
        "gateway",
        "gpu-node",
        "http",
        "lambda",
        "memory",
        "providers",
        "server",
        "worker",
    ];
    let missing = missing.map(|name| format!("ARCHITECTURE.md: the table has no row for `{name}`"));
    let differing = ["ARCHITECTURE.md: the row of `store`", "ARCHITECTURE.md: the row of `bench`"];
    expect(&problems, &differing.into_iter().chain(missing.iter().map(String::as_str)).collect::<Vec<_>>());
}

#[test]
fn unused_dependency_is_a_problem() {
    let manifest = "[package]\nname = \"a\"\n[features]\nx = [\"dep:tower\"]\n[dependencies]\n# http\n\
                    async-trait.workspace = true\nhttp = { workspace = true }\n[dev-dependencies]\ntempfile.workspace = true\n";
    let table = "[workspace.dependencies]\nasync-trait = \"1\"\nhttp = \"1\"\ntempfile = \"3\"\ntower = \"1\"\n[profile.dev]\ndebug = 1";
    let tree = Tree::of([
        ("Cargo.toml", table),
        ("shared/a/Cargo.toml", manifest),
        ("shared/a/src/lib.rs", "use async_trait::async_trait;\n// my_http::x\n"),
        ("shared/a/inner/Cargo.toml", "[dependencies]\n"),
        ("shared/a/inner/src/lib.rs", "use tempfile::TempDir;\nuse http;\n"),
    ]);
    expect(
        &dependencies::check(&tree),
        &[
            "shared/a/Cargo.toml: no source of the crate names http in [dependencies]",
            "shared/a/Cargo.toml: no source of the crate names tempfile in [dev-dependencies]",
            "Cargo.toml: no crate depends on tower",
        ],
    );
}

#[test]
fn unlisted_suite_is_a_problem() {
    let list =
        "| `other` | tool |\n## Tests\n| suite | tests |\n| `api` | |\n| `old` | |\n## Commits\n| `x` | |\n";
    let tree = Tree::of([
        ("CONTRIBUTING.md", list),
        ("tests/suites/api/main.rs", ""),
        ("tests/suites/api/chat.rs", ""),
        ("tests/suites/cli.rs", ""),
    ]);
    expect(
        &suites::check(&tree),
        &[
            "CONTRIBUTING.md: no row for the suite tests/suites/cli",
            "CONTRIBUTING.md: there is no suite tests/suites/old",
        ],
    );
}

#[test]
fn route_without_documentation_is_a_problem() {
    let route = "let router = api::router(state)\n    .route_service(\"/files\", files);\n";
    let in_test = format!("#[cfg(test)]\nmod tests {{ {route} }}");
    let wildcard = ".route(\"/v1/models/{*path}\", get(read))\n.route(\"/v1/models/{*path}\", post(write))\n";
    let tree = Tree::of([
        ("cli/src/home/mod.rs", route),
        ("cli/src/home/node.rs", "router.merge(stores.routes())"),
        ("cli/src/home/stores.rs", &in_test),
        ("functions/models/src/lib.rs", wildcard),
        ("gpu-node/src/server/mod.rs", "router.route(CHALLENGE, challenge)"),
        ("gpu-node/src/server/routes.rs", route),
        ("shared/embedded/src/router.rs", route),
    ]);
    let problems =
        ["cli/src/home/mod.rs:2: ", "cli/src/home/node.rs:1: ", "gpu-node/src/server/routes.rs:2: "];
    expect(&unguarded_routes::check(&tree), &problems);
}

#[test]
fn mirror_in_a_lock_file_is_a_problem() {
    let cargo =
        "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"git+https://x\"\n";
    let npm = "{\n  \"resolved\": \"https://registry.npmjs.org/a\",\n  \"resolved\": \"https://mirror/b\"\n}";
    let tree = Tree::of([
        ("Cargo.lock", cargo),
        ("requirements.txt", "--index-url https://mirror\nopenai==1\n"),
        ("tests/package-lock.json", npm),
    ]);
    let problems = ["Cargo.lock:2: ", "requirements.txt:1: ", "tests/package-lock.json:3: "];
    expect(&lock_files::check(&tree), &problems);
}

#[test]
fn gap_in_the_numbers_of_decisions_is_a_problem() {
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

#[test]
fn missing_path_or_test_in_the_documentation_is_a_problem() {
    let security =
        "| claim | `it_is_held_here` in `tests/suites/a.rs`, `it_is_not_there` in `tests/suites/a.rs` |\n";
    let page = "`gateway/src/run.rs`, `gateway/src/old.rs`, `shared/gateway/`, `docs/old.md`, `models/x.json`, `a/b`\n";
    let tree = Tree::of([
        ("docs/security.md", security),
        ("README.md", page),
        ("docs/decisions/0001-a.md", page),
        ("shared/gateway/src/run.rs", ""),
        ("tests/suites/a.rs", "fn it_is_held_here() {}"),
    ]);
    expect(
        &doc_paths::check(&tree),
        &[
            "README.md:1: there is no gateway/src/old.rs",
            "README.md:1: there is no docs/old.md",
            "docs/security.md:1: tests/suites/a.rs has no test it_is_not_there",
        ],
    );
}
