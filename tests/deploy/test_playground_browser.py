"""The playground as a person uses it: Debian's chromium, driven by PyPI's playwright.

Pages are looked at by eye too: build/playground/ keeps a picture of each view.
"""
import json
import math
import os
import re
import subprocess

import pytest
from pages import running_browser, watched_pages
from program import HANG, ROOT, free_port
from serving import Server, ask, wait_for

pytestmark = pytest.mark.deploy
HOSTILE = "</textarea><img src=x onerror=alert(1)><script>document.title='gone'</script>"
SHOTS = ROOT / "build" / "playground"
LONG = "👩🏽‍🚀 In 1843 the re\u0301port was written by Ada Byron. " + "The river was high that spring. " * 150 + "Bob's “report”: Ada."
PATIENT = ("--budget-ms", "600000", "--drain-timeout-ms", "600000")


@pytest.fixture(scope="module")
def start():
    started = []

    def begin(*options, models):
        started.append(Server(models, *PATIENT, *options))
        return started[-1]

    yield begin
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def both(start, embedder, reader):
    return start(models=[embedder, reader])


@pytest.fixture(scope="module")
def browser():
    with running_browser() as running:
        yield running


@pytest.fixture
def visit(browser):
    with watched_pages(browser) as new_page:
        def at(server, port=None, **options):
            base = server.url if port is None else f"http://127.0.0.1:{port}"
            page = new_page(base, **options)
            with page.expect_response(re.compile("openapi.json")):
                page.goto(base + "/")
            return page

        yield at


def shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def run_curl(page, view, **environment):
    """What the curl command that a view shows answers, run by a shell as it stands there."""
    command = page.locator(f"#{view}-out pre").text_content()
    assert command.startswith("curl -s ")
    run = subprocess.run(["bash"], input=command.encode(), env={**os.environ, **environment}, capture_output=True, timeout=HANG)
    assert run.returncode == 0, run.stderr
    return run.stdout.decode()


def compare(page, *texts):
    page.fill("#queries", "\n".join(texts))
    page.click("#compare")
    page.wait_for_selector("#compare:not([disabled])")
    return page.inner_text("#similarity-state")


def find(page, question, passage):
    page.click("#tab-answer")
    page.fill("#question", question)
    page.fill("#passage", passage)
    page.click("#find")
    page.wait_for_selector("#find:not([disabled])")
    return page.inner_text("#answer-state")


def number_of(shown):
    return 0 if shown == "<\u00a00.0001" else float(shown)


def rows(page, caption):
    page.wait_for_selector(f"table:has(caption:has-text('{caption}'))", state="attached")
    script = "t => [...t.querySelectorAll('tbody tr')].map(r => [...r.children].map(c => c.textContent))"
    return page.locator(f"table:has(caption:has-text('{caption}'))").first.evaluate(script)


def test_similarity_shows_what_the_server_says(both, visit):
    page = visit(both)
    assert "3 queries compared" in compare(page, "cheap hotels", "low-cost hotels", "bread")
    shown = [[float(cell) for cell in row[1:]] for row in rows(page, "Cosine of each two")]
    said = ask(both, "/similarity", {"inputs": {"source_sentence": "cheap hotels", "sentences": ["low-cost hotels", "bread"]}}).json()
    assert shown[0] == pytest.approx([1, *said], abs=0.002)
    assert page.locator("#similarity-out rect.cell").count() == 9 + 21 and page.locator("#similarity-out circle").count() == 3
    best = max((1, 2), key=lambda at: said[at - 1])
    assert rows(page, "nearest")[0][1].split(" ", 1)[1].startswith(f"{best + 1}. ")
    assert len(json.loads(run_curl(page, "similarity"))) == 3


def test_fifty_queries_are_drawn(both, visit):
    page = visit(both)
    assert "50 queries compared" in compare(page, *(f"query {at}" for at in range(50)))
    assert page.locator("#similarity-out rect.cell").count() == 2500 + 21 and page.locator("#similarity-out circle").count() == 50


def test_the_model_that_answers_is_named_and_chosen(start, tiny, embedder, visit):
    server = start(models=[f"first={embedder}", f"second={embedder}"])
    page = visit(server)
    page.wait_for_selector("#similarity-model option[value=second]", state="attached")
    assert "by first" in compare(page, "a", "b")
    page.select_option("#similarity-model", "second")
    assert "by second" in compare(page, "a", "b")
    assert '"model":"second"' in page.locator("#similarity-out pre").text_content()
    page.click("#tab-answer")
    assert "no model of this kind" in page.inner_text("#answer-state")


