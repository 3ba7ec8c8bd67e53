"""The OpenAPI document: valid, fit for generators of clients, and with examples that the gateway serves."""

import compileall
import json
import subprocess
import sys
import uuid

import httpx
import pytest
from openapi_spec_validator import validate

# Bodies whose example needs a provider's key, would store one, deletes a model, or downloads one.
NOT_SERVED = {"generate_images", "edit_images", "set_provider_key", "ollama_delete", "download_model"}
# They take the access token of a login, and an identity provider of the settings.
NOT_SERVED |= {"logout", "sign_in_by_token"}
# It would leave the models of this machine to no organisation.
NOT_SERVED |= {"change_organisation"}
METHODS = {"get", "put", "post", "patch", "delete"}


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
    # Files have media types of their own.
    overrides["*/*"] = "application/octet-stream"
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


def prefilled(operation):
    """The query and the headers that Swagger UI sends with nothing changed: it fills in examples and defaults, those of optional parameters
    too."""
    filled = {"query": {}, "header": {}}
    for parameter in operation.get("parameters", []):
        values = [place[word] for word in ("example", "default") for place in (parameter, parameter.get("schema", {})) if word in place]
        # A browser sets this one itself.
        if parameter["in"] != "path" and values and parameter["name"] != "upgrade":
            filled[parameter["in"]][parameter["name"]] = str(values[0])
    return {"params": filled["query"], "headers": filled["header"]}


def text_of(response, *names):
    assert response.status_code < 300, response.text
    value = response.json()
    for name in names:
        value = value[name]
    return value


class Things:
    """Ids for the paths of the document: of things that are made for them, or that earlier examples have made."""

    # Things that depend on the first part of the path.
    OF_ANOTHER = {"admin organisations", "organisations provider-keys"}

    def __init__(self, http):
        self.http, self.made = http, {}

    def fill(self, path, examples):
        """Puts ids in place of the parameters of a path, or the examples of kinds of which no thing is made. A parameter is
        named by the part of the path before it."""
        parts = path.split("/")
        for at, part in enumerate(parts):
            if part.startswith("{"):
                name, rest = part[1:].split("}")
                of_another = f"{parts[2]} {parts[at - 1]}"
                thing = self.of(of_another if of_another in self.OF_ANOTHER else parts[at - 1])
                # A path of Gemini's dialect ends with the method, and its example is a model that answers.
                parts[at] = thing if thing and not rest else examples[name] + rest
        return "/".join(parts)

    def of(self, kind):
        if kind not in self.made:
            self.made[kind] = self.make(kind)
        return self.made[kind]

    def make(self, kind):
        post = self.http.post
        unique = uuid.uuid4().hex[:12]
        match kind:
            case "organisations":
                organisations = text_of(self.http.get("/v1/organisations"), "organisations")
                return next(one["id"] for one in organisations if one["current"])
            case "admin organisations":
                return text_of(post("/v1/organisations", json={"name": f"Foundry {unique}"}), "id")
            case "users" | "members" | "user":
                # Of one user: a member of both organisations.
                if kind != "user":
                    return self.of("user")
                user = {"email": f"{unique}@example.org", "name": "Grace", "password": "a long sentence of hers"}
                return text_of(post("/v1/users", json=user | {"role": "developer"}), "id")
            case "teams":
                path = f"/v1/organisations/{self.of('organisations')}/teams"
                return text_of(post(path, json={"name": f"team {unique}"}), "id")
            case "tokens":
                return text_of(post("/v1/users/tokens", json={"name": unique, "scopes": ["generate"]}), "id")
            case "webhooks":
                webhook = {"events": ["run.failed"], "url": "http://127.0.0.1:9/hearth"}
                return text_of(post("/v1/webhooks", json=webhook), "id")
            case "sessions":
                return text_of(post("/v1/sessions", json={}), "id")
            case "messages":
                # The examples of turns come first.
                return text_of(self.http.get(f"/v1/sessions/{self.of('sessions')}/messages"), "messages", 0, "id")
            case "conversations":
                return text_of(post("/v1/conversations", json={}), "id")
            case "uploads":
                upload = {"filename": "notes.txt", "purpose": "user_data", "bytes": 5, "mime_type": "text/plain"}
                return text_of(post("/v1/uploads", json=upload), "id")
            case "provider-keys":
                key = {"provider": "openai", "credential": {"key": "sk-..."}, "name": unique}
                return text_of(post("/v1/users/provider-keys", json=key), "id")
            case "organisations provider-keys":
                key = {"provider": "openai", "credential": {"key": "sk-..."}, "name": unique}
                path = f"/v1/organisations/{self.of('organisations')}/provider-keys"
                return text_of(post(path, json=key), "id")
            case "nodes":
                return text_of(self.http.get("/v1/nodes"), "nodes", 0, "id")
            case "models":
                return "team/writer"
            case "limits":
                return "user"
            case _:
                return None


