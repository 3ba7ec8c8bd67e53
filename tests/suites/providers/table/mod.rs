//! Every client's dialect over every vendor's, feature by feature: in one piece, collected from a stream, and streamed.
//!
//! A request is written in the client's words, and read in the vendor's; the answer the other way. What is read
//! must be what was written: [`words`] has both in nobody's dialect, [`clients`] and [`vendors`] write and read
//! them by the makers' documentation, [`features`] are the rows. A cell that can't be is among the [`holes`], and
//! something else must happen in it.

mod breaking;
mod clients;
mod features;
mod holes;
mod hosted;
mod seals;
mod unasked;
mod vendors;
mod words;

use hearth_tests::{Home, Setup, Upstream};
use serde_json::{Value, json};

use clients::Client;
use features::Feature;
use holes::{Hole, Instead};
use vendors::Vendor;
use words::{Answer, Asked, Turn};

/// A `hearth up` that knows these vendors, all of them at one address.
async fn home(vendors: &[Vendor], upstream: &Upstream) -> Home {
    let provider = |Vendor { name, settings, path, .. }: &Vendor| {
        let address = format!("{}{path}", upstream.url);
        format!(
            "[providers.{name}]\n{settings}\nbase_url = '{address}'\napi_key = 'sk-{name}'\nbetween_bytes_seconds = 1\n"
        )
    };
    Setup::new().settings(&vendors.iter().map(provider).collect::<String>()).start().await
}

/// The limit of an answer that a vendor is asked for in one piece, in tokens, and of one that is streamed.
const SHORT: u32 = 1000;
const LONG: u32 = 5000;

/// A cell of the table, as it is asked.
struct Cell<'a> {
    home: &'a Home,
    upstream: &'a Upstream,
    client: &'a Client,
    vendor: &'a Vendor,
    streamed: bool,
    /// Whether the vendor is asked for an answer in one piece: the request has a small limit.
    whole: bool,
}

impl Cell<'_> {
    /// Sends a request, and gives the whole answer.
    async fn ask(&self, body: &Value) -> Result<Value, String> {
        let client = self.home.client();
        if !self.streamed {
            let answer = client.post(&self.client.path_of(body), body).await;
            return if answer.status == 200 { Ok(answer.json()) } else { Err(format!("{answer:?}")) };
        }
        let mut body = body.clone();
        body["stream"] = json!(true);
        if self.client.name == "chat" {
            body["stream_options"] = json!({"include_usage": true});
        }
        let request = client.request(reqwest::Method::POST, &self.client.path_of(&body)).json(&body);
        let events = client.events(request).await.rest().await;
        let events: Vec<Value> = events.into_iter().map(|event| event.data).collect();
        Ok((self.client.adds_up)(&events))
    }

    /// What the vendor was asked last.
    fn heard(&self) -> Option<Asked> {
        self.upstream.received().last().map(|received| (self.vendor.hears)(received))
    }

    /// Looks whether the feature is there, or, in a hole, what is instead.
    async fn check(&self, feature: &Feature) -> Result<(), String> {
        let holes = holes::ALL.iter().filter(|hole| self.is_in(hole, feature));
        let (mut asked, mut answer, mut refused) = (feature.asked.clone(), feature.answer.clone(), false);
        let mut next = next_of(feature);
        for hole in holes {
            let before = (asked.clone(), next.clone(), answer.clone(), refused);
            match hole.instead {
                Instead::Refused => refused = true,
                Instead::Unasked(less) => {
                    less(&mut asked);
                    less(&mut next);
                }
                Instead::Untold(less) => less(&mut answer),
            }
            assert_ne!(
                before,
                (asked.clone(), next.clone(), answer.clone(), refused),
                "no hole: {}",
                hole.why
            );
        }
        // A client only hands it back.
        answer.seal.clear();
        let model = format!("{}:{}", self.vendor.name, self.vendor.model);
        let mut body = (self.client.asks)(&feature.asked, &model);
        (self.client.limits)(&mut body, if self.whole { SHORT } else { LONG });
        if refused {
            return self.is_refused(&body).await;
        }
        let says = if self.whole { self.vendor.says_whole } else { self.vendor.says };
        self.upstream.reply(says(&feature.answer).split(7));
        let told = self.ask(&body).await?;
        same("the vendor was asked", self.heard(), Some(asked))?;
        // The gateway cuts at stop texts itself where a vendor has none, and then needs a stream.
        let cuts = feature.name == features::STOP && self.vendor.name == "responses";
        let streams = self.upstream.received().last().map(|received| (self.vendor.streams)(received));
        same("a stream was asked for", streams, Some(!self.whole || cuts))?;
        same("the client was told", (self.client.is_told)(&told), answer)?;
        if feature.goes_on {
            self.upstream.reply(says(&Answer { text: "A cat.".to_owned(), ..Answer::default() }));
            self.ask(&(self.client.goes_on)(body, &told, "a cat")).await?;
            same("the vendor was asked then", self.heard(), Some(next))?;
        }
        Ok(())
    }

    fn is_in(&self, hole: &Hole, feature: &Feature) -> bool {
        [feature.name, holes::ANY].contains(&hole.feature) && (hole.at)(self.client.name, self.vendor.name)
    }

    async fn is_refused(&self, body: &Value) -> Result<(), String> {
        let before = self.upstream.received().len();
        let answer = self.home.client().post(&self.client.path_of(body), body).await;
        let error = (self.client.error)(&answer.json());
        same("the status", answer.status.as_u16(), 400)?;
        same("the code", &error["code"], &json!("invalid_request"))?;
        if !error["param"].is_string() {
            return Err(format!("no field is named: {answer:?}"));
        }
        same("requests to the vendor", self.upstream.received().len(), before)
    }
}

