//! The responses of API Gateway itself, in the template: errors of the table, with its status and whether to retry.

use std::fs;

use hearth_wire::ErrorCode;
use sam_template::Template;
use serde_json::Value;

#[test]
fn responses_of_api_gateway_are_errors_of_the_table() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/template.yaml")).unwrap();
    let template = Template::parse(&text).unwrap();
    let responses = template.properties("Api").unwrap()["GatewayResponses"].as_object().unwrap();
    assert!(responses.contains_key("DEFAULT_5XX"), "{responses:?}");
    for (kind, response) in responses {
        let body = response["ResponseTemplates"]["application/json"].as_str().unwrap();
        let body: Value =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{kind}: {error}: {body}"));
        let error = &body["error"];
        let code = ErrorCode::ALL.iter().find(|code| error["code"] == code.as_str());
        let code = code.unwrap_or_else(|| panic!("{kind}: {error}"));
        assert_eq!(
            (&error["type"], &error["retryable"]),
            (&code.kind().into(), &code.retryable().into()),
            "{kind}"
        );
        // Other errors of the client share a response, and keep their status.
        if kind != "DEFAULT_4XX" {
            assert_eq!(response["StatusCode"], code.status().to_string(), "{kind}");
        }
    }
    let default = &responses["DEFAULT_5XX"]["ResponseTemplates"]["application/json"];
    assert!(default.as_str().unwrap().contains(r#""retryable":true"#), "{default}");
}
