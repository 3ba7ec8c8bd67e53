"""OpenAI's conversations, and the responses that continue them."""

import pytest
from openai import NotFoundError


@pytest.fixture
def conversation(client):
    items = [
        {"type": "message", "role": "user", "content": "What is the capital of France?"},
        {"type": "message", "role": "assistant", "content": "Paris."},
    ]
    return client.conversations.create(items=items, metadata={"topic": "demo"})


def test_a_conversation_is_created_read_changed_and_deleted(client, conversation):
    assert (conversation.object, conversation.metadata) == ("conversation", {"topic": "demo"})
    assert client.conversations.retrieve(conversation.id) == conversation
    changed = client.conversations.update(conversation.id, metadata={"topic": "other"})
    assert changed.metadata == {"topic": "other"}
    deleted = client.conversations.delete(conversation.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (conversation.id, True, "conversation.deleted")
    with pytest.raises(NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_items_are_added_listed_in_pages_and_deleted(client, conversation):
    added = client.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "user", "content": "And of Spain?"}]
    )
    assert [item.role for item in added.data] == ["user"]
    items = list(client.conversations.items.list(conversation.id, order="asc", limit=1))
    assert [item.role for item in items] == ["user", "assistant", "user"]
    last = client.conversations.items.retrieve(items[-1].id, conversation_id=conversation.id)
    assert last.content[0].text == "And of Spain?"
    client.conversations.items.delete(last.id, conversation_id=conversation.id)
    assert len(list(client.conversations.items.list(conversation.id))) == 2


def test_a_response_continues_its_conversation(client, model, conversation):
    response = client.responses.create(
        model=model, input="Hello!", conversation=conversation.id, max_output_tokens=16
    )
    assert response.conversation.id == conversation.id
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [item.role for item in items] == ["user", "assistant", "user", "assistant"]
    assert items[-1].id == response.output[0].id
    assert items[-1].content[0].text == response.output_text


def test_a_streamed_response_continues_its_conversation(client, model, conversation):
    reference = {"id": conversation.id}
    with client.responses.stream(
        model=model, input="Hello!", conversation=reference, max_output_tokens=400
    ) as stream:
        for _ in stream:
            pass
        response = stream.get_final_response()
    assert response.conversation.id == conversation.id
    newest = next(iter(client.conversations.items.list(conversation.id)))
    assert newest.content[0].text == response.output_text
