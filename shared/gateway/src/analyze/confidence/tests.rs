use hearth_domain::Logprob;
use serde_json::json;

use super::*;

fn tokens(pieces: &[(&str, f32)]) -> Vec<TokenLogprob> {
    let token = |(text, probability): &(&str, f32)| TokenLogprob {
        token: Logprob { bytes: text.as_bytes().to_vec(), logprob: probability.ln() },
        top: Vec::new(),
    };
    pieces.iter().map(token).collect()
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

#[test]
fn only_tokens_of_values_count_for_the_probability() {
    let pieces = [("{\"", 0.1), ("na", 0.1), ("me\":", 0.1), (" \"A", 0.5), ("da", 0.5), ("\"}", 0.5)];
    let text: String = pieces.iter().map(|(piece, _)| *piece).collect();
    assert!(close(log_probability(&text, &tokens(&pieces)).unwrap(), 0.5));
    let number = [("{\"n\":", 0.1), ("1", 0.8), ("2", 0.2), ("}", 0.01)];
    assert!(close(log_probability("{\"n\":12}", &tokens(&number)).unwrap(), 0.4));
    // Tokens of another text: all count.
    assert!(close(log_probability("{}", &tokens(&[("a", 0.9), ("bc", 0.4)])).unwrap(), 0.6));
    assert_eq!(log_probability("{}", &[]), None);
    assert!(close(log_probability("{}", &tokens(&[("{}", 0.25)])).unwrap(), 0.25));
}

#[test]
fn values_are_located_in_a_json_text() {
    let text = r#"{"a \" b": "c \"d\" \\", "e": [-1.5e3, true, null], "f": {}}"#;
    let values: Vec<&str> = value_spans(text).into_iter().map(|span| &text[span]).collect();
    assert_eq!(values, [r#""c \"d\" \\""#, "-1.5e3", "true", "null"]);
    for broken in ["\"", "\"a\\", "{\"a\": \"b", "é\"ü"] {
        value_spans(broken);
    }
}

#[test]
fn completeness_is_the_share_of_filled_fields() {
    let schema = json!({
        "properties": {
            "a": {}, "b": {}, "address": {"$ref": "#/$defs/address"},
            "items": {"items": {"properties": {"name": {}, "price": {}}}},
        },
        "$defs": {"address": {"properties": {"street": {}, "city": {}}}},
    });
    let full = json!({
        "a": 0, "b": false, "address": {"street": "x", "city": "y"}, "items": [{"name": "n", "price": 1}],
    });
    assert_eq!(completeness(&schema, &full), Some(1.0));
    // Of a, b, address, street, city, items: a, address and city.
    let part = json!({"a": "x", "b": " ", "address": {"street": null, "city": "y"}, "items": []});
    assert_eq!(completeness(&schema, &part), Some(0.5));
    assert_eq!(completeness(&schema, &json!({})), Some(0.0));
    assert_eq!(completeness(&json!({"type": "string"}), &json!("x")), None);
    let recursive = json!({"properties": {"child": {"$ref": "#"}}});
    assert_eq!(completeness(&recursive, &json!({"child": {"child": {}}})), Some(0.5));
}

#[test]
fn agreement_compares_values_at_the_same_place() {
    let first = json!({"a": "One  thing", "b": 2, "c": ["x", "y"]});
    assert_eq!(agreement(&first, &[]), None);
    assert_eq!(agreement(&first, &[json!({"a": "one thing", "b": 2.0, "c": ["x", "y"]})]), Some(1.0));
    assert_eq!(agreement(&first, &[json!({"a": "other", "b": 2, "c": ["x"]})]), Some(0.5));
    assert_eq!(agreement(&first, &[json!("text")]), Some(0.0));
    assert_eq!(agreement(&json!({}), &[json!({})]), Some(1.0));
    assert_eq!(agreement(&json!(1), &[json!(1), json!(2)]), Some(0.5));
}

#[test]
fn confidence_is_the_mean_of_the_parts_that_are_known() {
    let parts = Parts { validity: Some(1.0), completeness: Some(0.5), ..Parts::default() };
    let (confidence, body) = parts.combine(ValidationStatus::Passed);
    assert_eq!(
        (confidence, body.validity.unwrap().weight, body.completeness.unwrap().weight),
        (0.8, 0.6, 0.4)
    );
    assert_eq!((body.log_probability, body.agreement), (None, None));
    let all = Parts {
        log_probability: Some(0.9),
        validity: Some(1.0),
        completeness: Some(1.0),
        agreement: Some(0.5),
    };
    let (confidence, body) = all.combine(ValidationStatus::Passed);
    assert_eq!(confidence, 0.842);
    let weights = [body.log_probability, body.validity, body.completeness, body.agreement];
    assert!((weights.iter().flatten().map(|part| part.weight).sum::<f64>() - 1.0).abs() < 0.01);
    let failed =
        Parts { log_probability: Some(1.0), validity: Some(0.0), completeness: Some(1.0), agreement: None };
    assert_eq!(failed.combine(ValidationStatus::Failed).0, 0.3);
    assert_eq!(Parts::default().combine(ValidationStatus::Bypassed).0, 0.0);
}

#[test]
fn recursive_schema_is_followed_as_far_as_the_data_goes() {
    let properties: serde_json::Map<String, Value> =
        (0..100).map(|number| (format!("p{number}"), json!({"$ref": "#"}))).collect();
    let schema = json!({"type": "object", "properties": properties});
    assert_eq!(completeness(&schema, &json!({})), Some(0.0));
    let data = json!({"p0": {"p1": {"p2": {}}}});
    assert!(close(completeness(&schema, &data).unwrap(), 2.0 / 300.0));
}
