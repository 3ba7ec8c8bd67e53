//! Sources other than a repository of the hub.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use hearth_tests::{Setup, eventually};

use super::{
    REPO, download, download_until, file, files,
    hub::{Fault, Hub, TOKEN, VISION},
    id, job, job_in, start, usual,
};

const PRIVATE: &str = "private_addresses = true";

/// The files below a folder.
fn model_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| model_files(folder)));
    files
}

async fn downloaded(hub: &Hub, settings: &str, body: &Value) -> (Value, Option<Vec<u8>>) {
    let home = start(hub, settings).await;
    let job = download_until(&home.client(), body, "completed").await;
    let path = home.data().join("models").join(job["file"].as_str().unwrap());
    (job, std::fs::read(path).ok())
}

#[tokio::test]
async fn model_of_a_registry_is_its_blob() {
    let hub = Hub::start().await;
    let (job, bytes) = downloaded(&hub, "", &json!({"source": "ollama:tiny:q8"})).await;
    assert_eq!(bytes.unwrap(), hub.content());
    assert_eq!((&job["model"], &job["source"]), (&json!("tiny-q8"), &json!("ollama:tiny:q8")));
    assert_eq!(job["sha256"], hub.sha256());
    let host = hub.url.trim_start_matches("http://");
    let named = json!({"source": format!("oci://{host}/library/tiny:q8")});
    let (_, bytes) = downloaded(&hub, PRIVATE, &named).await;
    assert_eq!(bytes.unwrap(), hub.content());
}

#[tokio::test]
async fn address_is_downloaded_with_its_hash_and_shown_without_its_query() {
    let hub = Hub::start().await;
    let url = format!("{}/files/m.gguf?signature=secret", hub.url);
    let body = json!({"source": url, "sha256": hub.sha256().to_uppercase()});
    let (job, bytes) = downloaded(&hub, PRIVATE, &body).await;
    assert_eq!(bytes.unwrap(), hub.content());
    assert!(!job.to_string().contains("secret"), "{job}");
    let body = json!({"source": url, "file": "named.gguf"});
    assert_eq!(downloaded(&hub, PRIVATE, &body).await.0["model"], "named");
}

