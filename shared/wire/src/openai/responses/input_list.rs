//! `GET /v1/responses/{id}/input_items` (<https://platform.openai.com/docs/api-reference/responses/input-items>).

use hearth_domain::{Message, RunId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    ConversationItemList, IncludeQuery, ItemOrder, RenderOptions, conversation_items::request_items,
};
use crate::ApiError;

/// Options of a list of input items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InputItemsQuery {
    /// Number of items, 1 to 100.
    #[param(example = 20)]
    pub limit: Option<u32>,
    /// `asc` for the order of the request, or `desc`.
    #[serde(default)]
    #[param(value_type = Option<ItemOrder>, inline, example = "desc")]
    pub order: ItemOrder,
    /// Id of the item after which the page begins.
    pub after: Option<String>,
    /// Id of the item before which the page ends.
    pub before: Option<String>,
}

/// Input of the request of a run.
#[derive(Debug, Clone, Copy)]
pub struct RequestInput<'a> {
    /// Run.
    pub run: RunId,
    /// Conversation of the request, without the answer.
    pub messages: &'a [Message],
    /// Number of the first messages, which are those of earlier responses.
    pub earlier_count: usize,
    /// Options by which the run's events are rendered.
    pub render: &'a RenderOptions,
}

impl RequestInput<'_> {
    /// A page of its items, at most `limit`.
    ///
    /// # Errors
    /// `invalid_request`, with the parameter, for the id of no item.
    pub fn page(
        self,
        query: &InputItemsQuery,
        include: &IncludeQuery,
        limit: usize,
    ) -> Result<ConversationItemList, ApiError> {
        let mut items = request_items(self, include);
        if query.order == ItemOrder::Desc {
            items.reverse();
        }
        let place = |id: &Option<String>, param: &str| {
            let Some(id) = id else { return Ok(None) };
            let place = items.iter().position(|item| item["id"] == id.as_str());
            let unknown = || ApiError::invalid(param, format!("{param} must be the id of an item"));
            place.map(Some).ok_or_else(unknown)
        };
        let from = place(&query.after, "after")?.map_or(0, |place| place + 1);
        let to = place(&query.before, "before")?.unwrap_or(items.len()).max(from);
        items.truncate(to);
        let mut page = items.split_off(from);
        let has_more = page.len() > limit;
        if query.before.is_some() && query.after.is_none() {
            // The page right before the item.
            page.drain(..page.len().saturating_sub(limit));
        }
        page.truncate(limit);
        Ok(ConversationItemList::new(page, has_more))
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{
        Attachment, AttachmentContent, Image, Opaque, PlacedImage, Reasoning, Role, ToolCall,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::openai::responses::{
        ResponsesTool,
        tool_names::{ClientNames, function_name},
    };

    fn input<'a>(messages: &'a [Message], render: &'a RenderOptions) -> RequestInput<'a> {
        RequestInput { run: RunId::new(), messages, earlier_count: 1, render }
    }

    #[test]
    fn pages_follow_and_precede_an_item() {
        let texts = ["earlier", "a", "b", "c", "d"];
        let messages: Vec<_> = texts.iter().map(|text| Message::new(Role::User, *text)).collect();
        let render = RenderOptions::default();
        let input = input(&messages, &render);
        let page = |order, after: Option<&Value>, before: Option<&Value>| {
            let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
            let query = InputItemsQuery { limit: None, order, after: after.map(id), before: before.map(id) };
            input.page(&query, &IncludeQuery::default(), 2).unwrap()
        };
        let texts = |page: &ConversationItemList| {
            let text = |item: &Value| item["content"][0]["text"].as_str().unwrap().to_owned();
            page.data.iter().map(text).collect::<String>()
        };
        let first = page(ItemOrder::Asc, None, None);
        assert_eq!((texts(&first).as_str(), first.has_more), ("ab", true));
        let second = page(ItemOrder::Asc, first.data.last(), None);
        assert_eq!((texts(&second).as_str(), second.has_more), ("cd", false));
        let back = page(ItemOrder::Asc, None, second.data.last());
        assert_eq!((texts(&back).as_str(), back.has_more), ("bc", true));
        assert_eq!(texts(&page(ItemOrder::Desc, None, None)), "dc");
        let unknown = InputItemsQuery { after: Some("msg_1".into()), ..InputItemsQuery::default() };
        let error = input.page(&unknown, &IncludeQuery::default(), 2).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("after"));
    }

    #[test]
    fn items_with_one_id_have_distinct_ids_in_the_list() {
        let part = |id: &str| {
            let value = json!({"type": "computer_call_output", "id": id});
            let content = AttachmentContent::Opaque(Opaque { param: "input[0]".into(), value });
            let attachments = vec![Attachment { at: 0, images_before: 0, content }];
            Message { attachments, ..Message::new(Role::User, "") }
        };
        let messages = [Message::new(Role::User, "earlier"), part("a"), part("b"), part("a")];
        let render = RenderOptions::default();
        let input = input(&messages, &render);
        let page = input.page(&InputItemsQuery::default(), &IncludeQuery::default(), 9).unwrap();
        let ids: std::collections::HashSet<_> = page.data.iter().map(|item| item["id"].as_str()).collect();
        assert_eq!(ids.len(), 3, "{page:?}");
        assert!(ids.contains(&Some("a")) && ids.contains(&Some("b")));
    }

    #[test]
    fn items_are_as_the_request_had_them() {
        let tools = json!([
            {"type": "custom", "name": "patch"},
            {"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "read"}]},
        ]);
        let tools: Vec<ResponsesTool> = serde_json::from_value(tools).unwrap();
        let render = RenderOptions { client_names: ClientNames::of(&tools), ..RenderOptions::default() };
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
        };
        let result = |id: &str| Message { tool_call_id: Some(id.into()), ..Message::new(Role::Tool, "done") };
        let image = PlacedImage { at: 0, image: Image::at("https://example.org/a.png") };
        let messages = [
            Message::new(Role::User, "earlier"),
            Message { images: vec![image], ..Message::new(Role::User, "Look") },
            Message {
                reasoning: vec![Reasoning { encrypted: Some("gAAA".into()), ..Reasoning::default() }],
                tool_calls: vec![
                    call("c1", "patch", r#"{"input": "+ a"}"#),
                    call("c2", &function_name(Some("files"), "read"), "{}"),
                ],
                ..Message::new(Role::Assistant, "")
            },
            result("c1"),
            result("c2"),
        ];
        let input = input(&messages, &render);
        let items = |include: &[&str]| {
            let include = IncludeQuery { include: include.iter().map(|value| (*value).to_owned()).collect() };
            let query = InputItemsQuery { order: ItemOrder::Asc, ..InputItemsQuery::default() };
            input.page(&query, &include, 100).unwrap().data
        };
        let plain = items(&[]);
        let kinds: Vec<_> = plain.iter().map(|item| item["type"].as_str().unwrap()).collect();
        let expected = [
            "message",
            "reasoning",
            "custom_tool_call",
            "function_call",
            "custom_tool_call_output",
            "function_call_output",
        ];
        assert_eq!(kinds, expected);
        assert_eq!((&plain[2]["name"], &plain[2]["input"]), (&json!("patch"), &json!("+ a")));
        assert_eq!((&plain[3]["namespace"], &plain[3]["name"]), (&json!("files"), &json!("read")));
        assert!(plain[0]["content"][0]["image_url"].is_null() && plain[1]["encrypted_content"].is_null());
        let ids: std::collections::HashSet<_> = plain.iter().map(|item| item["id"].as_str()).collect();
        assert_eq!(ids.len(), plain.len(), "{plain:#?}");
        let included = items(&["reasoning.encrypted_content", "message.input_image.image_url"]);
        assert_eq!(included[0]["content"][0]["image_url"], "https://example.org/a.png");
        assert_eq!(included[1]["encrypted_content"], "gAAA");
    }
}
