"""What the tests of the server's own pages share: what a page may do, and a browser to open it in."""
import base64
import contextlib
import hashlib
import re
import shutil

import pytest

BROWSER = shutil.which("chromium")
BREACH = "addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI))"


def hash_of(page, element):
    content = re.search(rf"<{element}>(.*?)</{element}>", page, re.S)[1]
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def assert_confined(answer):
    """The page may run its own script and ask its own server; nothing else."""
    page = answer.body.decode()
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'", "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'",
        "form-action": "'none'", "frame-ancestors": "'none'",
        "script-src": f"'{hash_of(page, 'script')}'", "style-src": f"'{hash_of(page, 'style')}'",
    }  # fmt: skip
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "://" not in page and not re.search(r"\b(src|srcset|style|on\w+)=", page.split("<script>")[0])


@contextlib.contextmanager
def running_browser():
    """Debian's chromium, driven by PyPI's playwright; a test is skipped where one of them is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


def is_fault(said):
    """Refusals that a test asks for show in the console too."""
    return said.type in ("error", "warning") and "Failed to load resource" not in said.text


@contextlib.contextmanager
def watched_pages(browser):
    """new_page(BASE, OPTIONS...): pages that may ask nobody else than BASE, and write nothing to the console: breaches of
    the policy show there."""
    contexts, faults = [], []

    def new_page(base, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        context.add_init_script(BREACH)
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if is_fault(said) else None)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: faults.append(request.url) if not request.url.startswith((base, "data:")) else None)
        return page

    yield new_page
    for context in contexts:
        context.close()
    assert not faults
