"""/openapi.json and /docs at a whole server, beside docs/API.md. That answers are what the document says is asked in
test_openapi_cases.py."""
import json
import re

import pytest
from pages import assert_confined, running_browser, watched_pages
from program import ROOT, free_port
from serving import ask

NEVER_GOOD = {"/embed_sparse"}  # no model here can answer it


@pytest.fixture(scope="module")
def every_kind(start_server, tiny):
    """A model of each kind, so that every route has one that answers."""
    return start_server(models=[tiny(name) for name in ("embedder", "reader", "sentiment", "reranker", "tagger")])


@pytest.fixture(scope="module")
def keyed(start_server, embedder, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("open-sesame\n")
    return start_server("--api-key-file", keys, models=[embedder])


def document(server, port=None):
    answer = ask(server, "/openapi.json", port=port)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


def operations(doc, method=None):
    found = [(verb, path, operation) for path, methods in doc["paths"].items() for verb, operation in methods.items()]
    return [item for item in found if method in (None, item[0])]


def paths_of(path, operation):
    """Its own and its aliases, with the name of a model where one is wanted."""
    return [name.replace("{model}", "embedder") for name in (path, *operation.get("x-aliases", []))]


# ---- The document --------------------------------------------------------------------------------


def test_it_is_valid_openapi(every_kind, keyed):
    validator = pytest.importorskip("openapi_spec_validator")
    for server in (every_kind, keyed):
        doc = document(server)
        validator.validate(doc, cls=validator.OpenAPIV31SpecValidator)
        doc["paths"]["/embed"]["post"]["parameters"] = [{"name": "x"}]
        with pytest.raises(Exception, match="'in' is a required property|\"in\" is a required property"):
            validator.validate(doc, cls=validator.OpenAPIV31SpecValidator)


def test_teis_clients_find_it_too(server):
    assert ask(server, "/api-doc/openapi.json").json() == document(server)


def without_id(answer):
    """Cohere's answers are numbered."""
    body = answer.json()
    return {key: value for key, value in body.items() if key != "id"} if isinstance(body, dict) else body


def test_every_example_gets_an_answer(every_kind):
    """What the page offers to send is a request that works; and each alias is what it stands for."""
    seen = 0
    for _, path, operation in operations(document(every_kind), "post"):
        if path in NEVER_GOOD:
            continue
        example = operation["requestBody"]["content"]["application/json"].get("example")
        assert example is not None, path
        answers = [ask(every_kind, name, example) for name in paths_of(path, operation)]
        assert {answer.status for answer in answers} == {200}, (path, answers[0].body)
        assert all(without_id(answer) == without_id(answers[0]) for answer in answers), path
        seen += 1
    assert seen >= 6


def test_every_route_that_takes_no_body_answers(every_kind):
    for _, path, operation in operations(document(every_kind), "get"):
        for name in paths_of(path, operation):
            answer = ask(every_kind, name)
            assert answer.status == 200, name
            content = operation["responses"]["200"].get("content", {})
            assert answer.headers.get("content-type", "").split(";")[0] in (list(content) or [""]), name


def test_keys_are_told_of_where_they_are_asked_for(server, keyed):
    assert "securitySchemes" not in document(server)["components"]
    assert not any("security" in operation for _, _, operation in operations(document(server)))
    doc = document(keyed)
    assert doc["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for method, path, operation in operations(doc):
        status = ask(keyed, path, {} if method == "post" else None).status
        assert (status == 401) == ("security" in operation) == ("401" in operation["responses"]), path


def test_each_listener_has_a_document_of_its_own(start_server, embedder):
    port = free_port()
    server = start_server("--ops-port", port, models=[embedder])
    main, ops = document(server), document(server, port)
    assert {"/embed", "/docs", "/openapi.json", "/"} <= set(main["paths"]) and "/metrics" not in main["paths"]
    assert {"/metrics", "/health", "/docs", "/openapi.json", "/"} <= set(ops["paths"]) and "/embed" not in ops["paths"]
    for doc, where in ((main, None), (ops, port)):
        for _, path, operation in operations(doc, "get"):
            assert ask(server, paths_of(path, operation)[0], port=where).status == 200, path


def fields(schema):
    """The names of all members of a request's body."""
    if isinstance(schema, dict):
        named = schema.get("properties", {})
        return set(named).union(*map(fields, named.values()), *(fields(part) for key, part in schema.items() if key != "properties"))
    return set().union(*map(fields, schema)) if isinstance(schema, list) else set()


def test_the_page_for_readers_has_the_same_routes_and_fields(start_server, embedder):
    """docs/API.md: its first table has every route and nothing else, and each field of a request stands somewhere."""
    port = free_port()
    server = start_server("--admin", "--ops-port", port, models=[embedder])
    found = [item for doc in (document(server), document(server, port)) for item in operations(doc)]
    own = {(path, method) for method, path, _ in found}
    aliases = {(alias, method) for method, _, operation in found for alias in operation.get("x-aliases", [])}
    page = (ROOT / "docs/API.md").read_text(encoding="utf-8")
    table = re.search(r"^\| route \| method .*?\n\n", page, re.M | re.S)[0]
    rows = re.findall(r"^\| (`/.*?) \| (\w+) \|", table, re.M)
    listed = {(path, method.lower()) for cell, method in rows for path in re.findall(r"`([^`]+)`", cell)}
    assert own <= listed <= own | aliases
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", page)))) | set(re.findall(r'"(\w+)"', page))
    wanted = set().union(*(fields(operation["requestBody"]["content"]) for _, _, operation in found if "requestBody" in operation))
    assert len(wanted) > 40 and not wanted - words


# ---- The page ---------------------------------------------------------------------------


def test_the_page_may_run_itself_and_nothing_else(keyed):
    answer = ask(keyed, "/docs")
    assert answer.status == 200, "the page needs no key"
    assert_confined(answer)
    assert len(answer.body) < 60_000


def test_without_scripts_it_says_where_to_look(server):
    page = ask(server, "/docs").body.decode().split("<script>")[0]
    assert 'href="openapi.json"' in page and "without scripts" in page


# ---- The page in a browser ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    with running_browser() as running:
        yield running


@pytest.fixture
def open_page(browser):
    with watched_pages(browser) as new_page:
        def open_at(server, path, **options):
            page = new_page(server.url, **options)
            page.goto(server.url + path)
            page.wait_for_selector("details.route")
            return page

        yield open_at


def try_route(page, name):
    page.click(f"#{name} > summary")
    page.click(f"#{name} button.send")
    page.wait_for_selector(f"#{name} .answer .status:is(.good, .bad)")
    return page.inner_text(f"#{name} .answer .status")


def test_each_route_can_be_tried(every_kind, open_page):
    page = open_page(every_kind, "/docs")
    for method, path, operation in operations(document(every_kind)):
        if "{" not in path and path not in NEVER_GOOD:
            status = try_route(page, operation["operationId"])
            assert status.startswith("200"), (method, path, status)
    assert "EMBEDDER" in page.inner_text("#get_info .answer").upper()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(every_kind, open_page, width, theme):
    page = open_page(every_kind, "/docs#post_v1_embeddings", viewport={"width": width, "height": 900}, color_scheme=theme)
    assert page.get_attribute("#post_v1_embeddings", "open") is not None, "the address names a route"
    page.click("#post_v1_embeddings button.send")
    page.wait_for_selector("#post_v1_embeddings .status.good")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back))) > 384) == (theme == "light")


def test_the_key_is_kept_in_memory_alone(keyed, open_page):
    page = open_page(keyed, "/docs")
    assert try_route(page, "post_embed").startswith("401")
    page.fill("#bar input", "open-sesame")
    page.click("#post_embed button.send")
    page.wait_for_selector("#post_embed .status.good")
    kept = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.href]")
    assert kept == [0, 0, "", keyed.url + "/docs"]
    page.reload()
    assert page.input_value("#bar input") == ""


def test_an_answer_is_never_markup(every_kind, open_page):
    page = open_page(every_kind, "/docs")
    page.click("#post_tokenize > summary")
    hostile = "</pre><img src=x onerror=alert(1)><script>document.title='gone'</script>"
    page.fill("#post_tokenize textarea", json.dumps({"inputs": hostile}))
    page.click("#post_tokenize button.send")
    page.wait_for_selector("#post_tokenize .status.good")
    assert page.locator("#post_tokenize .answer img").count() == 0
    assert page.title() == "querent: routes"