/// The conversation once the answer is handed back with the result of its call.
fn next_of(feature: &Feature) -> Asked {
    let Answer { thoughts, seal, text, calls, .. } = feature.answer.clone();
    let mut next = feature.asked.clone();
    next.turns.push(Turn::Assistant { thoughts: vec![(thoughts, seal)], text, calls });
    next.turns.push(Turn::Results(vec![("c1".to_owned(), "a cat".to_owned())]));
    next
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}\n    {is:?}\n  and not\n    {should:?}")) }
}

/// Goes through the cells of one vendor.
async fn every_client_over(vendor: &Vendor) {
    let upstream = Upstream::start().await;
    let home = home(std::slice::from_ref(vendor), &upstream).await;
    let mut problems = Vec::new();
    for feature in features::all() {
        for client in &clients::ALL {
            for (how, streamed, whole) in
                [("in one piece", false, true), ("collected", false, false), ("streamed", true, false)]
            {
                let cell = Cell { home: &home, upstream: &upstream, client, vendor, streamed, whole };
                if let Err(problem) = cell.check(&feature).await {
                    problems.push(format!("{} of {}, {how}: {problem}", feature.name, client.name));
                }
            }
        }
    }
    home.stop().await;
    assert!(problems.is_empty(), "over {}:\n{}", vendor.name, problems.join("\n"));
}

#[tokio::test]
async fn every_client_over_chat_completions() {
    every_client_over(&vendors::chat::VENDOR).await;
}

#[tokio::test]
async fn every_client_over_responses() {
    every_client_over(&vendors::responses::VENDOR).await;
}

#[tokio::test]
async fn every_client_over_anthropic() {
    every_client_over(&vendors::anthropic::VENDOR).await;
}

#[tokio::test]
async fn every_client_over_gemini() {
    every_client_over(&vendors::gemini::VENDOR).await;
}

#[tokio::test]
async fn every_client_over_bedrock() {
    every_client_over(&vendors::bedrock::VENDOR).await;
}

/// Whoever reads the documentation sees every hole.
#[test]
fn the_documentation_lists_the_holes() {
    let page = include_str!("../../../../docs/dialects.md");
    let row = |hole: &Hole| {
        let instead = match hole.instead {
            Instead::Refused => "refused",
            Instead::Unasked(_) => "left out",
            Instead::Untold(_) => "not told",
        };
        format!("| {} | {} | {instead} | {} |", hole.feature, hole.who, hole.why)
    };
    let missing: Vec<String> = holes::ALL.iter().map(row).filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/dialects.md lacks\n{}", missing.join("\n"));
}
