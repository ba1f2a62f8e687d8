#!/usr/bin/env python3
"""How soon the playground shows an answer: from the click until it stands on the page, in chromium, first of a server that
has just started, then of one that has answered.

    .venv/bin/python bench/first_drawn.py [--starts 4]          after tools/setup deploy and make run once (models/minilm)

Prints milliseconds, one line an answer: until it is in the page, until the next frame is painted, and what the server took
of it by its own Server-Timing. docs/SPEED.md has the figures.
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "tests/server", "tests/deploy")]

from pages import running_browser, watched_pages  # noqa: E402
from serving import Server  # noqa: E402

# The click, and the answer's mark seen in the page.
CLICK = """([button, out, mark]) => new Promise(done => {
  const place = document.querySelector(out), start = performance.now(), before = performance.getEntriesByType('resource').length;
  place.replaceChildren();
  const watch = new MutationObserver(() => {
    if (!place.querySelector(mark)) return;
    watch.disconnect();
    const drawn = performance.now();
    requestAnimationFrame(() => setTimeout(() => {
      const timing = performance.getEntriesByType('resource').slice(before).flatMap(entry => [...entry.serverTiming]);
      done([drawn - start, performance.now() - start, timing.find(part => part.name === 'total').duration]);
    }));
  });
  watch.observe(place, {childList: true, subtree: true});
  document.querySelector(button).click();
})"""


def similarity(page, turn):
    page.fill("#queries", "\n".join(f"cheap hotels {turn} {i}" for i in range(5)))
    return page.evaluate(CLICK, ["#compare", "#similarity-out", "rect.cell"])


def answer(page, turn):
    page.click("#tab-answer")
    page.fill("#question", f"Who wrote the report {turn}?")
    page.fill("#passage", f"In 1843 the report was written by Ada Byron {turn}. " + "The river was high that spring. " * 10)
    return page.evaluate(CLICK, ["#find", "#answer-out", "mark"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=4)
    starts = parser.parse_args().starts
    with running_browser() as browser:
        for view in (similarity, answer):
            for start in range(starts):
                server = Server([ROOT / "models/minilm", ROOT / "models/squad-3l"])
                with watched_pages(browser) as new_page:
                    page = new_page(server.url)
                    with page.expect_response(re.compile("openapi.json")):
                        page.goto(server.url + "/")
                    for turn in range(3):
                        drawn, painted, took = view(page, turn)
                        print(f"{view.__name__}, start {start}, answer {turn + 1}: drawn {drawn:.0f}, painted {painted:.0f}, "
                              f"the server {took:.1f}", flush=True)  # fmt: skip
                server.stop()


if __name__ == "__main__":
    main()
