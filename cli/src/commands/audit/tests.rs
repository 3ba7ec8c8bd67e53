use std::collections::BTreeMap;

use axum::{Json, Router, extract::Query, routing::get};
use clap::Parser;
use hearth_domain::AuditResult;
use hearth_wire::native::audit::{
    AuditBreakBody, AuditEntryBody, AuditList, AuditPlaceBody, AuditVerification,
};
use serde_json::json;

use super::{csv, entries::table, verify::report, *};
use crate::client::testing::{context, serve};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    audit: Audit,
}

fn parse(line: &str) -> Result<Audit, clap::Error> {
    Line::try_parse_from(line.split_whitespace()).map(|line| line.audit)
}

fn entry() -> AuditEntryBody {
    AuditEntryBody {
        id: "aud_1".to_owned(),
        at: "2026-01-31T09:30:00.000Z".to_owned(),
        organisation: Some("org_1".to_owned()),
        user: Some("usr_1".to_owned()),
        credential: Some("tok_1".to_owned()),
        action: "manage_tokens".to_owned(),
        operation: "create_token".to_owned(),
        resources: vec!["tok_2".to_owned()],
        result: AuditResult::Done,
        status: Some(201),
        code: None,
        address: Some("203.0.113.7".to_owned()),
        request_id: Some("req_1".to_owned()),
        count: 1,
        details: BTreeMap::from([("role".to_owned(), "admin".to_owned())]),
        chain: AuditPlaceBody {
            id: "chain_1".to_owned(),
            number: 1,
            previous: "aa".to_owned(),
            hash: "bb".to_owned(),
        },
    }
}

#[test]
fn row_has_a_field_for_each_column() {
    let row = csv::row(&entry());
    assert_eq!(row.split(',').count(), csv::HEADER.split(',').count());
    assert!(row.starts_with(
        "aud_1,2026-01-31T09:30:00.000Z,org_1,usr_1,tok_1,manage_tokens,create_token,tok_2,done,201,,"
    ));
}

#[test]
fn table_has_the_code_of_a_refusal() {
    let refused = AuditEntryBody {
        result: AuditResult::Refused,
        code: Some("forbidden".to_owned()),
        count: 7,
        ..entry()
    };
    let table = table(&[refused]).to_string();
    assert!(table.contains("refused: forbidden") && table.trim_end().ends_with('7'), "{table}");
}

#[test]
fn unknown_result_or_format_is_refused() {
    for line in ["x list --result maybe", "x export --format xml", "x verify now", "x"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

fn verification(first_break: Option<AuditBreakBody>, next_from: Option<&str>) -> AuditVerification {
    AuditVerification {
        organisation: "org_1".to_owned(),
        intact: first_break.is_none(),
        first_break,
        records: 10,
        chains: 2,
        seals: 3,
        unsealed: 1,
        last_seal: Some("3:abc".to_owned()),
        next_from: next_from.map(str::to_owned),
    }
}

#[test]
fn report_names_the_first_break() {
    assert_eq!(
        report(&verification(None, None)),
        "the log of org_1 is intact: 10 records in 2 chains, 3 seals, 1 records not sealed yet\nlast seal: 3:abc\n"
    );
    let first_break = AuditBreakBody {
        kind: "removed".to_owned(),
        message: "the records from 2 to 3 of the chain are missing".to_owned(),
        day: Some("2026-01-31".to_owned()),
        chain: Some("chain_1".to_owned()),
        number: Some(4),
        id: None,
    };
    let report = report(&verification(Some(first_break), None));
    assert!(report.contains("NOT intact") && report.contains("removed: the records from 2 to 3"), "{report}");
    assert!(report.contains("at: day 2026-01-31, chain_1, number 4"), "{report}");
}

#[tokio::test]
async fn list_and_export_read_every_page() {
    let list = async |Query(query): Query<BTreeMap<String, String>>| {
        assert_eq!(query.get("result").map(String::as_str), Some("done"));
        let next_cursor = (!query.contains_key("cursor")).then(|| "next".to_owned());
        Json(AuditList { entries: vec![entry()], next_cursor })
    };
    let url = serve(Router::new().route("/v1/audit", get(list))).await;
    for line in ["list --result done", "export --result done", "export --format csv --result done"] {
        parse(&format!("x {line} --url {url}")).unwrap().run(&context(&url)).await.unwrap();
    }
}

#[tokio::test]
async fn verification_continues_to_its_end_and_fails_at_a_break() {
    let verify =
        async |Query(query): Query<BTreeMap<String, String>>| match query.get("from").map(String::as_str) {
            None => Json(json!(verification(None, Some("2026-01-02")))),
            Some("2026-01-02") => Json(json!(verification(None, None))),
            Some(day) => {
                let message = "a record is missing".to_owned();
                let kind = "removed".to_owned();
                let first_break = AuditBreakBody {
                    kind,
                    message,
                    day: Some(day.to_owned()),
                    chain: None,
                    number: None,
                    id: None,
                };
                Json(json!(verification(Some(first_break), None)))
            }
        };
    let url = serve(Router::new().route("/v1/audit/verify", get(verify))).await;
    parse(&format!("x verify --url {url}")).unwrap().run(&context(&url)).await.unwrap();
    parse(&format!("x verify --from 2026-02-01 --url {url}")).unwrap().run(&context(&url)).await.unwrap_err();
}
