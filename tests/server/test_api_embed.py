"""POST /embed, /tokenize and /info, on tiny models with MiniLM's vocabulary. The real ones:
test_real_models.py."""
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from program import HIDDEN, MAX_TOKENS
from serving import ask

TEXTS = [
    "how tall is everest",
    "Café ÉTÉ größte Straße",
    "東京の天気",
    "emoji 😀👩‍👩‍👧 and \u200bzero width",
    "a",
    "   spaces\tand\u00a0more   ",
    "won't stop can't stop, U.S.A.",
    "cheap flights from london to new york in december with one stop",
]


def embed(server, inputs, **fields):
    answer = ask(server, "/embed", {"inputs": inputs, **fields})
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    return np.array(answer.json(), dtype=np.float32)


def fails(server, path, body, status, kind):
    answer = ask(server, path, body)
    assert (answer.status, answer.json()["error_type"]) == (status, kind), answer.body
    return answer.json()["error"]


def test_always_a_list_of_lists(server):
    assert embed(server, "one").shape == (1, HIDDEN)
    assert embed(server, ["one"]).shape == (1, HIDDEN)
    assert embed(server, TEXTS).shape == (len(TEXTS), HIDDEN)


def test_batch_mates_change_no_bit(server):
    alone = np.concatenate([embed(server, text) for text in TEXTS])
    assert np.array_equal(embed(server, TEXTS), alone)
    assert np.array_equal(embed(server, TEXTS[::-1]), alone[::-1])
    with ThreadPoolExecutor(8) as pool:  # many clients at once share batches
        many = list(pool.map(lambda i: embed(server, TEXTS[i % len(TEXTS)])[0], range(64)))
    assert np.array_equal(np.array(many), alone[np.arange(64) % len(TEXTS)])


def test_ids_are_what_the_text_is(server):
    tokens = ask(server, "/tokenize", {"inputs": TEXTS}).json()
    ids = [[token["id"] for token in text] for text in tokens]
    assert np.array_equal(embed(server, ids), embed(server, TEXTS))
    assert np.array_equal(embed(server, [ids[0], TEXTS[1]]), embed(server, TEXTS[:2]))


def test_normalize_and_dimensions(server):
    raw = embed(server, TEXTS, normalize=False)
    full = embed(server, TEXTS)
    assert np.allclose(np.linalg.norm(full, axis=1), 1, atol=1e-6)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1, atol=1e-3)
    assert np.allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), full, atol=1e-6)
    part = raw[:, :20]
    assert np.array_equal(embed(server, TEXTS, normalize=False, dimensions=20), part)
    cut = embed(server, TEXTS, dimensions=20)
    assert np.allclose(cut, part / np.linalg.norm(part, axis=1, keepdims=True), atol=1e-6)
    assert np.array_equal(embed(server, TEXTS, dimensions=HIDDEN, truncate=None, prompt_name=None), full)


def test_truncation(server):
    long = "start " + "word " * 400 + "end"
    tokens = len(ask(server, "/tokenize", {"inputs": long}).json()[0])
    assert tokens == 404
    right, left = embed(server, long), embed(server, long, truncation_direction="left")
    assert np.array_equal(right, embed(server, "start " + "word " * (MAX_TOKENS - 3)))
    assert np.array_equal(left, embed(server, "word " * (MAX_TOKENS - 3) + "end"))
    assert np.array_equal(left, embed(server, long, truncation_direction="Left"))
    sentence = fails(server, "/embed", {"inputs": long, "truncate": False}, 422, "Validation")
    assert sentence == f"Input validation error: `inputs` must have less than {MAX_TOKENS} tokens. Given: 404"


