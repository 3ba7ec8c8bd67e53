//! Many texts from a file of JSON Lines: sent in groups, with a progress bar. Each result is a line of JSON.

use std::{
    io::{IsTerminal as _, Read as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use hearth_wire::native::analyze::{
    AnalyzeBatchRequest, AnalyzeBatchResponse, AnalyzeBatchResult, AnalyzeBatchStatus, AnalyzeItem,
    AnalyzeRequest,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::{AnalysisFlags, OutputFormat, read_file};
use crate::client::{gateway_client::GatewayClient, interrupt, table::Table, terminal};

/// Texts of one request. A gateway takes 100, unless its operator has set less; small groups show the progress.
const GROUP_COUNT: usize = 20;
const TEMPLATE: &str = "{msg} {wide_bar} {pos}/{len} {eta}";

/// Sums of all results.
#[derive(Debug, Default)]
struct Sums {
    failed: usize,
    cached: usize,
    duplicates: usize,
    low_confidence: usize,
    tokens: u64,
}

/// Analyzes the texts of a file but for the first `skip`, and prints the results in their order. Those before an error are printed
/// too.
pub(super) async fn run(
    gateway: &GatewayClient,
    path: &Path,
    skip: usize,
    flags: &AnalysisFlags,
    json: bool,
) -> anyhow::Result<()> {
    let items: Vec<AnalyzeItem> = parse(&read(path)?)?.into_iter().skip(skip).collect();
    anyhow::ensure!(!items.is_empty(), "{} has no texts after the first {skip}", path.display());
    // The text is replaced by those of the items.
    let AnalyzeRequest { schema, schema_id, template_id, variables, options, .. } =
        flags.request("text".to_owned())?;
    let bar = progress_bar(items.len());
    let (total, mut sums, mut printed) = (items.len(), Sums::default(), 0);
    let mut failure = None;
    let mut table = Table::new(["ITEM", "STATUS", "CONFIDENCE", "RESULT"]);
    for group in items.chunks(GROUP_COUNT) {
        let request = AnalyzeBatchRequest {
            prompts: None,
            items: Some(group.to_vec()),
            schema: schema.clone(),
            schema_id: schema_id.clone(),
            template_id: template_id.clone(),
            variables: variables.clone(),
            options: options.clone(),
        };
        let sent = gateway.post::<AnalyzeBatchResponse>(&["v1", "analyze", "batch"], &request);
        let response = interrupt::or_interrupted(sent).await;
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        for result in response.results {
            let result = AnalyzeBatchResult {
                index: result.index + skip + printed,
                duplicate_of: result.duplicate_of.map(|index| index + skip + printed),
                ..result
            };
            sums.add(&result);
            match (flags.format, json) {
                (OutputFormat::Table, false) => table.push(row(&result)),
                _ => bar.suspend(|| terminal::print_json(&result))?,
            }
        }
        printed += group.len();
        bar.set_position(u64::try_from(printed).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    if flags.format == OutputFormat::Table && !json {
        terminal::print(&table.fitted(terminal::columns()))?;
    }
    if let Some(error) = failure {
        let done = skip + printed;
        return Err(error.context(format!(
            "{printed} of {total} texts were analyzed before this; `--skip {done}` goes on with the rest"
        )));
    }
    let Sums { failed, cached, duplicates, low_confidence, tokens } = sums;
    terminal::note(&format!(
        "{} of {total} analyzed, {cached} cached, {duplicates} repeated, {low_confidence} of low confidence, {tokens} tokens",
        total - failed
    ));
    anyhow::ensure!(
        failed == 0,
        "{failed} of {total} texts couldn't be analyzed; their lines have the errors"
    );
    Ok(())
}

impl Sums {
    fn add(&mut self, result: &AnalyzeBatchResult) {
        self.failed += usize::from(result.status == AnalyzeBatchStatus::Failed);
        self.duplicates += usize::from(result.duplicate_of.is_some());
        if let Some(analysis) = &result.analysis {
            self.cached += usize::from(analysis.cached);
            self.low_confidence += usize::from(analysis.low_confidence);
            if result.duplicate_of.is_none() {
                self.tokens += u64::from(analysis.usage.total_tokens);
            }
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    if path.as_os_str() != "-" {
        return read_file(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input can't be read as text")?;
    Ok(text)
}

/// The items of JSON Lines. An empty line is none.
fn parse(text: &str) -> anyhow::Result<Vec<AnalyzeItem>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let item = if line.trim_start().starts_with('"') {
                serde_json::from_str(line)
                    .map(|prompt| AnalyzeItem { prompt: Some(prompt), ..AnalyzeItem::default() })
            } else {
                serde_json::from_str(line)
            };
            item.with_context(|| {
                format!("line {number} is neither a JSON text nor an object such as {{\"prompt\": \"...\"}}")
            })
        })
        .collect()
}

fn progress_bar(count: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX)).with_message("analyzing");
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    // It is shown before the first group is complete.
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn row(result: &AnalyzeBatchResult) -> [String; 4] {
    let item = result.id.clone().unwrap_or_else(|| result.index.to_string());
    match (&result.analysis, &result.error) {
        (Some(analysis), _) => [
            item,
            analysis.validation_status.as_str().to_owned(),
            analysis.confidence.to_string(),
            analysis.data.to_string(),
        ],
        (None, error) => {
            let message = error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
            [item, "error".to_owned(), String::new(), message]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_objects() {
        let items = parse("\"one\\ntwo\"\n\n  {\"id\": \"a\", \"prompt\": \"three\"}\n").unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].prompt.as_deref(), Some("one\ntwo"));
        assert_eq!((items[1].id.as_deref(), items[1].prompt.as_deref()), (Some("a"), Some("three")));
        for (text, line) in [("plain", "line 1"), ("\"a\"\n\n{\"promt\": 1}", "line 3")] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }
}
