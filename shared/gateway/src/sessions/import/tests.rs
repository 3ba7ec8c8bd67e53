use hearth_domain::{OrganisationId, UserId};
use serde_json::json;

use super::*;

fn owner() -> Owner {
    let user = UserId::new();
    Owner { user, organisation: OrganisationId::of_operator(user) }
}

fn node(id: &str, parent: Option<&str>, role: &str, text: &str) -> Value {
    json!({
        "id": id, "parent": parent, "children": [],
        "message": {
            "id": id, "author": {"role": role}, "create_time": 1_700_000_000.5,
            "content": {"content_type": "text", "parts": [text]},
            "metadata": {"model_slug": "gpt-4o"},
        },
    })
}

#[test]
fn tree_of_chatgpt_becomes_messages_with_parents() {
    let mut picture = node("picture", Some("answer"), "user", "look");
    picture["message"]["content"] = json!({
        "content_type": "multimodal_text",
        "parts": [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}, "look"],
    });
    let file = json!([{
        "title": " Rain\nand snow ", "create_time": 1_700_000_000, "update_time": 1_700_000_100.25,
        "conversation_id": "c-1", "current_node": "picture",
        "mapping": {
            "picture": picture,
            "answer": node("answer", Some("question"), "assistant", "drip"),
            "other": node("other", Some("question"), "assistant", "drop"),
            "question": node("question", Some("system"), "user", "rain?"),
            "system": node("system", Some("root"), "system", ""),
            "thoughts": {"id": "thoughts", "parent": "question", "message": {
                "author": {"role": "assistant"}, "content": {"content_type": "thoughts", "thoughts": []}}},
            "root": {"id": "root", "parent": null, "message": null, "children": ["system"]},
            "loop": node("loop", Some("loop"), "user", "never ends"),
        },
    }, "no conversation"]);
    let (format, mut read) = read_file(&file).unwrap();
    assert_eq!((format, read.len()), ("chatgpt", 2));
    assert_eq!(read[1].skipped.len(), 1);
    let conversation = read.remove(0);
    assert_eq!(
        conversation.skipped,
        [
            ("a message of another kind than text, such as thoughts", 1),
            ("a picture, a recording or another file", 1)
        ]
        .into()
    );
    let owner = owner();
    let (session, messages) = session_of(owner, format, conversation);
    assert_eq!(session.title.as_deref(), Some("Rain and snow"));
    assert_eq!(session.last_used_at.to_string(), "2023-11-14T22:15:00.250Z");
    let texts: Vec<_> = messages.iter().map(|message| message.message.content.as_str()).collect();
    assert_eq!((texts.len(), texts[0]), (4, "rain?"), "{texts:?}");
    let by_text = |text: &str| messages.iter().find(|message| message.message.content == text).unwrap();
    assert_eq!(by_text("drop").parent, Some(by_text("rain?").id));
    assert_eq!(by_text("look").parent, Some(by_text("drip").id));
    assert_eq!(session.head, Some(by_text("look").id));
    assert_eq!(by_text("drip").model, Some(ModelId::new("gpt-4o")));
    // The same file gives the same session, and another user another one.
    let again = |owner| session_of(owner, format, read_file(&file).unwrap().1.remove(0)).0.id;
    assert_eq!(again(owner), session.id);
    assert_ne!(again(self::owner()), session.id);
}

#[test]
fn repeated_import_gives_the_same_ids_without_id_and_times() {
    let file = json!([{"chat": {"messages": [{"role": "user", "content": "Hi"}]}}]);
    let owner = owner();
    let read = |file: &Value| session_of(owner, "open_webui", read_file(file).unwrap().1.remove(0));
    let (first, messages) = read(&file);
    let (second, again) = read(&file);
    assert_eq!((first.id, messages[0].id), (second.id, again[0].id));
    let other = json!([{"chat": {"messages": [{"role": "user", "content": "Ho"}]}}]);
    assert_ne!(read(&other).0.id, first.id);
}

#[test]
fn system_prompt_over_the_limit_is_left_out_and_named() {
    let file = json!([{"id": "a", "chat": {"system": "x".repeat(70_000), "messages": [{"role": "user", "content": "Hi"}]}}]);
    let mut conversation = read_file(&file).unwrap().1.remove(0);
    conversation.check_limits();
    assert_eq!((conversation.system_prompt, conversation.skipped.len()), (None, 1));
}

#[test]
fn chats_of_open_webui_are_read_as_tree_and_as_list() {
    let file = json!([
        {"id": "a", "title": "Tree", "created_at": 1_700_000_000, "updated_at": 1_700_000_009, "chat": {
            "models": ["llama3"], "history": {"currentId": "2", "messages": {
                "2": {"id": "2", "parentId": "1", "role": "assistant", "content": "Hello", "model": "llama3", "timestamp": 1_700_000_001},
                "1": {"id": "1", "parentId": null, "role": "user", "content": "Hi", "files": [{"type": "image"}]},
                "3": {"id": "3", "parentId": "missing", "role": "judge", "content": "?"},
            }},
        }},
        {"id": "b", "chat": {"title": "List", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": "Yes"},
        ]}},
    ]);
    let (format, read) = read_file(&file).unwrap();
    let mut read = read.into_iter().map(|conversation| session_of(owner(), format, conversation));
    let (tree, messages) = read.next().unwrap();
    assert_eq!((tree.title.as_deref(), messages.len()), (Some("Tree"), 2));
    assert_eq!((messages[1].parent, tree.head), (Some(messages[0].id), Some(messages[1].id)));
    let (list, messages) = read.next().unwrap();
    assert_eq!((list.title.as_deref(), messages[1].parent), (Some("List"), Some(messages[0].id)));
}

#[test]
fn other_files_are_refused_or_reported() {
    for file in [json!(null), json!("text"), json!([]), json!({}), json!([1, 2]), json!({"mapping": 3})] {
        assert!(read_file(&file).is_none(), "{file}");
    }
    for broken in [
        json!([{"mapping": {}}]),
        json!([{"mapping": {"a": null, "b": 7, "c": {"message": {"author": null, "content": {"parts": 3}}}}}]),
        json!([{"mapping": {"a": {"parent": "b"}, "b": {"parent": "a"}}, "create_time": -1e300, "title": 5}]),
        json!([{"chat": {"history": {"messages": {"a": {"role": "user", "content": null}}}}}]),
        json!({"format": "hearth-session", "session": 3, "messages": [{"role": "nobody"}]}),
    ] {
        let (_, read) = read_file(&broken).unwrap();
        assert!(read.iter().all(|conversation| conversation.messages.is_empty()), "{broken}");
    }
}

#[test]
fn times_are_read_in_seconds_milliseconds_and_iso_8601() {
    for value in [json!(1_700_000_000), json!(1_700_000_000_000_u64), json!("2023-11-14T22:13:20Z")] {
        assert_eq!(time(&value).unwrap().to_string(), "2023-11-14T22:13:20.000Z");
    }
    for value in [json!(0), json!(-5), json!("soon"), json!(1e300), json!(null)] {
        assert!(time(&value).is_none(), "{value}");
    }
}
