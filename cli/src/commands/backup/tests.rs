use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
enum Line {
    Export(Export),
    Import(Import),
}

fn parse(line: &str) -> Result<Line, clap::Error> {
    Line::try_parse_from(line.split_whitespace())
}

#[test]
fn invalid_flags_are_refused() {
    for line in [
        "hearth export --secrets",
        "hearth export --table t",
        "hearth export --bucket b",
        "hearth export --table t --bucket b --data d",
        "hearth import",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn secrets_of_a_stack_need_their_names() {
    let names = |line: &str| {
        let Line::Export(export) = parse(line).unwrap() else { panic!("not an export") };
        export.stores.names(export.secrets)
    };
    assert!(names("hearth export --table t --bucket b --secrets --out f").is_err());
    assert_eq!(names("hearth export").unwrap(), None);
    let all = "hearth export --table t --bucket b --secrets --out f --secret s --provider-keys p";
    let expected = hearth_store::Names {
        table: "t".to_owned(),
        bucket: "b".to_owned(),
        secret: "s".to_owned(),
        provider_keys: "p".to_owned(),
        kms_key: String::new(),
    };
    assert_eq!(names(all).unwrap(), Some(expected));
}
