"""The playground at GET /, without a browser; tests/deploy/test_playground_browser.py uses it as a person does."""
import re

import pytest
from pages import assert_confined
from program import free_port
from serving import ask

HTML = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")]
MOST_BYTES = 60_000


def is_playground(answer):
    return answer.status == 200 and b"<title>querent: playground</title>" in answer.body


@pytest.mark.parametrize("accept", [HTML[0][1], "text/html"])
def test_browsers_get_it_at_the_root(server, accept):
    answer = ask(server, "/", headers=[("Accept", accept)])
    assert is_playground(answer)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["cache-control"] == "no-cache", "a new program has a new page"
    assert len(answer.body) < MOST_BYTES


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/plain", "text/html;q=0, */*", "text/html;q=0.4, */*;q=0.5"])
def test_all_others_get_health_there(server, accept):
    answer = ask(server, "/", headers=[] if accept is None else [("Accept", accept)])
    assert (answer.status, answer.body, answer.headers["vary"]) == (200, b"", "Accept")
    assert "content-type" not in answer.headers


def test_post_is_still_the_first_models_route(server):
    assert ask(server, "/", {"inputs": "a"}, headers=HTML).json() == ask(server, "/embed", {"inputs": "a"}).json()


def test_a_head_is_the_pages(server):
    answers = [ask(server, path, method="HEAD", headers=HTML) for path in ("/", "/docs")]
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"")] * 2
    assert all(answer.headers["content-type"].startswith("text/html") for answer in answers)


def test_it_may_run_itself_and_nothing_else(server):
    assert_confined(ask(server, "/", headers=HTML))


def test_it_names_no_other_place(server):
    page = ask(server, "/", headers=HTML).body.decode()
    assert "@import" not in page and "url(" not in page
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|localStorage|sessionStorage|cookie", page)


def test_it_needs_no_key_and_no_model(start_server, embedder, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("open-sesame\n")
    server = start_server("--api-key-file", keys, models=[embedder])
    assert is_playground(ask(server, "/", headers=HTML))
    assert ask(server, "/embed", {"inputs": "a"}).status == 401


def test_it_is_on_both_listeners(start_server, embedder):
    port = free_port()
    server = start_server("--ops-port", port, models=[embedder])
    assert is_playground(ask(server, "/", headers=HTML))
    assert is_playground(ask(server, "/", headers=HTML, port=port))
    assert ask(server, "/", port=port).body == b""
    assert ask(server, "/", {"inputs": "a"}, port=port).status == 405


@pytest.mark.parametrize("option", ["--no-playground", "--playground=false"])
def test_it_can_be_left_out(start_server, embedder, option):
    server = start_server(option, models=[embedder])
    answer = ask(server, "/", headers=HTML)
    assert (answer.status, answer.body, answer.headers["vary"]) == (200, b"", "Accept")
    assert ask(server, "/docs").status == 200
