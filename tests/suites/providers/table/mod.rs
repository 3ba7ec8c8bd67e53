//! Table of every client's dialect over every vendor's, feature by feature: in one piece, collected from a stream,
//! and streamed.
//!
//! A request is written in the client's dialect, and read in the vendor's; the response the other way. The result
//! must equal the input: [`neutral`] has both without a dialect, [`clients`] and [`vendors`] write and read them by
//! the makers' documentation, [`features`] are the rows. Cells that are impossible are among the [`holes`], with the
//! expected behaviour.

mod breaking;
mod citations;
mod clients;
mod features;
mod gemini_parts;
mod holes;
mod hosted;
mod neutral;
mod order;
mod responses_history;
mod signatures;
mod unrequested_reasoning;
mod vendors;

use hearth_tests::{Home, Setup, Upstream};
use serde_json::{Value, json};

use clients::Client;
use features::Feature;
use holes::{Hole, Instead};
use neutral::{Answer, Request, Turn};
use vendors::Vendor;

/// Starts a `hearth up` with these vendors, all of them at one address, and without a node.
async fn home(vendors: &[Vendor], upstream: &Upstream) -> Home {
    setup(vendors, upstream).without_node().start().await
}

fn setup(vendors: &[Vendor], upstream: &Upstream) -> Setup {
    let provider = |Vendor { name, settings, path, .. }: &Vendor| {
        let address = format!("{}{path}", upstream.url);
        format!(
            "[providers.{name}]\n{settings}\nbase_url = '{address}'\napi_key = 'sk-{name}'\nbetween_bytes_seconds = 1\n"
        )
    };
    Setup::new().settings(&vendors.iter().map(provider).collect::<String>())
}

/// Maximum tokens of a response that the gateway requests in one piece, and of one that it streams.
const SHORT: u32 = 1000;
const LONG: u32 = 5000;

/// Cell of the table, and its mode.
struct Cell<'a> {
    home: &'a Home,
    upstream: &'a Upstream,
    client: &'a Client,
    vendor: &'a Vendor,
    streamed: bool,
    /// True if the gateway requests the response in one piece, since the limit is small.
    whole: bool,
}

impl Cell<'_> {
    /// Sends a request, and returns the whole response.
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
        Ok((self.client.join_stream)(&events))
    }

    /// Returns the last request to the vendor.
    fn last_request(&self) -> Option<Request> {
        self.upstream.received().last().map(|received| (self.vendor.parse_request)(received))
    }

    /// Checks the feature, or in a hole its expected behaviour.
    async fn check(&self, feature: &Feature) -> Result<(), String> {
        let holes = holes::ALL.iter().filter(|hole| self.is_in(hole, feature));
        let (mut request, mut answer, mut refused) = (feature.request.clone(), feature.answer.clone(), false);
        let mut next = next_of(feature);
        for hole in holes {
            let before = (request.clone(), next.clone(), answer.clone(), refused);
            match hole.instead {
                Instead::Refused => refused = true,
                Instead::Omitted(less) => {
                    less(&mut request);
                    less(&mut next);
                }
                Instead::NotReported(less) => less(&mut answer),
            }
            assert_ne!(
                before,
                (request.clone(), next.clone(), answer.clone(), refused),
                "no hole: {}",
                hole.why
            );
        }
        // A client only hands it back.
        answer.seal.clear();
        let model = format!("{}:{}", self.vendor.name, self.vendor.model);
        let mut body = (self.client.request)(&feature.request, &model);
        (self.client.set_max_tokens)(&mut body, if self.whole { SHORT } else { LONG });
        if refused {
            return self.is_refused(&body).await;
        }
        let stream_answer = if self.whole { self.vendor.whole_answer } else { self.vendor.stream_answer };
        self.upstream.reply(stream_answer(&feature.answer).split(7));
        let response = self.ask(&body).await?;
        same("request to the vendor", self.last_request(), Some(request))?;
        // The gateway cuts at stop texts itself where a vendor has none, and then needs a stream.
        let cuts = feature.name == features::STOP && self.vendor.name == "responses";
        let streams = self.upstream.received().last().map(|received| (self.vendor.streams)(received));
        same("stream requested", streams, Some(!self.whole || cuts))?;
        same("response to the client", (self.client.parse_answer)(&response), answer)?;
        if feature.has_next {
            self.upstream.reply(stream_answer(&Answer { text: "A cat.".to_owned(), ..Answer::default() }));
            self.ask(&(self.client.next_request)(body, &response, "a cat")).await?;
            same("next request to the vendor", self.last_request(), Some(next))?;
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

/// Returns the next request: the response, and the result of its call.
fn next_of(feature: &Feature) -> Request {
    let Answer { thoughts, seal, text, calls, .. } = feature.answer.clone();
    let mut next = feature.request.clone();
    next.turns.push(Turn::Assistant { thoughts: vec![(thoughts, seal)], text, calls });
    next.turns.push(Turn::Results(vec![("c1".to_owned(), "a cat".to_owned())]));
    next
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}\n    {is:?}\n  and not\n    {should:?}")) }
}

/// Checks the cells of one vendor.
async fn every_client_over(vendor: &Vendor) {
    let upstream = Upstream::start().await;
    let home = home(std::slice::from_ref(vendor), &upstream).await;
    let mut problems = Vec::new();
    for feature in features::all() {
        for client in &clients::ALL {
            for (how, streamed, whole) in
                [("in one piece", false, true), ("collected", false, false), ("streamed", true, false)]
            {
                // The request to the vendor is the same, and slow without optimisation.
                if feature.name == features::LONG && !whole {
                    continue;
                }
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

/// The documentation has a row for each hole.
#[test]
fn the_documentation_lists_the_holes() {
    let page = include_str!("../../../../docs/dialects.md");
    let row = |hole: &Hole| {
        let instead = match hole.instead {
            Instead::Refused => "refused",
            Instead::Omitted(_) => "left out",
            Instead::NotReported(_) => "not reported",
        };
        format!("| {} | {} | {instead} | {} |", hole.feature, hole.who, hole.why)
    };
    let missing: Vec<String> = holes::ALL.iter().map(row).filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/dialects.md lacks\n{}", missing.join("\n"));
}