def test_too_few_queries_are_not_sent(both, visit):
    page = visit(both)
    assert "2 to 50" in compare(page, "alone")
    assert "2 to 50" in compare(page, *map(str, range(51)))
    assert page.inner_text("#own") == "" or "None so far" in page.locator("#own").text_content()


def test_answers_are_marked_where_they_stand(both, visit):
    """Code points are no UTF-16 units, and accents and skin tones stay with what they belong to."""
    passage = "👩🏽‍🚀 In 1843 the re\u0301port 👍🏽 was written by Ada Byron 🎉."
    page = visit(both)
    find(page, "Who wrote the report?", passage)
    said = ask(both, "/spans", {"question": "Who wrote the report?", "passages": [passage], "top_k": 5}).json()
    assert page.locator(".passage").text_content() == passage
    best = said["answers"][0]
    mark = page.locator("mark.best").text_content()
    assert "".join(passage[best["start"] : best["end"]]) in mark
    shown = rows(page, "Answers, best first")
    assert [row[2] for row in shown[:-1]] == [answer["answer"] for answer in said["answers"]]
    assert [number_of(row[1]) for row in shown] == pytest.approx([*(answer["score"] for answer in said["answers"]), said["no_answer"]], abs=0.0001)
    assert json.loads(run_curl(page, "answer"))["answers"] == said["answers"]


def test_windows_of_a_long_passage_are_shown(both, visit):
    page = visit(both)
    find(page, "Who's it by?", LONG)
    said = ask(both, "/spans", {"question": "Who's it by?", "passages": [LONG], "top_k": 5, "windows": True}).json()
    windows = [[str(window[name]) for name in ("start", "end", "tokens")] for window in said["windows"]]
    assert len(windows) > 2 and [row[1:4] for row in rows(page, "Windows; places")] == windows
    assert page.locator("#answer-out rect.window").count() == len(windows)
    assert json.loads(run_curl(page, "answer"))["windows"] == said["windows"]
    page.select_option("#window", "1")
    start, end = said["windows"][1]["start"], said["windows"][1]["end"]
    assert page.locator(".passage").text_content() == LONG
    assert "".join(page.locator(".passage .out").all_text_contents()) == LONG[:start] + LONG[end:]
    page.select_option("#window", "")
    assert page.locator(".passage .out").count() == 0


def test_a_curl_of_a_long_passage_runs_too(both, visit):
    """Linux takes no argument of 128 KiB."""
    page = visit(both)
    long = "It's a river. " * 12_000
    find(page, "What?", long)
    assert json.loads(run_curl(page, "answer"))["windows"][-1]["end"] == len(long.rstrip())


def test_marks_are_widened_to_whole_characters(both, visit):
    page = visit(both)
    for passage, start, end, wanted in [("ae\u0301b", 1, 2, "e\u0301"), ("x👍🏽y", 1, 2, "👍🏽"), ("a😀bc", 2, 3, "b"), ("👩🏽‍🚀!", 2, 3, "👩🏽‍🚀")]:
        got = page.evaluate("([p, s, e]) => { const a = Array.from(p); return a.slice(...widen(a, s, e)).join(''); }", [passage, start, end])
        assert got == wanted


def test_live_shows_percentiles_of_what_was_asked(both, visit):
    page = visit(both)
    page.click("#tab-live")
    page.wait_for_selector("#live-out table", state="attached")
    for at in range(20):
        ask(both, "/embed", {"inputs": f"query {at}"})
    wait_for(lambda: int(rows(page, "Percentiles in ms")[0][1]) >= 20, "the page to see the requests")
    row = rows(page, "Percentiles in ms")[0]
    assert 0 < float(row[2]) <= float(row[3]) <= float(row[4])
    page.click("#pause")
    assert page.get_attribute("#pause", "aria-pressed") == "true"


def test_percentiles_are_prometheus_own(both, visit):
    page = visit(both)
    script = "([list, share]) => quantile(list.map(([le, n]) => [le === null ? Infinity : le, n]), share)"
    for share, wanted in [(0.5, "1.500"), (0.75, "2.000"), (0.95, "> 2")]:  # 2 up to 1 ms, 4 up to 2 ms, 2 above
        assert page.evaluate(script, [[[0.001, 2], [0.002, 4], [None, 2]], share]) == wanted
    assert page.evaluate(script, [[[0.001, 0]], 0.5]) == "–"


