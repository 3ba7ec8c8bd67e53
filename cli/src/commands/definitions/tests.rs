use std::path::Path;

use clap::Parser;
use hearth_wire::native::definitions::{CompatibilityBody, DiffBody};
use serde_json::json;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    template: Template,
}

fn parses(line: &str) -> bool {
    Line::try_parse_from(line.split_whitespace()).is_ok()
}

#[test]
fn commands_take_the_flags_of_their_help() {
    for line in [
        "t list invoice --tag finance --tag eu --visibility public -f yaml",
        "t show invoice@production --content",
        "t create mine.json --name mine --visibility team --team team_01J9ZX5V2QH8N4T6W0C3M7K1RB",
        "t update mine - --change minor --expected 1.0.0 --message note",
        "t diff mine 1.0.0 2.0.0",
        "t check mine mine.json",
        "t label mine production 1.0.0 --expected none",
        "t label mine production --remove",
        "t delete a b --yes",
        "t render invoice --var text=hello --vars vars.json",
    ] {
        assert!(parses(line), "{line}");
    }
    for line in
        ["t label mine production", "t update mine f --change minor --as-version 1.0.0", "t render x --var y"]
    {
        assert!(!parses(line), "{line}");
    }
}

#[test]
fn name_follows_from_the_file() {
    let name = |path: &str| input::name_of(None, Path::new(path));
    assert_eq!(name("folder/Receipt.json").unwrap(), "receipt");
    assert_eq!(name("receipt.schema.json").unwrap(), "receipt");
    assert!(name("-").is_err() && name("a b.json").is_err());
    assert_eq!(input::name_of(Some("x".to_owned()), Path::new("-")).unwrap(), "x");
}

#[test]
fn differences_are_shown_by_place_with_the_comparison() {
    let compatibility = json!({
        "compatible": false, "change": "major", "warnings": [],
        "breaking": [{"path": "/required", "problem": "\"tax\" is required now"}],
    });
    let diff: DiffBody = serde_json::from_value(json!({
        "from": "1.0.0", "to": "2.0.0", "truncated": false, "compatibility": compatibility,
        "differences": [
            {"path": "/required/1", "kind": "added", "to": "tax"},
            {"path": "/title", "kind": "changed", "from": "a", "to": "b"},
        ],
    }))
    .unwrap();
    let text = output::diff(&diff);
    for part in ["1.0.0 -> 2.0.0", "+ /required/1: \"tax\"", "~ /title: \"a\" -> \"b\"", "breaking /required"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let equal: CompatibilityBody =
        serde_json::from_value(json!({"compatible": true, "change": null, "breaking": [], "warnings": []}))
            .unwrap();
    assert_eq!(output::compatibility(&equal), "equal");
}
