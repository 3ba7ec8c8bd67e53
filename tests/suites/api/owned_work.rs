//! Jobs, batches, webhooks, schemas and templates of a user: in the export, and after the erasure.

use std::io::Read as _;

use hearth_store::database::Durability;
use hearth_tests::{Answer, Client, Home, Setup, WebhookReceiver, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    erasure::{completed, erase, everything},
    people::{PASSWORD, member},
};

/// A word that only the user's data has.
const WORD: &str = "plantedword";
/// Settings with which a receiver of the test may be named.
const SETTINGS: &str = "[webhooks]\nprivate_addresses = true\n";

/// Ids of the things of a user.
struct Work {
    job: String,
    failed_job: String,
    batch: Value,
    message_batch: String,
    webhook: String,
    deleted_webhook: String,
}

async fn post(client: &Client, path: &str, body: &Value) -> Value {
    let answer = client.post(path, body).await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
    answer.json()
}

/// Waits until a thing of the user has an end; returns it.
async fn ended(client: &Client, path: &str) -> Value {
    eventually(&format!("the end of {path}"), async || {
        let thing = client.get(path).await.json();
        let end =
            thing["state"].as_str().or(thing["status"].as_str()).or(thing["processing_status"].as_str())?;
        ["completed", "failed", "ended"].contains(&end).then_some(thing.clone())
    })
    .await
}

async fn submit_job(client: &Client, prompt: &str, receiver: &WebhookReceiver) -> String {
    let input = json!({"input": {"prompt": prompt}, "parameters": {"max_tokens": 4}});
    let job =
        json!({"kind": "generate", "input": input, "webhook": {"url": receiver.url}, "max_attempts": 1});
    let request =
        client.request(Method::POST, "/v1/jobs").header("idempotency-key", prompt.len().to_string());
    let answer = client.send(request.json(&job)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Uploads the input of a batch; returns the file's id.
async fn upload(client: &Client, text: &str) -> Value {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{text}\r\n--x--\r\n"
    );
    let request = client.request(Method::POST, "/v1/files");
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(body);
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].clone()
}