def buckets_of(text, name, **wanted):
    """[(upper bound in s, requests up to it)] of a histogram, all its series together; but of route "other"."""
    found = {}
    for labels, value in re.findall(rf"^{name}_bucket{{(.*)}} (\S+)$", text, re.M):
        have = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if have.get("route") != "other" and wanted.items() <= have.items():
            found[have["le"]] = found.get(have["le"], 0) + float(value)
    return sorted((math.inf if le == "+Inf" else float(le), count) for le, count in found.items())


def percentile(before, after, share):
    """As Prometheus' histogram_quantile: even within the bucket; in ms, as the page writes it."""
    before = dict(before)
    list_ = [(le, count - before.get(le, 0)) for le, count in after]
    rank, lower, below = share * list_[-1][1], 0, 0
    for le, upto in list_:
        if upto >= rank and upto > below:
            return "> " if le == math.inf else f"{1000 * (lower + (le - lower) * (rank - below) / (upto - below)):.3f}"
        lower, below = le, upto
    return "–"


def test_the_percentiles_are_those_of_metrics(both, visit):
    """The test reads the same /metrics as the page did, and computes for itself."""
    page, bodies = visit(both), []
    page.on("response", lambda response: bodies.append(response.text()) if response.url.endswith("/metrics") else None)
    page.click("#tab-live")
    page.wait_for_selector("#live-out table", state="attached")
    for turn in (0, 1):
        for at in range(20):
            ask(both, "/embed", {"inputs": [f"another query {turn} {at}"] * (1 + at % 8)})
            ask(both, "/spans", {"question": f"who {turn} {at}?", "passages": ["Ada wrote it. " * (1 + at)]})
        wait_for(lambda: int(rows(page, "Percentiles in ms, last 5 min")[0][1]) >= 40 * (1 + turn), "the page to see the requests")
        if turn == 0:
            page.evaluate("samples.forEach((one) => { one.at -= 60000; })")  # a minute passes
    page.click("#pause")
    shown = {caption: rows(page, f"Percentiles in ms, last {caption}") for caption in ("10 s", "5 min")}
    at = page.evaluate("samples.map((one) => one.at)")
    assert len(bodies) >= len(at)
    assert int(shown["10 s"][0][1]) <= int(shown["5 min"][0][1]) - 40
    for caption, reach in [("10 s", 10_000), ("5 min", 300_000)]:
        first = next(n for n, when in enumerate(at) if at[-1] - when <= reach + 1000)
        before, after = bodies[first], bodies[len(at) - 1]
        for stage, *cells in shown[caption]:
            name, labels = ("querent_request_duration_seconds", {}) if stage == "whole request" else ("querent_stage_duration_seconds", {"stage": stage})
            old, new = buckets_of(before, name, **labels), buckets_of(after, name, **labels)
            assert int(cells[0]) == new[-1][1] - (old[-1][1] if old else 0)
            for cell, share in zip(cells[1:], (0.5, 0.9, 0.99)):
                wanted = percentile(old, new, share)
                assert cell.startswith(wanted) if wanted == "> " else cell == wanted or float(cell) == pytest.approx(float(wanted), abs=0.0011)
    page.select_option("#stage", label="compute")
    whole = rows(page, "Up to so many ms: compute, last 5 min")
    assert sum(int(row[1]) for row in whole) == int(shown["5 min"][3][1])
    assert "querent_ready 1" in run_curl(page, "live")


def test_another_process_begins_anew(both, visit):
    """Counters of a server that was started again are smaller: no difference with the old ones is shown."""
    page = visit(both)
    page.click("#tab-live")
    page.wait_for_function("() => samples.length > 1")
    page.route("**/metrics", lambda route: route.fulfill(body='querent_model_batches_total{model="m"} 0\n', content_type="text/plain"))
    page.wait_for_function("() => samples.length === 1")
    page.route("**/metrics", lambda route: route.abort())
    page.wait_for_selector("#live-state.bad:has-text('What is shown is old')")


def test_late_and_refused_are_told(both, start, embedder, visit):
    page = visit(both)
    page.fill("#budget", "0.001")
    assert compare(page, "late one", "late two").startswith("504, late")
    assert "curl -s" in page.locator("#similarity-out pre").text_content()
    full = start("--queue-items", "1", "--cache-bytes", "0", models=[embedder])
    page = visit(full)
    said = compare(page, *map(str, range(50)))
    assert re.match(r"4\d\d", said) and page.get_attribute("#similarity-state", "class") == "state bad"
    page.route("**/embed", lambda route: route.fulfill(status=429, headers={"Retry-After": "3"}, json={"error": "busy"}))
    said = compare(page, "a", "b")
    assert said.startswith("429, refused: busy") and "in 3 s" in said
    page.route("**/embed", lambda route: route.fulfill(status=429, json={"error": "the budget is too small"}))
    said = compare(page, "a", "b")
    assert said == "429, refused: the budget is too small.", "it does not say when to ask again, so neither does the page"
    page.route("**/embed", lambda route: route.abort())
    assert compare(page, "a", "b").startswith("No answer")


