//! A batch in progress whose owner is erased.

use std::{fs, time::Duration};

use hearth_store::database::Durability;
use hearth_tests::{Person, eventually};
use reqwest::Method;
use serde_json::json;

use crate::{CHAT, create, questions, vendor::Vendor};

#[tokio::test]
async fn batch_of_an_erased_user_stops_and_leaves_nothing() {
    let vendor = Vendor::start(Duration::from_millis(50)).await;
    let home = vendor.home("[batches]\nconcurrency = 4").await;
    let (home, person) = home.restart_after(async |store| Person::with_organisation(store).await).await;
    let client = home.client().with_token(Some(&person.token));
    let path = create(&client, &questions("rig:big", 2000), CHAT, &json!({})).await;
    eventually("saved results", async || {
        let batch = client.get(&path).await.json();
        (batch["request_counts"]["completed"].as_u64()? > 0).then_some(())
    })
    .await;
    let erasure = home.client().request(Method::DELETE, &format!("/v1/users/{}", person.user));
    let erasure = home.client().send(erasure).await;
    assert_eq!(erasure.status, 202, "{erasure:?}");
    let report = format!("/v1/users/erasures/{}", erasure.json()["id"].as_str().unwrap());
    eventually("the end of the erasure", async || {
        let report = home.client().with_token(None).get(&report).await.json();
        (report["status"] == "completed").then_some(())
    })
    .await;
    assert!(vendor.count() < 1000, "{} requests were sent", vendor.count());

    let data = home.data();
    let _folder = home.stop().await;
    let store = hearth_store::home::open(&data, Durability::Os).unwrap();
    let (mut left, mut after) = (Vec::new(), None);
    loop {
        let page = store.database().scan(after.as_ref()).await.unwrap();
        left.extend(page.items.iter().map(|item| format!("{} {}", item.key.pk, item.key.sk)));
        match page.next {
            Some(next) => after = Some(next.key),
            None => break,
        }
    }
    let owned = format!("OWNED#{}", person.user);
    let prefixes = ["BATCH#", "JOB#", "JOBKEY#", "FILE#", "RUN#", &owned];
    left.retain(|key| prefixes.iter().any(|prefix| key.starts_with(prefix)));
    assert!(left.is_empty(), "{left:#?}");
    for folder in ["objects", "objects/lasting"] {
        let entries = fs::read_dir(data.join(folder)).into_iter().flatten();
        let files = entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file()));
        assert_eq!(files.count(), 0, "objects are left in {folder}");
    }
}