#[tokio::test]
async fn file_at_an_address_must_be_the_one_that_was_named() {
    for (fault, sha256, code) in
        [(None, Some("1".repeat(64)), "checksum_mismatch"), (Some(Fault::NotGguf), None, "invalid_source")]
    {
        let hub = match fault {
            Some(fault) => Hub::with(fault).await,
            None => Hub::start().await,
        };
        let home = start(&hub, PRIVATE).await;
        let mut body = json!({"source": format!("{}/m.gguf", hub.url)});
        if let Some(sha256) = sha256 {
            body["sha256"] = json!(sha256);
        }
        let job = download_until(&home.client(), &body, "failed").await;
        assert_eq!(job["error"]["code"], code, "{job}");
        assert_eq!(model_files(&home.data().join("models/127.0.0.1")), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn ended_download_has_the_id_of_the_list_and_no_credential_on_the_disk() {
    let hub = Hub::start().await;
    let home = start(&hub, PRIVATE).await;
    let client = home.client();
    let url = format!("{}/files/m.gguf?signature=secret", hub.url);
    let job = download_until(&client, &json!({"source": url, "file": "tiny-chat.gguf"}), "completed").await;
    let model = job["model"].as_str().unwrap();
    assert_ne!(model, "tiny-chat", "the id of the model in the binary");
    eventually("the model in the list", async || {
        let model = client.get(&format!("/v1/models/{model}")).await;
        (model.status == 200 && model.json()["runtime_status"]["state"] == "unloaded").then_some(())
    })
    .await;
    let journal = home.data().join(format!("models/.downloads/{}.json", id(&job)));
    assert!(!std::fs::read_to_string(journal).unwrap().contains("secret"));
}

#[tokio::test]
async fn file_of_the_same_name_and_size_is_not_taken_for_another() {
    let hub = Hub::start().await;
    let home = start(&hub, PRIVATE).await;
    let client = home.client();
    let source = |path: &str| json!({"source": format!("{}/{path}/m.gguf", hub.url)});
    let first = download_until(&client, &source("a"), "completed").await;
    let mut other = source("b");
    other["sha256"] = json!("1".repeat(64));
    let refused = download_until(&client, &other, "failed").await;
    assert_eq!(refused["error"]["code"], "checksum_mismatch", "{refused}");
    let second = download_until(&client, &source("b"), "completed").await;
    assert_ne!(first["file"], second["file"]);
    // A file that was changed on the disk isn't the one that the hub lists.
    let path = home.data().join("models").join(REPO);
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("tiny-Q8_0.gguf"), vec![7; hub.content().len()]).unwrap();
    download_until(&client, &usual(), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    // Another revision has files of its own.
    let revision = json!({"source": format!("hf:{REPO}/resolve/dev/tiny-Q8_0.gguf")});
    let job = download_until(&client, &revision, "completed").await;
    assert_eq!(job["file"], format!("{REPO}@dev/tiny-Q8_0.gguf"));
}

#[tokio::test]
async fn cancelled_job_of_another_source_leaves_the_file_of_the_first() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let first = download(&client, &usual()).await;
    eventually("an unfinished file", async || (!files(&home).is_empty()).then_some(())).await;
    let second = download(&client, &json!({"source": format!("{REPO}:Q8_0")})).await;
    eventually("the file of the second", async || {
        job(&client, id(&second)).await["file"].as_str().map(|_| ())
    })
    .await;
    client.delete(&format!("/v1/jobs/{}", id(&second))).await;
    hub.open();
    job_in(&client, id(&first), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    assert_eq!(hub.ranges().len(), 4);
}

#[tokio::test]
async fn file_of_the_node_is_copied_from_allowed_folders_only() {
    let hub = Hub::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    std::fs::write(&path, hub.content()).unwrap();
    let settings = format!("local_folders = ['{}']", folder.path().display());
    let (job, bytes) = downloaded(&hub, &settings, &json!({"source": path})).await;
    assert_eq!((bytes.unwrap().as_slice(), &job["model"]), (hub.content(), &json!("m")));

    let home = start(&hub, &settings).await;
    let outside = tempfile::tempdir().unwrap();
    let linked = folder.path().join("linked.gguf");
    std::fs::write(outside.path().join("m.gguf"), hub.content()).unwrap();
    std::os::unix::fs::symlink(outside.path().join("m.gguf"), &linked).unwrap();
    for bad in [outside.path().join("m.gguf"), linked, "/etc/passwd".into(), "/no/such.gguf".into()] {
        let job = download_until(&home.client(), &json!({"source": bad}), "failed").await;
        let message = job["error"]["message"].as_str().unwrap();
        assert!(message.contains("downloads.local_folders"), "{job}");
    }
}

#[tokio::test]
async fn registry_that_wants_a_token_of_its_service_gets_one() {
    let hub = Hub::start().await;
    let home = start(&hub, PRIVATE).await;
    let client = home.client();
    let host = hub.url.trim_start_matches("http://");
    let source = |name: &str| json!({"source": format!("oci://{host}/team/{name}:v1")});
    let public = download_until(&client, &source("public"), "completed").await;
    assert_eq!(public["sha256"], hub.sha256(), "{public}");
    // Without a credential the token service refuses a private one.
    let refused = download_until(&client, &source("private"), "failed").await;
    assert_eq!(refused["error"]["code"], "access_denied", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("`token`"), "{refused}");
    let mut private = source("private");
    private["token"] = json!(TOKEN);
    let job = download_until(&client, &private, "completed").await;
    let path = home.data().join("models").join(job["file"].as_str().unwrap());
    assert_eq!(std::fs::read(path).unwrap(), hub.content());
    assert!(!job.to_string().contains(TOKEN), "{job}");
}

#[tokio::test]
async fn object_of_a_listed_bucket_is_read_with_the_credentials_of_the_node() {
    let hub = Hub::start().await;
    let settings = format!(
        "s3_buckets = ['my-models']\ns3_endpoint = '{}'\ns3_access_key_id = 'AKID'\ns3_secret_access_key = 'very-secret'",
        hub.url
    );
    let home = start(&hub, &settings).await;
    let client = home.client();
    let job = download_until(&client, &json!({"source": "s3://my-models/q4/m.gguf"}), "completed").await;
    assert_eq!(
        (&job["source"], &job["file"]),
        (&json!("s3://my-models/q4/m.gguf"), &json!("s3/my-models/q4/m.gguf"))
    );
    let path = home.data().join("models/s3/my-models/q4/m.gguf");
    assert_eq!(std::fs::read(path).unwrap(), hub.content());
    let other = client.post("/v1/models/download", &json!({"source": "s3://other/m.gguf"})).await;
    let error = other.error(400, "invalid_request");
    assert!(error["message"].as_str().unwrap().contains("downloads.s3_buckets"), "{error}");
}

#[tokio::test]
async fn projector_of_a_repository_comes_with_its_model_and_goes_with_it() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let job = download_until(&client, &json!({"source": VISION}), "completed").await;
    let folder = home.data().join("models").join(VISION);
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["mmproj-tiny-F16.gguf", "tiny-Q8_0.gguf"]);
    assert_eq!(job["size_bytes"], 2 * hub.content().len());
    let model = job["model"].as_str().unwrap();
    eventually("the model in the list", async || {
        let listed = client.get(&format!("/v1/models/{model}")).await;
        (listed.status == 200 && listed.json()["runtime_status"]["state"] == "unloaded").then_some(())
    })
    .await;
    let removed = client.delete(&format!("/v1/models/{model}")).await;
    assert!(removed.status.is_success(), "{removed:?}");
    assert_eq!(names(), Vec::<String>::new());
}

#[tokio::test]
async fn download_that_is_tried_again_says_why() {
    let hub = Hub::with(Fault::Down).await;
    let settings = format!("[hub]\nurl = '{}'\n[downloads]\nattempts = 1000\n", hub.url);
    let home = Setup::new().settings(&settings).start().await;
    let client = home.client();
    let job = download(&client, &usual()).await;
    let reason = eventually("a reason", async || {
        super::job(&client, id(&job)).await["retry_reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.starts_with("attempt ") && reason.contains(" of 1000 at "), "{reason}");
    assert!(reason.contains("503"), "{reason}");
    client.delete(&format!("/v1/jobs/{}", id(&job))).await;
}
