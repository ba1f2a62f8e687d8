"""`querent tokenize` beside the `tokenizers` package."""

import json

import pytest
from cli_tool import json_lines, querent
from tokenizers import Tokenizer

TEXTS = [
    "how tall is the lighthouse",
    "",
    "   ",
    "Unbelievable tokenization, isn't it?",
    "ÉMILE DUCHÊNE — 112 steps",
    "東京と大阪 and Zürich",
    "emoji 🚄🇳🇴👩‍🔬 in a query",
    "combining: e\u0301a\u0308 \u0130\u0131 \u00df\u017f",
    "tabs\tand\rreturns\x0b\x0c\u2028 stay in the text\r",
    "controls \x01\x02\u200b\u00ad\ufeff vanish",
    "[CLS] literal [SEP] and [MASK]",
    "a" * 99 + " " + "b" * 100 + " " + "c" * 101,
    "한국어 텍스트 हिन्दी ไทย العربية",
    "price: $1,299.00 (excl. VAT); x=y^2~`",
    "long " * 700,
]


@pytest.mark.parametrize("model", ["minilm", "squad"])
def test_equals_tokenizers(model, request):
    path = request.getfixturevalue(model)
    oracle = Tokenizer.from_file(str(path / "tokenizer.json"))
    oracle.no_truncation()
    oracle.no_padding()
    found = json_lines(querent("tokenize", "--model", path, stdin="\n".join(TEXTS).encode()))
    assert len(found) == len(TEXTS)
    for text, ours in zip(TEXTS, found):
        theirs = oracle.encode(text)
        assert list(ours) == ["ids", "tokens", "offsets"]
        assert ours["ids"] == theirs.ids, text
        assert ours["tokens"] == theirs.tokens, text
        assert [tuple(pair) for pair in ours["offsets"]] == theirs.offsets, text


def test_invalid_utf8_is_a_replacement_character(squad):
    """Each maximal ill-formed part is one U+FFFD, as Python's errors="replace" has it; offsets count it as one."""
    raw = b"good \xff\xfe bad \xe2\x82 \xf0\x9f\x98 end\xc3"
    oracle = Tokenizer.from_file(str(squad / "tokenizer.json"))
    theirs = oracle.encode(raw.decode("utf-8", errors="replace"))
    (ours,) = json_lines(querent("tokenize", "--model", squad, stdin=raw + b"\n"))
    assert ours["ids"] == theirs.ids
    assert [tuple(pair) for pair in ours["offsets"]] == theirs.offsets


def test_many_lines_keep_their_order(squad):
    texts = [f"line {i} of many" for i in range(20_000)]
    found = json_lines(querent("tokenize", "--model", squad, "--threads", "2", stdin="\n".join(texts).encode()))
    assert len(found) == len(texts)
    for i in range(0, len(texts), 997):
        assert "".join(t.removeprefix("##") for t in found[i]["tokens"][2:-3]) == str(i)


def test_a_missing_model_is_named():
    done = querent("tokenize", "--model", "/nonexistent", stdin=b"x\n")
    assert done.returncode == 1
    assert b"/nonexistent" in done.stderr


def test_a_text_of_too_many_tokens_is_named(embedder):
    """The limit is the tokenizer's; a model has no part in it."""
    done = querent("tokenize", "--model", embedder, stdin=b"a " * 2_097_152 + b"\nriver\n")
    assert done.returncode == 1
    assert "line 1: the text has more than 2097152 tokens" in done.stderr.decode()
    refused, good = done.stdout.decode().splitlines()
    assert "more than 2097152 tokens" in refused and "ids" in good
