"""A vendor of images, played by a server of ours: it draws one pixel."""

import base64
import email
import json
import threading
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: The smallest PNG there is.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def fields(content_type: str, body: bytes) -> dict:
    """What a form has: of a file its bytes, and of a name that ends in [] a list."""
    message = email.message_from_bytes(f"content-type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    found: dict = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if part.get_filename() is None:
            value = value.decode()
        if name.endswith("[]"):
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


class Vendor:
    """Answers as OpenAI's images API does, and remembers what it was asked."""

    def __init__(self, address: str):
        host, _, port = address.rpartition(":")
        self.asked: list[dict] = []
        self._server = ThreadingHTTPServer((host, int(port)), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "Vendor":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, path: str, body: dict) -> tuple[int, dict]:
        self.asked.append(body)
        if path not in ("/v1/images/generations", "/v1/images/edits"):
            return 404, {"error": {"message": f"no {path} here", "code": "not_found"}}
        if body["prompt"] == "forbidden":
            return 400, {"error": {"message": "Your request was rejected.", "code": "moderation_blocked"}}
        image = {"b64_json": base64.b64encode(PIXEL).decode(), "revised_prompt": f"{body['prompt']}, in detail"}
        usage = {"input_tokens": 8, "output_tokens": 90, "total_tokens": 98}
        return 200, {"created": 1, "data": [image] * int(body.get("n", 1)), "usage": usage}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                form = self.headers["content-type"].startswith("multipart/form-data")
                body = fields(self.headers["content-type"], body) if form else json.loads(body)
                status, answer = vendor._answer(self.path, body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                """Says nothing: pytest shows what fails."""

        return Handler
