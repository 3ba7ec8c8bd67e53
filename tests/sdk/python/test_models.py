"""The model catalog, as the SDKs read it."""

import anthropic
import pytest
from openai import NotFoundError


def test_the_list_names_the_model(client, model):
    page = client.models.list()

    assert page.object == "list"
    assert model in [entry.id for entry in page]


def test_each_entry_has_the_fields_that_the_sdk_promises(client):
    for entry in client.models.list():
        assert entry.object == "model"
        assert isinstance(entry.id, str) and entry.id
        assert isinstance(entry.created, int)
        assert isinstance(entry.owned_by, str)


def test_one_model_is_retrieved_by_its_id(client, model):
    entry = client.models.retrieve(model)

    assert entry.id == model
    assert entry.object == "model"


@pytest.mark.parametrize("unknown", ["no-such-model", "nobody/no-such-model"])
def test_an_unknown_id_is_not_found(client, unknown):
    with pytest.raises(NotFoundError) as caught:
        client.models.retrieve(unknown)

    assert caught.value.code == "model_not_found"


@pytest.fixture
def theirs(gateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0, timeout=60) as client:
        yield client.models


def test_anthropics_sdk_reads_every_page(theirs, model):
    entries = list(theirs.list(limit=1))

    assert model in [entry.id for entry in entries]
    assert len({entry.id for entry in entries}) == len(entries)
    assert all(entry.type == "model" and entry.display_name and entry.created_at for entry in entries)


def test_anthropics_sdk_retrieves_one_model(theirs, model):
    assert theirs.retrieve(model).id == model

    with pytest.raises(anthropic.NotFoundError):
        theirs.retrieve("no-such-model")
