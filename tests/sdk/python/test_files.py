"""Files, as OpenAI's SDK uploads, lists, reads and deletes them."""

import hashlib
import io

import pytest
from openai import BadRequestError, ConflictError, NotFoundError

NOTES = b"The word of the day is sparrow.\n"


@pytest.fixture
def file(client):
    file = client.files.create(file=("notes.txt", io.BytesIO(NOTES)), purpose="user_data")
    yield file
    try:
        client.files.delete(file.id)
    except NotFoundError:
        pass


def test_the_created_file_has_the_fields_that_the_sdk_promises(client, file):
    assert file.id.startswith("file-")
    assert (file.object, file.bytes, file.filename) == ("file", len(NOTES), "notes.txt")
    assert (file.purpose, file.status, file.expires_at) == ("user_data", "processed", None)
    assert isinstance(file.created_at, int)
    assert client.files.retrieve(file.id) == file


def test_the_content_is_what_was_uploaded(client, file):
    assert client.files.content(file.id).read() == NOTES


def test_every_page_of_the_list_is_read(client, file):
    others = [client.files.create(file=(f"{n}.txt", b"x"), purpose="vision") for n in range(3)]
    ids = [entry.id for entry in client.files.list(limit=2)]

    assert ids.index(others[2].id) < ids.index(others[0].id) < ids.index(file.id)
    assert len(ids) == len(set(ids))
    assert file.id not in [entry.id for entry in client.files.list(purpose="vision", limit=2)]
    ascending = [entry.id for entry in client.files.list(order="asc", limit=2)]
    assert ascending == ids[::-1]
    for other in others:
        client.files.delete(other.id)


def test_a_deleted_file_is_gone(client, file):
    deleted = client.files.delete(file.id)

    assert (deleted.id, deleted.deleted, deleted.object) == (file.id, True, "file")
    with pytest.raises(NotFoundError):
        client.files.retrieve(file.id)
    with pytest.raises(NotFoundError):
        client.files.content(file.id)


def test_a_file_expires_when_the_client_says(client):
    expiry = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("a.txt", b"x"), purpose="batch", expires_after=expiry)

    assert file.expires_at == file.created_at + 3600
    client.files.delete(file.id)


def test_an_unknown_purpose_is_a_bad_request(client):
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=("a.txt", b"x"), purpose="nothing")

    assert caught.value.param == "purpose"


def test_a_file_is_an_input_of_a_chat(client, model, file):
    part = {"type": "file", "file": {"file_id": file.id}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Summarize."}, part]}]
    short = client.chat.completions.create(model=model, messages=messages[:1], max_tokens=4)

    assert short.usage.prompt_tokens > 10


def test_a_file_in_parts_is_joined_in_the_order_that_the_client_names(client):
    data = bytes(range(256)) * 40
    upload = client.uploads.create(
        filename="film.bin", purpose="user_data", bytes=len(data), mime_type="application/octet-stream"
    )
    assert (upload.object, upload.status, upload.bytes) == ("upload", "pending", len(data))
    second = client.uploads.parts.create(upload.id, data=data[6000:])
    first = client.uploads.parts.create(upload.id, data=data[:6000])
    assert (first.object, first.upload_id) == ("upload.part", upload.id)
    with pytest.raises(ConflictError):
        client.uploads.complete(upload.id, part_ids=[first.id])
    md5 = hashlib.md5(data).hexdigest()
    with pytest.raises(BadRequestError):
        client.uploads.complete(upload.id, part_ids=[second.id, first.id], md5=md5)
    completed = client.uploads.complete(upload.id, part_ids=[first.id, second.id], md5=md5)
    assert completed.status == "completed"
    assert client.files.content(completed.file.id).read() == data
    client.files.delete(completed.file.id)


def test_the_sdk_sends_a_file_chunk_by_chunk(client, tmp_path):
    data = b"chunk by chunk " * 1000
    path = tmp_path / "chunks.txt"
    path.write_bytes(data)
    upload = client.uploads.upload_file_chunked(
        file=path, mime_type="text/plain", purpose="user_data", part_size=4000
    )
    assert upload.status == "completed"
    assert client.files.content(upload.file.id).read() == data
    client.files.delete(upload.file.id)


def test_a_cancelled_upload_takes_no_part(client):
    upload = client.uploads.create(filename="a.txt", purpose="user_data", bytes=3, mime_type="text/plain")
    assert client.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(NotFoundError):
        client.uploads.parts.create(upload.id, data=b"abc")