def test_any_text_is_a_text(server):
    """NUL, controls, unassigned and private code points, noncharacters, combining runs, right-to-left."""
    texts = ["\u0000", "a\u0000b", "\u0001\u001f\u007f", "\ufffe\uffff", "\ue000\U0010ffff", "e" + "\u0301" * 300,
             "שלום עולם مرحبا", "x" * 5000, "\u2028\u2029", "[CLS] [SEP] [MASK] [PAD]", "\"\\/\b\f\n\r\t"]
    batch = embed(server, texts)
    assert np.isfinite(batch).all()
    assert np.array_equal(batch, np.concatenate([embed(server, text) for text in texts]))
    assert np.array_equal(embed(server, "a\u0000b"), embed(server, "ab"))  # the tokenizer's cleaning
    escaped = ask(server, "/embed", b'{"inputs":"\\ud83d\\ude00 caf\\u00e9"}').json()
    assert np.array_equal(np.array(escaped, dtype=np.float32), embed(server, "😀 café"))
    for lone in (rb'"\ud83d"', rb'"\ude00\ud83d"', b'"\xed\xa0\xbd"', b'"\xff"', b'"\xc0\x80"'):
        fails(server, "/embed", b'{"inputs":' + lone + b"}", 400, "Validation")


def test_huge_inputs(server):
    answer = ask(server, "/embed", {"inputs": "long text " * 190000})
    assert answer.status == 200 and len(answer.json()[0]) == HIDDEN
    try:
        assert ask(server, "/embed", {"inputs": "x" * 2000001}).status == 413
    except ConnectionError:
        pass  # refused by its length while the client still sends: the answer may be lost
    answer = ask(server, "/tokenize", {"inputs": "! " * 200000})
    assert answer.status == 200 and len(answer.json()[0]) == 200002
    assert ask(server, "/embed", b'{"inputs":[' + b"[101,102]," * 3000 + b"[101,102]]}").status == 422
    assert ask(server, "/embed", b'{"inputs":' + b"[" * 1000000).status == 400
    assert ask(server, "/embed", b'{"inputs":[' + b"1," * 900000 + b"1]}").status == 200


def test_errors(server):
    for body, status, kind in [
        ({}, 422, "Validation"),
        ({"inputs": ""}, 400, "Empty"),
        ({"inputs": []}, 400, "Empty"),
        ({"inputs": [[]]}, 400, "Empty"),
        ({"inputs": None}, 422, "Validation"),
        ({"inputs": 5}, 422, "Validation"),
        ({"inputs": [1.5]}, 422, "Validation"),
        ({"inputs": [[101, "a"]]}, 422, "Validation"),
        ({"inputs": [-1]}, 422, "Validation"),
        ({"inputs": [2**40]}, 422, "Validation"),
        ({"inputs": "a", "dimensions": 0}, 422, "Validation"),
        ({"inputs": "a", "dimensions": HIDDEN + 1}, 422, "Validation"),
        ({"inputs": "a", "dimensions": 1.0}, 422, "Validation"),
        ({"inputs": "a", "truncate": 1}, 422, "Validation"),
        ({"inputs": "a", "truncation_direction": "middle"}, 422, "Validation"),
        ({"inputs": "a", "prompt_name": "query"}, 422, "Validation"),
        ({"inputs": "a", "model": "nobody"}, 404, "Validation"),
        ({"inputs": "a", "model": "reader"}, 424, "Backend"),
        ({"inputs": ["a"] * 2049}, 422, "Validation"),
        (b"{", 400, "Validation"),
        (b"", 400, "Validation"),
        (b"[]", 422, "Validation"),
        (b'"text"', 422, "Validation"),
        (b'{"inputs":"a","inputs":"b"}', 400, "Validation"),
    ]:
        fails(server, "/embed", body, status, kind)
    assert fails(server, "/embed", {"inputs": ["a"] * 2049}, 422, "Validation") == "batch size 2049 > maximum allowed batch size 2048"
    assert ask(server, "/embed", {"inputs": "a", "unknown": {"deep": [1]}}).status == 200


