"""docs/CONFIG.md, `querent serve --help` and src/config/options.h say the same."""

import re

import options_table
import pytest


@pytest.fixture(scope="module")
def help_text():
    if not options_table.BINARY.exists():
        pytest.skip(f"{options_table.BINARY} is not built")
    return options_table.read_help()


def test_the_page_has_the_table_of_help(help_text):
    page = options_table.PAGE.read_text(encoding="utf-8")
    assert page == options_table.make_page(page, help_text), "python3 tests/house/options_table.py --write"


def test_help_has_every_row_of_the_source(help_text):
    source = (options_table.ROOT / "src/config/options.h").read_text(encoding="utf-8")
    names = re.findall(r'^    X\([A-Z0-9_]+, "([a-z0-9-]+)",', source, re.M)
    assert len(names) > 10
    assert [name for name, *_ in options_table.parse_help(help_text)] == names


def test_help_has_every_key_of_models(help_text):
    source = (options_table.ROOT / "src/config/model_keys.h").read_text(encoding="utf-8")
    names = re.findall(r'^    X\([A-Z0-9_]+, "([a-z0-9-]+)",', source, re.M)
    assert len(names) > 5
    assert [name for name, *_ in options_table.parse_models(help_text)] == names


def test_a_changed_help_is_seen():
    text = (
        "usage: x\n\n  --port N      port to listen on [0..65535, default 8080]\n  --far-away    from afar [default false]\n"
        "  --kind a|b    one of two [default a]\n  --help        print this\n"
    )
    options = options_table.parse_help(text)
    assert options[0] == ("port", "N", "port to listen on", "0..65535, default 8080")
    assert options[1] == ("far-away", "", "from afar", "default false")
    page = f"a\n{options_table.BEGIN}old\n{options_table.END}\nb\n"
    fresh = options_table.replace(page, options_table.render(options))
    assert fresh.startswith("a\n") and fresh.endswith("\nb\n") and "old" not in fresh
    assert "| `far-away` | `QUERENT_FAR_AWAY` | default false | from afar |" in fresh
    assert "`a\\|b` default a" in fresh
    changed = options_table.render(options_table.parse_help(text.replace("8080", "8081")))
    assert options_table.replace(fresh, changed) != fresh