def test_the_key_is_kept_in_memory_alone(start, embedder, tmp_path, visit):
    keys = tmp_path / "keys"
    keys.write_text("open-sesame\n")
    keyed = start("--api-key-file", keys, models=[embedder])
    page = visit(keyed)
    assert compare(page, "a", "b") == "401: this server asks for an API key, and none was given."
    assert page.evaluate("document.activeElement.id") == "key"
    page.fill("#key", "wrong")
    assert compare(page, "a", "b").endswith("the one given is not valid.")
    page.fill("#key", "open-sesame")
    assert "2 queries compared" in compare(page, "a", "b")
    assert "open-sesame" not in page.locator("#similarity-out pre").text_content()
    assert len(json.loads(run_curl(page, "similarity", KEY="open-sesame"))) == 2
    page.wait_for_selector("#similarity-model option:not([value=''])", state="attached")
    assert page.context.storage_state() == {"cookies": [], "origins": []}
    assert page.evaluate("indexedDB.databases()") == [] and page.evaluate("caches.keys()") == []
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.search]") == [0, 0, "", ""]
    page.reload()
    assert page.input_value("#key") == ""


def test_each_listener_says_what_the_other_has(start, embedder, visit):
    port = free_port()
    server = start("--ops-port", port, models=[embedder])
    page = visit(server)
    page.click("#tab-live")
    page.wait_for_selector("#live-state:has-text('--ops-port')")
    page = visit(server, port=port)
    page.wait_for_selector("#live-out table", state="attached")
    page.click("#tab-similarity")
    assert page.is_disabled("#compare") and "ops port" in page.inner_text("#similarity-state")


@pytest.mark.parametrize("hostile", [HOSTILE, "\u202eevil\u202c \u05d0\u05d1\u05d2", "x" * 10_000])
def test_what_is_typed_stays_text(both, visit, hostile):
    page = visit(both, viewport={"width": 320, "height": 700})
    assert "2 queries compared" in compare(page, hostile, "bread")
    find(page, hostile[:200], "before " + hostile + " after")
    assert page.locator("main img").count() == 0 and page.title() == "querent: playground"
    assert page.locator(".passage").text_content() == "before " + hostile + " after"
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_nothing_moves(both, visit):
    """There is nothing to stop for those who ask for reduced motion."""
    page = visit(both)
    compare(page, "a", "b")
    moving = "getComputedStyle(one).animationName !== 'none' || getComputedStyle(one).transitionDuration !== '0s'"
    assert page.evaluate(f"[...document.querySelectorAll('*')].filter((one) => {moving}).length") == 0


def test_by_keyboard_alone(both, visit):
    page = visit(both)
    page.focus("#tab-similarity")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "queries"
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#similarity-out svg")
    page.focus("#tab-similarity")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer-out .passage")
    page.focus("#tab-answer")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#live-out table", state="attached")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.inner_text("#live-state") == "Paused."
    page.focus("#tab-live")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-similarity", "the row of tabs goes round"


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(both, visit, width, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(both, viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce")
    compare(page, "cheap hotels in berlin", "low-cost accommodation", "how tall is mount everest", "bread")

    def check(name):
        shoot(page, f"{name}-{theme}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        faults = [f for f in axe.run(page).response["violations"] if f["impact"] in ("serious", "critical")]
        assert not faults, [(fault["id"], [node["html"][:120] for node in fault["nodes"]]) for fault in faults]

    check("similarity")
    find(page, "Who wrote the report?", LONG[:1900])
    assert page.locator("#answer-out rect.window").count() > 1
    page.select_option("#window", "1")
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    check("answer")
    page.click("#tab-live")
    page.wait_for_selector("#live-out table", state="attached")
    ask(both, "/embed", {"inputs": f"{theme} {width}"})
    page.wait_for_selector("#live-out svg")
    page.click("#pause")
    check("live")
    back = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(back)
    page.select_option("#theme", "dark" if theme == "light" else "light")
    assert page.evaluate(back) != before