def test_errors_echo_nothing(server):
    secret = "s3cr3t-Passage"
    for path in ("/embed", "/span", "/v1/embeddings", "/tokenize", "/rerank", "/predict", "/"):
        for body in ({secret: 1}, {"inputs": {secret: 1}}, {"inputs": "a", "model": secret}, {"inputs": "a", "prompt_name": secret},
                     {"query": secret, "texts": [secret], "truncation_direction": secret}, b'{"inputs":"' + secret.encode()):
            answer = ask(server, path, body)
            assert secret not in answer.body.decode()
    assert secret not in server.log


def test_tokenize(server):
    tokens = ask(server, "/tokenize", {"inputs": ["Größe!", ""]}).json()
    assert [t["text"] for t in tokens[0]] == ["[CLS]", "Gr", "öße", "!", "[SEP]"] or [t["special"] for t in tokens[0]][0]
    data = "Größe!".encode()
    for token in tokens[0]:
        if token["special"]:
            assert token["start"] is None and token["stop"] is None and token["text"] in ("[CLS]", "[SEP]")
        else:
            assert data[token["start"] : token["stop"]].decode() == token["text"]
    assert [t["text"] for t in tokens[1]] == ["[CLS]", "[SEP]"]
    plain = ask(server, "/tokenize", {"inputs": "hello world", "add_special_tokens": False}).json()
    assert plain == [[{"id": 7592, "text": "hello", "special": False, "start": 0, "stop": 5},
                      {"id": 2088, "text": "world", "special": False, "start": 6, "stop": 11}]]
    assert ask(server, "/tokenize", {"inputs": "x", "model": "reader"}).status == 200
    for body in ({}, {"inputs": 1}, {"inputs": ["a", 1]}, {"inputs": "a", "add_special_tokens": "no"}):
        fails(server, "/tokenize", body, 422, "Validation")


def test_tokenize_as_the_tokenizers_package(server, embedder):
    tokenizers = pytest.importorskip("tokenizers")
    oracle = tokenizers.Tokenizer.from_file(str(embedder / "tokenizer.json"))
    oracle.no_truncation()
    oracle.no_padding()
    for text, tokens in zip(TEXTS, ask(server, "/tokenize", {"inputs": TEXTS}).json()):
        wanted = oracle.encode(text)
        assert [t["id"] for t in tokens] == wanted.ids
        for token, (start, stop) in zip(tokens[1:-1], wanted.offsets[1:-1]):
            assert token["start"] == len(text[:start].encode()) and token["stop"] == len(text[:stop].encode())


def test_info(server):
    info = ask(server, "/info").json()
    assert info["model_id"] == info["served_model_name"] == "embedder"
    assert info["model_type"] == {"embedding": {"pooling": "mean"}}
    assert info["max_input_length"] == MAX_TOKENS and info["max_client_batch_size"] == 2048
    assert info["model_sha"] is None and info["auto_truncate"] is True
    assert {"model_dtype", "max_concurrent_requests", "max_batch_tokens", "max_batch_requests", "tokenization_workers",
            "version", "sha", "docker_label"} <= set(info)
    assert [(m["name"], list(m["model_type"])) for m in info["models"]] == [("embedder", ["embedding"]), ("reader", ["span"])]
    for model in info["models"]:
        assert model["plan"]["precision"] in ("f32", "bf16", "int8")
        assert model["plan"]["isa"] and model["plan"]["reason"]
        assert model["plan"]["isa"] in model["plan"]["rates"]
        for who in ("worker", "team"):
            cost = model["cost"][who]
            assert set(cost) == {"fixed_ns", "token_ns", "square_ns"} and min(cost.values()) >= 0 and max(cost.values()) > 0
        assert 0.25 <= model["cost"]["correction"] <= 16
        alone = info["tokenization_workers"] == 1  # else the team was measured for itself
        assert (model["cost"]["team"] == model["cost"]["worker"]) == alone


def test_health(server):
    empty = ask(server, "/health")
    assert (empty.status, empty.body) == (200, b"")
    assert ask(server, "/v2/health/live").json() == {"live": True}
    assert ask(server, "/v2/health/ready").json() == {"ready": True}
