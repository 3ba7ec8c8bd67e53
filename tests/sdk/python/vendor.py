"""A vendor of images, played by a server of ours: it draws one pixel."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: The smallest PNG there is.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


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
        if path != "/v1/images/generations":
            return 404, {"error": {"message": f"no {path} here", "code": "not_found"}}
        if body["prompt"] == "forbidden":
            return 400, {"error": {"message": "Your request was rejected.", "code": "moderation_blocked"}}
        image = {"b64_json": base64.b64encode(PIXEL).decode(), "revised_prompt": f"{body['prompt']}, in detail"}
        usage = {"input_tokens": 8, "output_tokens": 90, "total_tokens": 98}
        return 200, {"created": 1, "data": [image] * body.get("n", 1), "usage": usage}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
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
