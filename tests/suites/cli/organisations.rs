//! `hearth org` and `hearth team`.

use hearth_domain::MemberRole;
use hearth_store::Store;
use hearth_tests::{Home, Person, operators_organisation};

use crate::{command, fails, json, succeeds};

#[tokio::test]
async fn organisation_members_and_teams_are_managed() {
    let add = async |store: &Store| {
        let operators = operators_organisation(store).await;
        Person::in_organisation(store, operators, MemberRole::Developer).await
    };
    let (home, member) = Home::start_without_node().await.restart_after(add).await;
    let user = member.user.to_string();
    let hearth = async |arguments: &[&str]| succeeds(command(&home, arguments), "").await;

    let own = json(&hearth(&["org", "list", "--json"]).await);
    assert_eq!(
        (&own["organisations"][0]["role"], &own["organisations"][0]["current"]),
        (&"owner".into(), &true.into())
    );
    assert!(hearth(&["org", "rename", "Workshop"]).await.contains("Workshop"));
    let regions = json(&hearth(&["org", "regions", "eu-west-1", "eu-central-1", "--json"]).await);
    assert_eq!(regions["regions"], serde_json::json!(["eu-central-1", "eu-west-1"]));
    assert!(hearth(&["org", "regions"]).await.contains("all"));

    let members = hearth(&["org", "members"]).await;
    assert!(members.contains(&user) && members.contains("developer"), "{members}");
    assert!(hearth(&["org", "set-role", &user, "viewer"]).await.contains("viewer"));
    let team = json(&hearth(&["team", "create", "platform", "--json"]).await);
    let id = team["id"].as_str().unwrap_or_default().to_owned();
    hearth(&["team", "add", "platform", &user]).await;
    // As the API answers: a list is an object, whatever the number of its entries.
    for (arguments, field) in [
        (&["team", "list"][..], "teams"),
        (&["org", "members"], "members"),
        (&["org", "list", "--all"], "organisations"),
        (&["files", "list"], "data"),
        (&["batch", "list"], "data"),
    ] {
        let list = json(&hearth(&[arguments, &["--json"]].concat()).await);
        assert!(list[field].is_array(), "{arguments:?}: {list}");
    }
    let changed = json(&hearth(&["org", "set-role", &user, "viewer", "--json"]).await);
    assert_eq!(changed["user"], user.as_str());
    assert!(hearth(&["org", "members"]).await.contains(&id));
    hearth(&["team", "rename", "platform", "research"]).await;
    hearth(&["team", "remove", "research", &user]).await;
    assert!(hearth(&["team", "list"]).await.contains("research"));
    hearth(&["team", "delete", &id]).await;
    assert!(fails(command(&home, &["team", "delete", "research"])).await.stderr.contains("no team"));

    hearth(&["org", "remove-member", &user]).await;
    assert!(!hearth(&["org", "members"]).await.contains(&user));
    assert!(fails(command(&home, &["org", "leave"])).await.stderr.contains("last owner"));

    let created = json(&hearth(&["org", "create", "Foundry", "--owner", &user, "--json"]).await);
    let created = created["id"].as_str().unwrap_or_default();
    assert!(hearth(&["org", "list", "--all"]).await.contains(created));
    assert!(!hearth(&["org", "list"]).await.contains(created));
    assert!(hearth(&["org", "disable", created]).await.contains("disabled"));
    assert!(hearth(&["org", "enable", created]).await.contains("enabled"));
    assert!(fails(command(&home, &["org", "delete", created])).await.stderr.contains("--yes"));
    hearth(&["org", "delete", created, "--yes"]).await;
    assert!(fails(command(&home, &["org", "delete", "--yes"])).await.stderr.contains("operator"));
    home.stop().await;
}
