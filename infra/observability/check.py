"""Checks this folder against a running gateway, with real programs.

- `promtool` and `amtool` accept the configuration, and the rules pass their tests.
- The dashboards are complete, and Prometheus can evaluate each of their queries and rules.
- Prometheus scrapes the gateway, and the types of its metrics are those of docs/metrics.md.
- A provider that fails makes an alert, which Alertmanager sends to a webhook.

Usage: HEARTH_TOKEN=... python check.py --url URL --provider NAME. NAME is a provider of the gateway that doesn't answer. Needs
Prometheus and Alertmanager: `apt install prometheus prometheus-alertmanager`.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOKEN = os.environ["HEARTH_TOKEN"]
PAGE = HERE.parents[1] / "docs" / "metrics.md"
RULES = HERE / "prometheus" / "rules.yml"
DASHBOARDS = sorted((HERE / "grafana" / "dashboards").glob("*.json"))
ALERT = "HearthProviderDown"
# A machine that builds beside it is slow.
TIMEOUT_SECONDS = 60
# Requests after which the provider's circuit is open: three failures open it.
REQUEST_COUNT = 4
# The variables of a dashboard, as Grafana replaces them.
VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$instance": ".*", "$provider": ".*"}


def run(*command, folder=HERE):
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def check_files():
    run("promtool", "check", "rules", "rules.yml", folder=RULES.parent)
    run("promtool", "test", "rules", "rules.test.yml", folder=RULES.parent)
    # The file with the token is on the operator's machine only.
    run("promtool", "check", "config", "--syntax-only", "prometheus.yml", folder=RULES.parent)
    run("amtool", "check-config", "alertmanager/alertmanager.yml")
    tested = set(re.findall(r"alertname: (\w+)", (RULES.parent / "rules.test.yml").read_text()))
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert tested == alerts, f"alerts without a test: {alerts - tested}; tests without an alert: {tested - alerts}"


def check_dashboard(path):
    """Checks what Grafana needs of a dashboard; returns its queries."""
    dashboard = json.loads(path.read_text())
    assert dashboard["uid"] and dashboard["title"] and dashboard["schemaVersion"] >= 36, path
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    ids, taken, queries = set(), set(), []
    for panel in dashboard["panels"]:
        where = f"{path.name}: {panel['title']}"
        assert panel["id"] not in ids, f"{where}: its id is another panel's"
        ids.add(panel["id"])
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, f"{where}: it overlaps another panel"
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["type"] in ("timeseries", "stat") and panel["targets"], where
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == "prometheus", where
            used = set(re.findall(r"\$(\w+)", target["expr"]))
            assert used <= variables | {"__rate_interval", "__range"}, f"{where}: unknown variables {used}"
            queries.append((where, target["expr"]))
    return queries


def rule_queries():
    """The expressions of the rules, by name. Prometheus, which has loaded them, tells: Python has no YAML."""
    groups = get(PROMETHEUS, "/api/v1/rules")["data"]["groups"]
    return [(rule["name"], rule["query"]) for group in groups for rule in group["rules"]]


def documented():
    """The metrics of docs/metrics.md, with their types."""
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", PAGE.read_text(), re.MULTILINE)
    assert len(rows) > 40, "docs/metrics.md has no tables of metrics any more"
    return dict(rows)


def names_in(query):
    """The metrics that a query names: identifiers that aren't labels, texts, functions or keywords."""
    query = re.sub(r'"[^"]*"', "", query)
    query = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", query)
    query = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", query)
    return set(re.findall(r"\b([a-z]\w*)\b(?!\s*\()", query)) - {"sum", "min", "max", "and", "or", "by"}


def check_names(queries, metrics):
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    names = {"up"}
    for name, kind in metrics.items():
        names |= {name + suffix for suffix in suffixes.get(kind, ("",))}
    for where, query in queries:
        unknown = names_in(query) - names
        assert not unknown, f"{where}: docs/metrics.md has no {', '.join(sorted(unknown))}"


def get(address, path, **parameters):
    url = f"http://{address}{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def check_queries(queries):
    for where, query in queries:
        for variable, value in VARIABLES.items():
            query = query.replace(variable, value)
        try:
            get(PROMETHEUS, "/api/v1/query", query=query)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{where}: {json.load(error)['error']}: {query}") from None


