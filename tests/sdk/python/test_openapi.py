"""The OpenAPI document: valid, fit for generators of clients, and with examples that the gateway serves."""

import compileall
import json
import subprocess
import sys

import httpx
import pytest
from openapi_spec_validator import validate

# Bodies whose example needs a provider's key, would store one, deletes a model, or downloads one.
NOT_SERVED = {"generate_images", "edit_images", "set_provider_key", "ollama_delete", "download_model"}
# They take the access token of a login, and an identity provider of the settings.
NOT_SERVED |= {"logout", "sign_in_by_token"}
METHODS = {"get", "put", "post", "delete"}


@pytest.fixture(scope="module")
def http(gateway):
    headers = {"Authorization": f"Bearer {gateway.token}"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=60) as http:
        yield http


@pytest.fixture(scope="module")
def document(http):
    response = http.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield method, path, item[method]


def test_document_is_valid(document):
    validate(document)


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_python_client_is_generated_without_warnings(document, tmp_path):
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    # The generator has no names of its own for a zip file, and for lines of JSON.
    overrides = {"application/zip": "application/octet-stream", "application/x-jsonl": "text/plain"}
    (tmp_path / "config.json").write_text(json.dumps({"post_hooks": [], "content_type_overrides": overrides}))
    options = ["--config", "config.json", "--output-path", "client", "--meta", "none", "--fail-on-warning"]
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert compileall.compile_dir(tmp_path / "client", quiet=1)


def examples(content):
    """The examples of a body: one, or several with names."""
    several = [example["value"] for example in content.get("examples", {}).values()]
    return [content["example"]] if "example" in content else several


def test_every_json_body_has_an_example(document):
    bodies = {
        operation["operationId"]: operation["requestBody"]["content"]["application/json"]
        for _, _, operation in operations(document)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    assert {name for name, body in bodies.items() if not examples(body)} == set()


def test_examples_are_served(document, http, embedding_model):
    refused = {}
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if operation["operationId"] in NOT_SERVED:
            continue
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example", "")))
        for example in examples(content):
            response = http.request(method, path, json=example)
            # An example can't have the code, the password or the id of a thing that is there.
            accounts = ("/v1/users", "/v1/organisations", "/v1/admin", "/v1/limits", "/v1/provider-keys")
            # Nor the signature of a node.
            nodes = ("/v1/node/", "/v1/nodes")
            accepted = {401, 403, 404, 409, 429} if path.startswith(accounts + nodes) else set()
            # Nor the id of a session, a conversation, a model, an upload or a webhook.
            things = ("/v1/sessions/", "/v1/conversations/", "/v1/models/", "/v1/uploads/", "/v1/webhooks/")
            if path.startswith(things):
                accepted = {404}
            # An earlier run has made the schema, the template, the model and the configuration.
            if path in ("/v1/schemas", "/v1/templates", "/v1/models") or path.startswith("/v1/config"):
                accepted = {409}
            # Nor that of a file.
            if path == "/v1/batches":
                accepted = {404}
            if response.status_code >= 300 and response.status_code not in accepted:
                refused[operation["operationId"]] = (response.status_code, response.text)
    assert refused == {}
