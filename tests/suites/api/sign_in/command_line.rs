//! `hearth login` at an identity provider. The test is the browser.

use std::process::Stdio;

use hearth_tests::{Home, OpenIdProvider, hearth, within};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr},
};

use super::start;

/// A running `hearth login`.
struct Login {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Login {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = hearth(home.folder(), &["login", &home.url]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stderr }
    }

    /// The next line that has the text.
    async fn line_with(&mut self, text: &str) -> String {
        let line = async {
            while let Some(line) = self.stderr.next_line().await.unwrap() {
                if line.contains(text) {
                    return line.trim().to_owned();
                }
            }
            panic!("hearth login has ended without a line with {text:?}")
        };
        within("a line of hearth login", line).await
    }

    /// Its end: the status, the standard output, and the rest of the standard error.
    async fn end(mut self) -> (bool, String, String) {
        let mut stdout = String::new();
        let mut out = self.child.stdout.take().unwrap();
        within("the output of hearth login", out.read_to_string(&mut stdout)).await.unwrap();
        let mut stderr = String::new();
        while let Some(line) = self.stderr.next_line().await.unwrap() {
            stderr.push_str(&line);
            stderr.push('\n');
        }
        let status = within("the end of hearth login", self.child.wait()).await.unwrap();
        (status.success(), stdout, stderr)
    }
}

/// Opens an address as a browser does, and follows the provider back to the command.
async fn browse(address: &str) -> (u16, String) {
    // The second client of a process finds the provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = browser.get(address).send().await.unwrap();
    (page.status().as_u16(), page.text().await.unwrap())
}

async fn whoami(home: &Home) -> Value {
    let output = hearth(home.folder(), &["whoami", "--json", "--url", &home.url]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn code_flow_signs_in_and_later_commands_use_the_login() {
    let (home, _provider) = start(json!({})).await;
    let mut login = Login::start(&home, &["--no-browser"]);
    let address = login.line_with("http://").await;
    // Another page can't end the sign-in.
    let callback = address.split("redirect_uri=").nth(1).unwrap().split('&').next().unwrap();
    let callback = callback.replace("%3A", ":").replace("%2F", "/");
    let (status, page) = browse(&format!("{callback}?code=stolen&state=wrong")).await;
    assert!(status == 400 && page.contains("isn't a part of it"), "{page}");
    let (status, page) = browse(&address).await;
    assert!(status == 200 && page.contains("You have signed in"), "{page}");
    let (is_success, stdout, stderr) = login.end().await;
    assert!(is_success && stdout.contains("signed in to"), "{stdout} {stderr}");
    let user = whoami(&home).await;
    assert_eq!(user["name"], "Ada", "{user}");
    home.stop().await;
}

#[tokio::test]
async fn device_flow_signs_in_after_the_code_was_entered() {
    let (home, provider) = start(json!({})).await;
    let mut login = Login::start(&home, &["--device"]);
    let line = login.line_with("WDJB-MJHT").await;
    assert!(line.contains(&format!("{}/enter", provider.issuer)), "{line}");
    provider.approve_devices();
    let (is_success, stdout, stderr) = login.end().await;
    assert!(is_success && stdout.contains("signed in to"), "{stdout} {stderr}");
    assert_eq!(whoami(&home).await["name"], "Ada");
    home.stop().await;
}

#[tokio::test]
async fn id_token_of_another_sign_in_is_refused_by_the_gateway() {
    let (home, provider) = start(json!({})).await;
    for (changes, word) in [
        (json!({"nonce": "of-another-sign-in"}), "nonce"),
        (json!({"aud": "another-client"}), "audience"),
        (json!({"iss": "https://elsewhere.example"}), "another issuer"),
        (json!({"exp": 1_700_000_000}), "expired"),
    ] {
        provider.change_next(changes.clone());
        assert_refused(&home, &provider, word).await;
    }
    home.stop().await;
}

async fn assert_refused(home: &Home, _provider: &OpenIdProvider, word: &str) {
    let mut login = Login::start(home, &["--no-browser", "--provider", "test"]);
    let address = login.line_with("http://").await;
    browse(&address).await;
    let (is_success, stdout, stderr) = login.end().await;
    assert!(!is_success && stdout.is_empty() && stderr.contains(word), "{word}: {stdout} {stderr}");
}

#[tokio::test]
async fn unknown_provider_is_named() {
    let (home, _provider) = start(json!({})).await;
    let login = Login::start(&home, &["--provider", "other"]);
    let (is_success, _, stderr) = login.end().await;
    assert!(!is_success && stderr.contains("it has: test"), "{stderr}");
    home.stop().await;
}
