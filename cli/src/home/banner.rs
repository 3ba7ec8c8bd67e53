//! The banner and the progress of `hearth up`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::settings::Settings;

/// The progress until the gateway is ready, on standard error.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Creates the progress; it is hidden if `quiet` is set.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        Self(bar)
    }

    /// Shows a step.
    pub(crate) fn show(&self, step: &str) {
        self.0.set_message(format!("{step} ..."));
        self.0.tick();
    }

    pub(crate) fn percent(&self, percent: u64) {
        self.0.set_message(format!("loading the model ... {percent} %"));
    }

    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// The facts of the banner.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) url: String,
    /// The first token, only at the first start.
    pub(crate) token: Option<String>,
    /// The default model's id, if there is a node.
    pub(crate) model: Option<String>,
    /// The reason why the default model can't be loaded.
    pub(crate) failure: Option<String>,
    /// Backends that failed their self-test.
    pub(crate) failed_backends: Vec<String>,
    pub(crate) data: PathBuf,
}

impl Ready {
    /// The data folder, if commands of another terminal must name it to find this gateway.
    fn data_to_name(&self) -> Option<PathBuf> {
        let data = std::path::absolute(&self.data).unwrap_or_else(|_| self.data.clone());
        let default = Settings::default().data;
        (std::path::absolute(&default).ok().as_ref() != Some(&data)).then_some(data)
    }
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte);
    if text.bytes().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Logs the facts of the banner without the token.
pub(crate) fn log(ready: &Ready) {
    tracing::info!(url = ready.url, model = ready.model, "hearth is up");
    for failed in &ready.failed_backends {
        tracing::warn!(backend = failed, "a backend is not used");
    }
    if let Some(failure) = &ready.failure {
        tracing::error!(failure, "the default model can't be loaded");
    }
}

/// Prints the banner, or one line of JSON. If standard output is closed, Hearth serves all the same.
pub(crate) fn print(as_json: bool, ready: &Ready) {
    let text = match as_json {
        true => format!("{}\n", json!({"url": ready.url, "token": ready.token, "model": ready.model})),
        false => banner(ready),
    };
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!(%error, "the banner can't be printed");
    }
}

fn banner(ready: &Ready) -> String {
    let Ready { url, data, .. } = ready;
    let model = ready.model.as_deref().unwrap_or("(no node: name a provider's model)");
    let token = match &ready.token {
        Some(token) => format!("{token}\n             (shown only this once; store it)"),
        None => "the one shown at the first start; `hearth token create NAME` creates another".to_owned(),
    };
    let mut problems: String =
        ready.failed_backends.iter().map(|failed| format!("\n  {failed}; it is not used\n")).collect();
    if let Some(failure) = &ready.failure {
        problems.push_str(&format!("\n  The model can't be loaded: {failure}\n"));
    }
    let data = data.display();
    let examples = examples(ready);
    format!(
        "\nHearth is up.\n\n  address    {url}\n  model      {model}\n  data       {data}\n  API token  {token}\n{problems}{examples}"
    )
}

/// Commands that can be pasted.
fn examples(ready: &Ready) -> String {
    let url = &ready.url;
    let token = ready.token.as_deref().unwrap_or("hth_...");
    let program = std::env::current_exe().map_or_else(|_| "hearth".to_owned(), |path| quoted(&path));
    let hearth = match ready.data_to_name() {
        Some(data) => format!("HEARTH_DATA={} {program}", quoted(&data)),
        None => program,
    };
    let larger = match ready.model.as_deref() {
        Some(super::model::TINY_ID) => format!(
            "tiny-chat is one megabyte, to see that everything works. A model to work with:\n\n  \
             {hearth} models pull Qwen/Qwen3-0.6B-GGUF\n\n"
        ),
        _ => String::new(),
    };
    format!(
        r#"
Try it, in another terminal:

  {hearth} chat

{larger}Other programs need the address and the token; for curl and the OpenAI SDK (pip install openai):

  export HEARTH_URL={url} HEARTH_TOKEN={token}

  curl -N $HEARTH_URL/v1/chat/completions -H "authorization: Bearer $HEARTH_TOKEN" \
    -H 'content-type: application/json' \
    -d '{{"model": "auto", "stream": true, "messages": [{{"role": "user", "content": "Tell me a story."}}]}}'

  OPENAI_BASE_URL=$HEARTH_URL/v1 OPENAI_API_KEY=$HEARTH_TOKEN python3 -c 'import openai; print(
    openai.OpenAI().chat.completions.create(model="auto",
    messages=[{{"role": "user", "content": "Hello!"}}]).choices[0].message.content)'

The API's documentation is at {url}/docs. Ctrl-C stops everything.
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(data: PathBuf) -> Ready {
        Ready {
            url: "http://127.0.0.1:9".to_owned(),
            token: None,
            model: None,
            failure: None,
            failed_backends: Vec::new(),
            data,
        }
    }

    #[test]
    fn example_names_a_data_folder_that_is_not_the_default() {
        let line = |data: &str| {
            let text = examples(&ready(data.into()));
            text.lines().find(|line| line.ends_with(" chat")).unwrap().to_owned()
        };
        assert!(line("/srv/hearth").starts_with("  HEARTH_DATA=/srv/hearth /"));
        assert!(line("/srv/my data").starts_with("  HEARTH_DATA='/srv/my data' /"));
        let default = Settings::default().data;
        assert!(!line(default.to_str().unwrap()).contains("HEARTH_DATA"));
    }
}
