"""API keys and pages of other origins, at a whole server."""
import http.client

import pytest

KEY = {"Authorization": "Bearer open-sesame"}


@pytest.fixture(scope="module")
def keyed(start_server, embedder, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("open-sesame\nsecond\n")
    return start_server("--api-key-file", keys, "--cors-allow-origin", "https://page.example", models=[embedder])


def ask(server, method, target, headers=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, target, body, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_a_key_opens_the_door(keyed):
    for key in ("open-sesame", "second"):
        answer, _ = ask(keyed, "POST", "/embed", {"Authorization": "Bearer " + key}, '{"inputs":"a"}')
        assert answer.status == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer open-sesam"}, {"Authorization": "open-sesame"}])
@pytest.mark.parametrize("method,target", [("POST", "/embed"), ("GET", "/info"), ("GET", "/nowhere"), ("PUT", "/embed")])
def test_without_one_nothing_is_told(keyed, headers, method, target):
    answer, body = ask(keyed, method, target, headers)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert body == b'{"error":"the request has no valid API key","error_type":"Validation"}'


@pytest.mark.parametrize("target", ["/health", "/metrics", "/v2/health/live", "/v2/health/ready"])
def test_probes_need_none(keyed, target):
    assert ask(keyed, "GET", target)[0].status == 200


def test_a_browser_asks_before_it_sends(keyed):
    asks = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    answer, body = ask(keyed, "OPTIONS", "/embed", asks)
    assert (answer.status, body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert {"*", "authorization", "content-type"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer.headers, "with it * would be a name like any other"
    assert answer.headers["Vary"] == "Origin"
    # Errors can be read by the page too.
    answer, _ = ask(keyed, "POST", "/embed", {"Origin": "https://page.example"}, "{}")
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (401, "https://page.example")
    answer, _ = ask(keyed, "POST", "/embed", {"Origin": "https://page.example", **KEY}, '{"inputs":"a"}')
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://page.example")
    assert {"*", "retry-after"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    answer, _ = ask(keyed, "POST", "/embed", {"Origin": "https://page.example", **KEY}, b"a" * 2000001)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (413, "https://page.example", "Origin")
    answer, _ = ask(keyed, "POST", "/embed", {"Origin": "https://page.example", **KEY, "Host": "a/b"}, '{"inputs":"a"}')
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (400, None), "nothing of such a head is believed"


def test_other_pages_learn_nothing(keyed):
    asks = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    answer, _ = ask(keyed, "OPTIONS", "/embed", asks)
    assert answer.status == 401 and "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin", "a cache must not give this answer to the other page"
    answer, _ = ask(keyed, "OPTIONS", "/nowhere", {**asks, "Origin": "https://page.example"})
    assert answer.status == 401, "there is nothing to send there"


def test_a_connection_goes_on_after_a_preflight(keyed):
    connection = http.client.HTTPConnection("127.0.0.1", keyed.port, timeout=60)
    for _ in range(3):
        connection.request("OPTIONS", "/embed", headers={"Origin": "https://page.example", "Access-Control-Request-Method": "POST"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
    connection.request("POST", "/embed", '{"inputs":"a"}', {"Content-Type": "application/json", **KEY})
    assert connection.getresponse().status == 200
    connection.close()
