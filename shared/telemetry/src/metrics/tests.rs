use super::*;

#[test]
fn metrics_have_help_type_and_the_conventions_buckets() {
    install();
    let labels = [("gen_ai_operation_name", "chat")];
    metrics::histogram!("gen_ai_server_time_per_output_token_seconds", &labels).record(0.06);
    metrics::histogram!("hearth_node_decode_tokens_per_second").record(40.0);
    let text = render();
    for line in [
        "# HELP hearth_records_lost_total Runs whose end couldn't be stored",
        "# TYPE hearth_records_lost_total counter",
        "hearth_records_lost_total 0",
        "# TYPE gen_ai_server_time_per_output_token_seconds histogram",
        "gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name=\"chat\",le=\"0.05\"} 0",
        "gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name=\"chat\",le=\"0.075\"} 1",
        "hearth_node_decode_tokens_per_second_bucket{le=\"50\"} 1",
    ] {
        assert!(text.lines().any(|present| present == line), "{line} is missing in\n{text}");
    }
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<f64>().unwrap()
    };
    assert!(value("hearth_uptime_seconds ") >= 0.0);
    assert!(value("process_start_time_seconds ") > 1.7e9);
    if std::path::Path::new("/proc/self/status").exists() {
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_open_fds ") > 2.0);
    }
}
