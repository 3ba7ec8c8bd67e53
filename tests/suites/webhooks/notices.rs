//! Messages to people: email, Slack, PagerDuty; their limits.

use hearth_domain::{MemberRole, UserId};
use hearth_store::users::UserRecord;
use hearth_tests::{Person, operators_organisation};
use serde_json::json;

use crate::{
    create, deliveries, ended, gateway_with, id, post,
    receiver::{MailServer, Receiver, Reply},
    send_test, until_state,
};

fn smtp(server: &MailServer, more: &str) -> String {
    format!(
        "[notifications]\n{more}[notifications.smtp]\nhost = \"127.0.0.1\"\nport = {}\nencryption = \"none\"\n\
         from = \"Hearth <hearth@mail.example>\"\n",
        server.port
    )
}

#[tokio::test]
async fn email_is_sent_and_a_repeated_one_left_out() {
    let mail = MailServer::start().await;
    let home = gateway_with(&smtp(&mail, "")).await;
    let client = home.client();
    let webhook =
        create(&client, json!({"events": ["run.failed"], "url": "ops@mail.example", "target": "email"}))
            .await;
    assert_eq!((&webhook["secret"], &webhook["url"]), (&json!(null), &json!("ops@mail.example")));
    let event = send_test(&client, &webhook).await;
    let message = mail.wait_for(1).await.remove(0);
    for part in
        ["To: ops@mail.example", "From: Hearth <hearth@mail.example>", "Subject: Hearth: a test", &event]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(ended(&client, &webhook, &event).await["state"], "delivered");
    // The same kind and subject a moment later.
    let again = send_test(&client, &webhook).await;
    let delivery = ended(&client, &webhook, &again).await;
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("suppressed"), &json!(0)), "{delivery}");
    assert_eq!(mail.messages().len(), 1);
    home.stop().await;
}

#[tokio::test]
async fn messages_of_an_hour_are_limited_and_switched_off_by_a_setting() {
    let mail = MailServer::start().await;
    let home = gateway_with(&smtp(&mail, "per_hour = 1\ndedupe_seconds = 0\n")).await;
    let client = home.client();
    let webhook =
        create(&client, json!({"events": ["run.failed"], "url": "ops@mail.example", "target": "email"}))
            .await;
    let first = send_test(&client, &webhook).await;
    assert_eq!(ended(&client, &webhook, &first).await["state"], "delivered");
    let second = send_test(&client, &webhook).await;
    let delivery = ended(&client, &webhook, &second).await;
    assert!(delivery["reason"].as_str().unwrap().contains("1 messages in this hour"), "{delivery}");
    home.stop().await;

    let receiver = Receiver::start().await;
    let home = gateway_with("[notifications]\nenabled = false\n").await;
    let client = home.client();
    let webhook = crate::create_at(&client, &receiver.url).await;
    let event = send_test(&client, &webhook).await;
    assert_eq!(ended(&client, &webhook, &event).await["state"], "suppressed");
    assert_eq!(receiver.received().len(), 0);
    // Without a server there are no emails.
    let body = json!({"events": ["*"], "url": "ops@mail.example", "target": "email"});
    assert_eq!(client.post("/v1/webhooks", &body).await.error(400, "invalid_request")["param"], "target");
    home.stop().await;
}

#[tokio::test]
async fn slack_and_pagerduty_get_their_own_forms() {
    let (slack, pagerduty) = (Receiver::start().await, Receiver::start().await);
    let home = gateway_with(&format!("[notifications]\npagerduty_url = \"{}\"\n", pagerduty.url)).await;
    let client = home.client();
    let to_slack = create(&client, json!({"events": ["*"], "url": slack.url, "target": "slack"})).await;
    assert!(!to_slack["url"].as_str().unwrap().contains("hook"), "{to_slack}");
    send_test(&client, &to_slack).await;
    let message = slack.wait_for(1).await.remove(0);
    assert!(message.json()["text"].as_str().unwrap().contains("a test of the webhook"), "{message:?}");
    assert_eq!(message.header("webhook-signature"), "");

    let body = json!({"events": ["*"], "target": "pagerduty", "secret": "R0123456789"});
    let to_pagerduty = create(&client, body).await;
    assert_eq!(to_pagerduty["secret"], json!(null));
    send_test(&client, &to_pagerduty).await;
    let incident = pagerduty.wait_for(1).await.remove(0).json();
    assert_eq!(
        (&incident["routing_key"], &incident["event_action"]),
        (&json!("R0123456789"), &json!("trigger"))
    );
    assert!(incident["dedup_key"].as_str().unwrap().contains(id(&to_pagerduty)), "{incident}");
    for field in ["summary", "source", "severity"] {
        assert!(incident["payload"][field].is_string(), "{field}: {incident}");
    }
    home.stop().await;
}

#[tokio::test]
async fn owner_of_a_paused_webhook_gets_an_email() {
    let (mail, receiver) = (MailServer::start().await, Receiver::start().await);
    let home = gateway_with(&smtp(&mail, "")).await;
    let (home, developer) = home
        .restart_after(async |store| {
            let organisation = operators_organisation(store).await;
            let mut owner = UserRecord::new(UserId::new(), "Owner");
            owner.email = Some("owner@mail.example".to_owned());
            store.users().create(&owner).await.unwrap();
            Person::join(store, owner.id, organisation, MemberRole::Developer).await.token
        })
        .await;
    let client = home.client().with_token(Some(&developer));
    let elsewhere = json!({"events": ["*"], "url": "ops@mail.example", "target": "email"});
    let refused = client.post("/v1/webhooks", &elsewhere).await.error(400, "invalid_request");
    assert!(refused["message"].as_str().unwrap().contains("profile"), "{refused}");
    receiver.reply(&vec![Reply::Status(500); 5]);
    let webhook = crate::create_at(&client, &receiver.url).await;
    send_test(&client, &webhook).await;
    until_state(&client, &webhook, "paused").await;
    let message = mail.wait_for(1).await.remove(0);
    assert!(message.contains("To: owner@mail.example") && message.contains(id(&webhook)), "{message}");
    assert_eq!(deliveries(&client, &webhook).await.len(), 1);
    post(&client, &webhook, "resume", json!({})).await;
    home.stop().await;
}