# Operations with a body whose example can't be served, with the status and the code of their error.
REFUSED = {
    # They have the code, the signature, the password or the id of a thing that isn't there.
    "accept_invite": (403, "forbidden"),
    "answer_node_call": (401, "unauthorized"),
    "change_password": (403, "forbidden"),
    "claim_run": (401, "unauthorized"),
    "complete_parted_upload": (404, "not_found"),
    "create_batch": (404, "not_found"),
    "enroll_node": (403, "forbidden"),
    "login": (401, "unauthorized"),
    "post_run_events": (401, "unauthorized"),
    "refresh_login": (401, "unauthorized"),
    "refuse_run": (401, "unauthorized"),
    "register_user": (403, "forbidden"),
    "report_node": (401, "unauthorized"),
    "reset_password": (403, "forbidden"),
    # The operator of a gateway can't be erased.
    "erase_me": (409, "conflict"),
}
# An earlier run against the same gateway has made these things, or changed them.
MADE_BEFORE = {"create_schema", "create_template", "create_user", "register_model", "set_sign_in"}
MADE_BEFORE |= {"put_config", "put_model_schema", "restore_config_version"}


# They set another default model, and keys of its provider, which can't be reached.
LAST = {"change_profile", "create_own_provider_key", "change_own_provider_key"}
LAST |= {"create_organisation_provider_key", "change_organisation_provider_key"}


@pytest.fixture
def default_model(http):
    """Gives the default model back to later tests."""
    yield
    text_of(http.patch("/v1/users/me", json={"preferences": None}))
    organisation = Things(http).of("organisations")
    for path in ("/v1/users/provider-keys", f"/v1/organisations/{organisation}/provider-keys"):
        for key in text_of(http.get(path), "provider_keys"):
            assert http.delete(f"{path}/{key['id']}").status_code < 300


def test_examples_are_served(document, http, embedding_model, default_model):
    things, wrong, seen = Things(http), {}, set()
    # Those with fewer ids in the path make what the others use.
    ordered = sorted(operations(document), key=lambda one: (one[2]["operationId"] in LAST, one[1].count("{"), *one[1::-1]))
    for method, path, operation in ordered:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        name = operation["operationId"]
        if name in NOT_SERVED or not examples(content):
            continue
        parameters = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "path"]
        in_path = {parameter["name"]: str(parameter["example"]) for parameter in parameters}
        # Those that are refused name things that aren't there.
        path = path.format(**in_path) if name in REFUSED else things.fill(path, in_path)
        for example in examples(content):
            seen.add(name)
            response = http.request(method, path, json=example, **prefilled(operation))
            # Those that answer wait for the answer.
            is_right = response.status_code < 300 and not (response.status_code == 202 and "200" in operation["responses"])
            if name in REFUSED:
                is_right = (response.status_code, response.json()["error"]["code"]) == REFUSED[name]
            if not is_right and not (name in MADE_BEFORE and response.status_code == 409):
                wrong[name] = (path, response.status_code, response.text)
    assert wrong == {}
    assert REFUSED.keys() - seen == set(), "operations without an example"


# The first is for nodes; the second asks another server.
NO_LISTS = {"get_node_orders", "search_models"}


def test_lists_are_served_as_swagger_ui_requests_them(document, http):
    text_of(http.post("/v1/generate", json={"input": {"prompt": "Hello"}}))
    wrong, answers = {}, {}
    for method, path, operation in operations(document):
        if method == "get" and "{" not in path and "200" in operation["responses"] and operation["operationId"] not in NO_LISTS:
            response = http.get(path, **prefilled(operation))
            answers[path] = response
            if response.status_code >= 300:
                wrong[path] = (response.status_code, response.text)
    assert wrong == {}
    assert text_of(answers["/v1/requests"], "requests")
