//! Entries as comma-separated values (RFC 4180).

use hearth_wire::native::audit::AuditEntryBody;

/// Names of the columns.
pub(super) const HEADER: &str = "id,at,organisation,user,credential,action,operation,resources,result,status,code,address,\
                                 request_id,count,details,chain,number,previous,hash";

/// The row of an entry.
pub(super) fn row(entry: &AuditEntryBody) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let details: Vec<String> = entry.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields = [
        entry.id.clone(),
        entry.at.clone(),
        text(&entry.organisation),
        text(&entry.user),
        text(&entry.credential),
        entry.action.clone(),
        entry.operation.clone(),
        entry.resources.join(" "),
        entry.result.as_str().to_owned(),
        entry.status.map(|status| status.to_string()).unwrap_or_default(),
        text(&entry.code),
        text(&entry.address),
        text(&entry.request_id),
        entry.count.to_string(),
        details.join(" "),
        entry.chain.id.clone(),
        entry.chain.number.to_string(),
        entry.chain.previous.clone(),
        entry.chain.hash.clone(),
    ];
    fields.iter().map(|value| field(value)).collect::<Vec<_>>().join(",")
}

/// A field in quotes where it needs them. A spreadsheet takes a field that begins like a formula for one: an apostrophe
/// before it makes it a text.
fn field(value: &str) -> String {
    let value = match value.starts_with(['=', '+', '-', '@', '\t']) {
        true => format!("'{value}"),
        false => value.to_owned(),
    };
    match value.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_is_quoted_and_never_a_formula() {
        for (value, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("@cmd,x", "\"'@cmd,x\""),
        ] {
            assert_eq!(field(value), expected, "{value:?}");
        }
    }
}
