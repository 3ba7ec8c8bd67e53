use std::{
    io,
    sync::{Mutex, PoisonError},
};

use serde_json::Map;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Captured;

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `log` writes. One test calls it: the lines of several would mix.
fn lines(function: Option<FunctionName>, log: impl FnOnce()) -> Vec<Map<String, Value>> {
    LINES.lock().unwrap().clear();
    let layer = FunctionLines { function, output: || Captured };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    let text = String::from_utf8(LINES.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Checks a line against the specification's rules, and returns its metrics as `name[dimensions]`.
fn check_format(line: &Map<String, Value>) -> Vec<String> {
    const UNITS: [&str; 3] = ["None", "Milliseconds", "Count"];
    let metadata = line["_aws"].as_object().unwrap();
    assert!(metadata["Timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    let mut names = Vec::new();
    for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "Hearth");
        let sets = directive["Dimensions"].as_array().unwrap();
        for set in sets {
            let set: Vec<_> = set.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert!(set.len() <= 30);
            for name in &set {
                let value = line[*name].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()), "{name}");
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!(metrics.len() <= 100);
            for metric in metrics {
                let name = metric["Name"].as_str().unwrap();
                assert!(line[name].is_number(), "{name} is {}", line[name]);
                assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()));
                names.push(format!("{name}{set:?}"));
            }
        }
    }
    names
}

#[test]
fn lines_of_requests_and_runs_are_metrics_by_the_specification() {
    let function = FunctionName { function: "hearth-generate".to_owned(), version: "7".to_owned() };
    let log = || {
        tracing::info!(name: "request", route = "/v1/generate", status = 503_u16, server_error = 1_u8, latency_ms = 1.5,
            "request");
        tracing::info!(name: "request", status = 404_u16, server_error = 0_u8, latency_ms = 0.5, code = "not_found",
            "request");
        tracing::info!(name: "run", provider = "openai", failed = 0_u8, cached = 0_u8, first_token_ms = 12.5,
            input_tokens = 7_u32, output_tokens = 9_u32, cost_dollars = 0.25, "run");
        tracing::info!(name: "run", provider = None::<&str>, failed = 1_u8, cached = 0_u8,
            first_token_ms = None::<f64>, cost_dollars = f64::NAN, "run");
        tracing::warn!(status = 500, "another event");
    };
    let written = lines(Some(function), log);
    let server_error = |line: usize| &written[line]["server_error"];
    assert_eq!((server_error(0), server_error(1)), (&1.into(), &0.into()));
    let of_request = [
        r#"server_error["function"]"#,
        r#"latency_ms["function"]"#,
        r#"server_error["function", "version"]"#,
    ];
    assert_eq!(check_format(&written[0]), of_request);
    assert_eq!(check_format(&written[1]), of_request);
    let of_run = check_format(&written[2]);
    assert_eq!(of_run.len(), 8, "{of_run:?}");
    assert!(of_run.contains(&r#"first_token_ms["function", "provider"]"#.to_owned()), "{of_run:?}");
    // A run that failed before it had a provider, an answer or a cost.
    assert_eq!(check_format(&written[3]), [r#"failed["function"]"#, r#"cached["function"]"#]);
    assert!(!written[4].contains_key("_aws"));

    let plain = lines(None, log);
    assert_eq!(plain.len(), 5);
    assert!(plain.iter().all(|line| !line.contains_key("_aws") && !line.contains_key("function")));
}
