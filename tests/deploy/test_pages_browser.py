"""What `--cors-allow-origin` lets a page of another origin do, in Debian's chromium: it asks as OpenAI's client does."""
import http.server
import threading

import pytest
from pages import running_browser
from serving import Server

pytestmark = pytest.mark.deploy
KEY = "open-sesame"
# The fields of openai-node 6, and one that no list of ours can have.
ASKS = """async ([url, key, body]) => {
    const names = ['arch', 'lang', 'os', 'package-version', 'retry-count', 'runtime', 'runtime-version', 'timeout'];
    const more = Object.fromEntries(names.map((name) => ['x-stainless-' + name, '1']));
    const headers = {authorization: 'Bearer ' + key, 'content-type': 'application/json', 'x-of-ours': '1', ...more};
    const answer = await fetch(url, {method: 'POST', headers, body: JSON.stringify(body)});
    return [answer.status, Object.fromEntries(answer.headers), await answer.json()];
}"""


class Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>page</title>")

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def page():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank) as host, running_browser() as browser:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.origin = f"http://127.0.0.1:{host.server_port}"
        page.goto(page.origin)
        yield page
        host.shutdown()


@pytest.mark.parametrize("allowed", ["own", "*"])
def test_a_page_asks_with_its_own_fields(page, embedder, tmp_path, allowed):
    (tmp_path / "keys").write_text(KEY)
    server = Server([embedder], "--api-key-file", tmp_path / "keys", "--budget-ms", "600000",
                    "--cors-allow-origin", page.origin if allowed == "own" else "*")
    try:
        status, headers, body = page.evaluate(ASKS, [server.url + "/v1/embeddings", KEY, {"input": "a lake"}])
        assert status == 200 and body["data"][0]["embedding"]
        assert {"x-trace-id", "server-timing", "x-compute-tokens"} <= set(headers)
        status, headers, body = page.evaluate(ASKS, [server.url + "/v1/embeddings", "wrong", {"input": "a lake"}])
        assert status == 401 and body["message"] and "x-trace-id" in headers
    finally:
        server.stop()


def test_a_page_of_another_origin_may_not(page, embedder):
    server = Server([embedder], "--cors-allow-origin", "https://page.example")
    try:
        refused = page.evaluate(f"({ASKS})(arguments[0])".replace("arguments[0]", "['%s/v1/embeddings', '', {input: 'a'}]" % server.url)
                                + ".then(() => false, () => true)")
        assert refused
    finally:
        server.stop()