/// Has the user make one thing of each kind, and waits for their ends and for the deliveries of these.
async fn make_work(home: &Home, client: &Client, receiver: &WebhookReceiver) -> Work {
    let webhook = json!({"events": ["*"], "url": receiver.url, "name": WORD});
    let [webhook, deleted] =
        [post(client, "/v1/webhooks", &webhook).await, post(client, "/v1/webhooks", &webhook).await];
    let id = |thing: &Value| thing["id"].as_str().unwrap().to_owned();
    post(client, &format!("/v1/webhooks/{}/test", id(&deleted)), &json!({})).await;
    eventually("the test event", async || {
        let log = client.get(&format!("/v1/webhooks/{}/deliveries", id(&deleted))).await.json();
        (log["deliveries"][0]["state"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(client.delete(&format!("/v1/webhooks/{}", id(&deleted))).await.status, 204);

    let job = submit_job(client, WORD, receiver).await;
    // Its input is an object of the bucket.
    let failed_job = submit_job(client, &WORD.repeat(20_000), receiver).await;
    let messages = json!([{"role": "user", "content": WORD}]);
    let body = json!({"model": home.model, "max_tokens": 4, "messages": messages});
    let line = json!({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body});
    let batch = json!({
        "input_file_id": upload(client, &line.to_string()).await, "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"note": WORD},
    });
    let batch = post(client, "/v1/batches", &batch).await;
    let requests = json!({"requests": [{"custom_id": "a", "params": body}]});
    let message_batch = id(&post(client, "/v1/messages/batches", &requests).await);
    let schema = json!({"type": "object", "title": "shared"});
    let schema = json!({"name": "receipt", "schema": schema, "visibility": "organisation"});
    post(client, "/v1/schemas", &schema).await;
    let template = json!({"messages": [{"role": "user", "content": WORD}]});
    post(client, "/v1/templates", &json!({"name": "letter", "template": template})).await;

    assert_eq!(ended(client, &format!("/v1/jobs/{job}")).await["state"], "completed");
    assert_eq!(ended(client, &format!("/v1/jobs/{failed_job}")).await["state"], "failed");
    let batch = ended(client, &format!("/v1/batches/{}", id(&batch))).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    ended(client, &format!("/v1/messages/batches/{message_batch}")).await;
    // Two ends of jobs for their own webhooks, and with those of the batches for the other one.
    let is_delivered = async || {
        let log = client.get(&format!("/v1/webhooks/{}/deliveries?limit=200", id(&webhook))).await.json();
        let log = log["deliveries"].as_array()?.clone();
        let has = |kind: &str| log.iter().any(|one| one["kind"] == kind && one["state"] == "delivered");
        let all = ["job.completed", "job.failed", "batch.completed"].into_iter().all(has);
        (all && receiver.received().len() >= 6).then_some(())
    };
    eventually("the deliveries", is_delivered).await;
    Work { job, failed_job, batch, message_batch, webhook: id(&webhook), deleted_webhook: id(&deleted) }
}

fn archive(answer: &Answer) -> impl FnMut(&str) -> Option<String> + use<> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.body.to_vec())).unwrap();
    move |name: &str| {
        let mut text = String::new();
        zip.by_name(name).ok()?.read_to_string(&mut text).unwrap();
        Some(text)
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The line with this value of a field.
#[track_caller]
fn line<'a>(lines: &'a [Value], field: &str, value: &str) -> &'a Value {
    let line = lines.iter().find(|line| line[field] == value);
    line.unwrap_or_else(|| panic!("no line has {field} {value}: {lines:#?}"))
}

fn check_export(answer: &Answer, work: &Work) {
    let mut file = archive(answer);
    assert_eq!(file("INCOMPLETE.txt"), None);
    let jobs = lines(&file("jobs.jsonl").unwrap());
    let job = line(&jobs, "id", &work.job);
    assert_eq!((&job["kind"], &job["input"]["input"]["prompt"]), (&json!("generate"), &json!(WORD)), "{job}");
    assert!(job["result"].is_object(), "{job}");
    let failed = line(&jobs, "id", &work.failed_job);
    assert_eq!(failed["input"]["input"]["prompt"].as_str().map(str::len), Some(20_000 * WORD.len()));
    assert!(failed["error"]["code"].is_string() && failed.get("result").is_none(), "{}", failed["error"]);
    let hidden = jobs.iter().filter(|job| job["kind"] == "delivery").count();
    assert_eq!(hidden, 0, "the gateway's own jobs are in the export");
    let of_batch = line(&jobs, "id", work.batch["job_id"].as_str().unwrap());
    assert_eq!(of_batch["input"], json!({"batch": work.batch["id"]}));
    assert!(!jobs.iter().any(|job| job.to_string().contains("\"caller\"")), "a job has its caller");

    let batches = lines(&file("batches.jsonl").unwrap());
    assert_eq!(batches.len(), 2);
    assert_eq!(*line(&batches, "id", work.batch["id"].as_str().unwrap()), work.batch);
    let files = lines(&file("files.jsonl").unwrap());
    let results = &line(&batches, "id", &work.message_batch)["output_file_id"];
    for id in [&work.batch["input_file_id"], &work.batch["output_file_id"], results] {
        let listed = line(&files, "id", id.as_str().unwrap());
        let text = file(listed["file"].as_str().unwrap()).unwrap();
        assert_eq!(lines(&text)[0]["custom_id"], "a", "{text}");
    }

    let webhooks: Value = serde_json::from_str(&file("webhooks.json").unwrap()).unwrap();
    assert_eq!((&webhooks[0]["id"], webhooks.as_array().unwrap().len()), (&json!(work.webhook), 1));
    let deliveries = file("deliveries.jsonl").unwrap();
    let deliveries = lines(&deliveries);
    let test = line(&deliveries, "webhook", &work.deleted_webhook);
    assert_eq!(
        (&test["kind"], &test["payload"]["type"]),
        (&json!("webhook.test"), &json!("webhook.test")),
        "{test}"
    );
    let own = deliveries.iter().filter(|one| one["subject"] == work.job).collect::<Vec<_>>();
    assert_eq!(own.len(), 2, "the end of the job was sent to its webhook, and to the other one: {own:?}");
    assert!(own.iter().all(|one| one["payload"]["data"]["id"] == work.job), "{own:?}");

    let definitions = lines(&file("definitions.jsonl").unwrap());
    assert_eq!(definitions.len(), 2, "{definitions:?}");
    assert_eq!(line(&definitions, "name", "receipt")["visibility"], "organisation");
    assert_eq!(line(&definitions, "name", "letter")["visibility"], "private");
    assert_eq!(file("access_keys.json").map(|text| text.contains("hash")), Some(false));
    assert_eq!(file("provider_keys.json").as_deref(), Some("[]"));
}

#[tokio::test]
async fn work_of_a_user_is_in_the_export_and_gone_after_the_erasure() {
    let (home, receiver) = (Setup::new().settings(SETTINGS).start().await, WebhookReceiver::start().await);
    let user = member(&home, "ada@example.org", "developer").await;
    let work = make_work(&home, &user.client, &receiver).await;
    let export = user.client.get("/v1/users/me/export").await;
    assert_eq!(export.status, 200, "{export:?}");
    check_export(&export, &work);

    let answer = erase(&user.client, &json!({"password": PASSWORD})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let report = completed(&home, answer.json()["id"].as_str().unwrap()).await;
    let deleted = &report["deleted"];
    // Two inputs and two results; Hearth deletes the input of a batch of messages with its end.
    assert_eq!(
        (&deleted["webhooks"], &deleted["files"], &deleted["definitions"]),
        (&json!(1), &json!(3), &json!(1)),
        "{report}"
    );
    let data = home.data();
    let _folder = home.stop().await;
    let store = hearth_store::home::open(&data, Durability::Os).unwrap();
    let left = everything(&store, &data).await;
    let of_user = |text: &&String| {
        let has_thing = ["JOB#", "JOBKEY#", "BATCH#", "HOOKS#", "HOOKLOG#", "HOOKQUEUE#", "FILE#", "CACHE#"]
            .iter()
            .any(|pk| text.contains(&format!("pk: \"{pk}")));
        // The entries of the audit log, the usage and the shared definition stay with the user's id, as do sums without content.
        let may_stay = [
            "AUD#",
            "USE#",
            "ERASURE#",
            "DEF#",
            "DEFS#",
            "FILESUM#",
            "SESSIONSUM#",
            "REQUESTSUM#",
            "BUDGET#",
        ]
        .iter()
        .any(|pk| text.contains(&format!("pk: \"{pk}")));
        text.contains(WORD) || has_thing || text.contains(&user.id) && !may_stay
    };
    let left: Vec<&String> = left.iter().filter(of_user).collect();
    assert!(left.is_empty(), "{left:#?}");
}