def check_types(metrics):
    """Compares the types of the gateway's metrics with the page."""
    metadata = wait("metadata", lambda: get(PROMETHEUS, "/api/v1/metadata")["data"] or None)
    ours = {name: entries[0] for name, entries in metadata.items() if name in metrics or name.startswith("hearth_")}
    assert len(ours) > 30, f"only {len(ours)} metrics"
    for name, entry in ours.items():
        assert name in metrics, f"docs/metrics.md has no {name}"
        assert entry["type"] == metrics[name] and entry["help"], f"{name}: {entry}"


def wait(what, attempt):
    """The first result of `attempt` that isn't None."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if (result := attempt()) is not None:
                return result
        assert time.monotonic() < deadline, f"{what}: nothing within {TIMEOUT_SECONDS} s"
        time.sleep(0.2)


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def program(folder, name, *arguments):
    log = folder / f"{pathlib.Path(name).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([name, *arguments], stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        yield
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextlib.contextmanager
def webhook():
    """A server that takes Alertmanager's messages; yields its address and the queue of them."""
    messages = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            messages.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", messages
    finally:
        server.shutdown()


def fail_requests(arguments):
    """Sends requests to the provider that doesn't answer."""
    body = json.dumps({"model": f"{arguments.provider}:any", "messages": [{"role": "user", "content": "Hello!"}]})
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    url = f"{arguments.url}/v1/chat/completions"
    for _ in range(REQUEST_COUNT):
        try:
            urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers), timeout=60)
        except urllib.error.HTTPError as error:
            assert error.code >= 500, error.read()
        else:
            raise AssertionError(f"{arguments.provider} answers")


def write_configuration(folder, arguments, alertmanager, hook):
    """Copies the configuration, with this check's addresses, and without its waiting times."""
    (folder / "token").write_text(TOKEN)
    text = (HERE / "prometheus" / "prometheus.yml").read_text()
    for old, new in [
        ("127.0.0.1:8080", urllib.parse.urlsplit(arguments.url).netloc),
        ("127.0.0.1:9093", alertmanager),
        ("../secrets/hearth-token", "token"),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ]:
        assert old in text, f"prometheus.yml has no {old}"
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text)
    (folder / "rules.yml").write_text(re.sub(r"for: \d+m", "for: 0s", RULES.read_text()))
    route = {"receiver": "hook", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"}
    receiver = {"name": "hook", "webhook_configs": [{"url": hook}]}
    # JSON is YAML.
    (folder / "alertmanager.yml").write_text(json.dumps({"route": route, "receivers": [receiver]}))


def await_alert(messages):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            message = messages.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise AssertionError(f"{ALERT} didn't reach the webhook within {TIMEOUT_SECONDS} s") from None
        for alert in message["alerts"]:
            if alert["labels"]["alertname"] == ALERT:
                return alert


def main():
    global PROMETHEUS
    parser = argparse.ArgumentParser()
    for name in ("--url", "--provider"):
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    check_files()
    queries = [query for path in DASHBOARDS for query in check_dashboard(path)]
    metrics = documented()
    PROMETHEUS, alertmanager = free_address(), free_address()
    manager = shutil.which("prometheus-alertmanager") or "alertmanager"
    with tempfile.TemporaryDirectory() as name, webhook() as (hook, messages):
        folder = pathlib.Path(name)
        write_configuration(folder, arguments, alertmanager, hook)
        with (
            program(folder, manager, "--config.file=alertmanager.yml", "--storage.path=alerts",
                    f"--web.listen-address={alertmanager}", "--cluster.listen-address="),
            program(folder, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                    f"--web.listen-address={PROMETHEUS}"),
        ):
            fail_requests(arguments)
            up = lambda: get(PROMETHEUS, "/api/v1/query", query='up{job="hearth"} == 1')["data"]["result"] or None
            wait("a scrape of the gateway", up)
            queries += rule_queries()
            check_names(queries, metrics)
            check_queries(queries)
            check_types(metrics)
            alert = await_alert(messages)
            assert alert["labels"]["provider"] == arguments.provider and alert["status"] == "firing", alert
    print(f"{len(queries)} queries, {len(metrics)} metrics, an alert: {alert['annotations']['summary']}")


if __name__ == "__main__":
    main()
