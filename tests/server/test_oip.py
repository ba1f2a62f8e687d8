"""The Open Inference Protocol with Triton's own client, against a real server. An answer must be bit for bit what the other routes give
for the same texts."""
import json
import struct

import numpy as np
import pytest
import tritonclient.http as triton
from program import HIDDEN, MAX_TOKENS
from serving import ask, make_request, read_answer
from tritonclient.utils import InferenceServerException

TEXTS = ["how tall is everest", "Größe in Metern", "fresh bread near the river"]
QUESTION = "Who wrote the report?"
CONTEXTS = ["In München the report was written by Ada Byron in 1843.", "The river is long. " * 40 + "Ada Byron wrote it in 1843."]
LABELS = ["negative", "neutral", "positive"]


def client_of(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as client:
        yield client


@pytest.fixture(scope="module")
def client(server):
    yield from client_of(server)


@pytest.fixture(scope="module")
def labels_client(labels_server):
    yield from client_of(labels_server)


def tensor(name, values, datatype="BYTES", binary=True):
    array = np.array(values, dtype={"BYTES": object, "INT64": np.int64, "INT32": np.int32, "FP32": np.float32}[datatype])
    given = triton.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def wish(name, binary):
    return triton.InferRequestedOutput(name, binary_data=binary)


def texts_of(array):
    """Binary answers are bytes, JSON's are str."""
    return [item.decode() if isinstance(item, bytes) else item for item in array.flatten()]


def vectors_of(server, inputs, **more):
    return np.array(ask(server, "/embed", {"inputs": inputs, **more}).json(), dtype=np.float32)


def ids_of(server, texts):
    return [[token["id"] for token in text] for text in ask(server, "/tokenize", {"inputs": texts}).json()]


def padded(rows, fill=0):
    longest = max(map(len, rows))
    return [row + [fill] * (longest - len(row)) for row in rows]


# ---- What is there ---------------------------------------------------------------------------------------------------------------


def test_live_and_ready(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("embedder") and client.is_model_ready("reader", "1")
    assert not client.is_model_ready("nobody") and not client.is_model_ready("reader", "2")


def test_server_metadata(client):
    about = client.get_server_metadata()
    assert about["name"] == "querent" and about["version"]
    assert {"binary_tensor_data", "model_configuration"} <= set(about["extensions"])


def test_model_metadata(client, labels_client):
    about = client.get_model_metadata("embedder")
    assert (about["name"], about["versions"], about["platform"]) == ("embedder", ["1"], "querent")
    assert about["inputs"][0] == {"name": "text", "datatype": "BYTES", "shape": [-1]}
    assert about["inputs"][1] == {"name": "input_ids", "datatype": "INT64", "shape": [-1, -1]}
    assert about["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": [-1, HIDDEN]}]
    assert client.get_model_metadata("reader", "1")["outputs"][2] == {"name": "start", "datatype": "INT32", "shape": [-1]}
    scores = labels_client.get_model_metadata("sentiment")["outputs"][0]
    assert scores == {"name": "scores", "datatype": "FP32", "shape": [-1, len(LABELS)]}


def test_model_config(client):
    config = client.get_model_config("embedder")
    assert config["max_batch_size"] == 0 and config["backend"] == "querent"
    assert config["input"][0] == {"name": "text", "data_type": "TYPE_STRING", "dims": [-1], "optional": True}
    assert config["output"] == [{"name": "embedding", "data_type": "TYPE_FP32", "dims": [-1, HIDDEN]}]
    assert "optional" not in client.get_model_config("reader", "1")["input"][0]


# ---- Embeddings ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("outputs", [None, [False], [True]])
def test_texts(server, client, binary_in, outputs):
    wanted = vectors_of(server, TEXTS)
    wishes = outputs and [wish("embedding", outputs[0])]
    result = client.infer("embedder", [tensor("text", TEXTS, binary=binary_in)], outputs=wishes)
    assert result.as_numpy("embedding").dtype == np.float32
    assert np.array_equal(result.as_numpy("embedding"), wanted)
    column = client.infer("embedder", [tensor("text", [[text] for text in TEXTS], binary=binary_in)], outputs=wishes)
    assert np.array_equal(column.as_numpy("embedding"), wanted)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("datatype", ["INT64", "INT32"])
def test_ids(server, client, binary, datatype):
    rows = ids_of(server, TEXTS)
    assert len(set(map(len, rows))) > 1
    ids = tensor("input_ids", padded(rows), datatype, binary)
    mask = tensor("attention_mask", padded([[1] * len(row) for row in rows]), datatype, binary)
    types = tensor("token_type_ids", padded([[0] * len(row) for row in rows]), datatype, binary)
    wanted = vectors_of(server, TEXTS)
    for inputs in ([ids, mask], [mask, types, ids]):
        assert np.array_equal(client.infer("embedder", inputs).as_numpy("embedding"), wanted)
    alone = client.infer("embedder", [tensor("input_ids", [rows[0]], datatype, binary)])
    assert np.array_equal(alone.as_numpy("embedding"), wanted[:1])


def test_masked_ids_are_not_looked_at(server, client):
    """Padding of any value, on any side."""
    row = ids_of(server, TEXTS[:1])[0]
    ids = tensor("input_ids", [[-100] * 3 + row + [10**9]], "INT64")
    mask = tensor("attention_mask", [[0] * 3 + [1] * len(row) + [0]], "INT64")
    assert np.array_equal(client.infer("embedder", [ids, mask]).as_numpy("embedding"), vectors_of(server, TEXTS[:1]))


def test_parameters(server, client):
    given = [tensor("text", TEXTS)]
    raw = client.infer("embedder", given, parameters={"normalize": False, "dimensions": 8}).as_numpy("embedding")
    assert np.array_equal(raw, vectors_of(server, TEXTS, normalize=False, dimensions=8)) and raw.shape == (3, 8)
    others = {"nobody": "knows", "max_answer_len": 3}
    assert np.array_equal(client.infer("embedder", given, parameters=others, priority=1).as_numpy("embedding"), vectors_of(server, TEXTS))
    long = "word " * (MAX_TOKENS + 9)
    assert client.infer("embedder", [tensor("text", [long])]).as_numpy("embedding").shape == (1, HIDDEN)
    with pytest.raises(InferenceServerException, match="tokens"):
        client.infer("embedder", [tensor("text", [long])], parameters={"truncate": False})


def test_request_id_and_version(client):
    request_id = 'a "quoted" id\n\\ ünïcode'
    result = client.infer("embedder", [tensor("text", ["x"])], request_id=request_id, model_version="1")
    about = result.get_response()
    assert (about["id"], about["model_name"], about["model_version"]) == (request_id, "embedder", "1")
    assert "id" not in client.infer("embedder", [tensor("text", ["x"])]).get_response()


def test_async(server, client):
    pending = [client.async_infer("embedder", [tensor("text", [text])]) for text in TEXTS]
    got = np.concatenate([one.get_result().as_numpy("embedding") for one in pending])
    assert np.array_equal(got, vectors_of(server, TEXTS))


def test_large_answers(server, client):
    """As many as a request may have: decoded by a worker, and the binary answer is whole."""
    texts = [f"query {i % 7}" for i in range(2048)]
    wanted = vectors_of(server, texts[:7])[np.arange(2048) % 7]
    given = [tensor("text", texts)]
    assert np.array_equal(client.infer("embedder", given).as_numpy("embedding"), wanted)
    json_answer = client.infer("embedder", given, outputs=[wish("embedding", False)])
    assert np.array_equal(json_answer.as_numpy("embedding"), wanted)


# ---- Spans -----------------------------------------------------------------------------------------------------------------------


def span_of(server, question, context, **parameters):
    answer = ask(server, "/span", {"question": question, "context": context, **parameters}).json()
    return answer if isinstance(answer, list) else [answer]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
def test_spans(server, client, binary, binary_out):
    """One question for all; the second context takes more than one window."""
    given = [tensor("question", [QUESTION], binary=binary), tensor("context", CONTEXTS, binary=binary)]
    small = {"max_seq_len": 64, "doc_stride": 16}
    outputs = [wish(name, binary_out) for name in ("end", "answer", "score", "start")]
    result = client.infer("reader", given, outputs=outputs, parameters=small)
    wanted = [span_of(server, QUESTION, context, **small)[0] for context in CONTEXTS]
    assert [output["name"] for output in result.get_response()["outputs"]] == ["end", "answer", "score", "start"]
    assert texts_of(result.as_numpy("answer")) == [answer["answer"] for answer in wanted]
    assert list(result.as_numpy("start")) == [answer["start"] for answer in wanted]
    assert list(result.as_numpy("end")) == [answer["end"] for answer in wanted]
    assert np.array_equal(result.as_numpy("score"), np.array([answer["score"] for answer in wanted], dtype=np.float32))
    for answer, start, end, context in zip(texts_of(result.as_numpy("answer")), result.as_numpy("start"), result.as_numpy("end"), CONTEXTS):
        assert answer == context[start:end] != ""


def test_several_spans(server, client):
    """[n, k], filled up with empty answers where there are fewer."""
    short = "Ada."
    given = [tensor("question", [QUESTION, "Where?"]), tensor("context", [CONTEXTS[0], short])]
    result = client.infer("reader", given, parameters={"top_k": 5})
    assert result.as_numpy("answer").shape == result.as_numpy("score").shape == result.as_numpy("end").shape == (2, 5)
    many, few = span_of(server, QUESTION, CONTEXTS[0], top_k=5), span_of(server, "Where?", short, top_k=5)
    assert len(many) == 5 > len(few)
    wanted = [answer["answer"] for answer in many + few] + [""] * (5 - len(few))
    assert texts_of(result.as_numpy("answer")) == wanted
    assert not result.as_numpy("score")[1][len(few):].any()


def test_a_part_of_the_outputs(client):
    given = [tensor("question", [QUESTION]), tensor("context", CONTEXTS[:1])]
    result = client.infer("reader", given, outputs=[wish("start", True), wish("answer", False)])
    assert result.as_numpy("score") is None and result.as_numpy("start").dtype == np.int32
    assert "data" in result.get_output("answer") and "data" not in result.get_output("start")


# ---- Labels ----------------------------------------------------------------------------------------------------------------------


def test_labels(labels_server, labels_client):
    for pairs in (None, ["near the river", "of the town", ""]):
        given = [tensor("text", TEXTS)] + ([tensor("text_pair", pairs)] if pairs else [])
        result = labels_client.infer("sentiment", given)
        inputs = [[text] for text in TEXTS] if pairs is None else [list(pair) for pair in zip(TEXTS, pairs)]
        wanted = ask(labels_server, "/predict", {"inputs": inputs, "model": "sentiment"}).json()
        scores = [[next(one["score"] for one in row if one["label"] == label) for label in LABELS] for row in wanted]
        assert np.array_equal(result.as_numpy("scores"), np.array(scores, dtype=np.float32))
        assert texts_of(result.as_numpy("label")) == [row[0]["label"] for row in wanted]


def test_reranker(labels_server, labels_client):
    wanted = ask(labels_server, "/rerank", {"query": "bread", "texts": TEXTS, "model": "reranker"}).json()
    scores = np.array([one["score"] for one in sorted(wanted, key=lambda one: one["index"])], dtype=np.float32)
    for name in ("text", "document"):
        for query in (["bread"], ["bread"] * 3):
            result = labels_client.infer("reranker", [tensor("query", query), tensor(name, TEXTS)])
            assert np.array_equal(result.as_numpy("score"), scores)
    raw = labels_client.infer("reranker", [tensor("query", ["bread"]), tensor("text", TEXTS)], parameters={"raw_scores": True})
    assert np.allclose(1 / (1 + np.exp(-raw.as_numpy("score").astype(np.float64))), scores, atol=1e-6)


def test_segments_of_ids_are_the_models(labels_client):
    ids = tensor("input_ids", [[101, 200, 102, 201, 102]], "INT64")
    one = tensor("token_type_ids", [[0, 0, 0, 1, 1]], "INT64")
    plain = labels_client.infer("reranker", [ids], parameters={"raw_scores": True}).as_numpy("score")
    typed = labels_client.infer("reranker", [ids, one], parameters={"raw_scores": True}).as_numpy("score")
    assert plain.shape == typed.shape == (1,) and plain[0] != typed[0]


# ---- Faults ----------------------------------------------------------------------------------------------------------------------


def refusal(client, model, inputs, **more):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs, **more)
    return int(caught.value.status()), caught.value.message()


def test_errors(client):
    text = [tensor("text", ["x"])]
    assert refusal(client, "nobody", text) == (404, "no model of that name is loaded")
    assert refusal(client, "embedder", text, model_version="2") == (404, "no such route")
    assert refusal(client, "embedder", [tensor("context", ["x"])])[0] == 400
    assert refusal(client, "embedder", text * 2)[1].startswith("`inputs[1]` must be one of the model's tensors, each at most once: ")
    assert refusal(client, "embedder", [tensor("text", [1.5], "FP32")]) == (400, '`text.datatype` must be "BYTES"')
    assert refusal(client, "embedder", [tensor("text", ["a", ""])])[0] == 400
    assert refusal(client, "embedder", [tensor("text", [b"a", b"\xff"])]) == (400, "`text.data[1]` must be a text in UTF-8")
    assert refusal(client, "embedder", text, outputs=[wish("score", True)]) == (400, "`outputs[0]` must be `embedding`, once")
    assert refusal(client, "embedder", text, parameters={"dimensions": HIDDEN + 1}) == (
        400, f"`parameters.dimensions` must be a whole number from 1 to {HIDDEN}")
    assert refusal(client, "embedder", [tensor("text", ["x"] * 2049)]) == (422, "batch size 2049 > maximum allowed batch size 2048")
    assert refusal(client, "embedder", [tensor("input_ids", [[101, 10**9]], "INT64")])[1].startswith("`input_ids.data[1]` must be a token id")
    given = [tensor("question", ["a", "b"]), tensor("context", ["c"] * 3)]
    assert refusal(client, "reader", given)[1].startswith("`question.shape` must be as many texts")
    assert refusal(client, "reader", given[:1]) == (400, "`inputs` must be `question` and `context`")
    assert refusal(client, "reader", text)[0] == 400
    classes = [triton.InferRequestedOutput("embedding", class_count=2)]
    assert refusal(client, "embedder", text, outputs=classes)[1].startswith("`outputs[0]` must be without `classification`")


@pytest.mark.parametrize("text", ["x", "x " * 20000])
def test_a_timeout_is_a_budget(server, client, text):
    """Microseconds in the body; nothing can be answered in one. Long bodies are decoded by a worker."""
    status, message = refusal(client, "embedder", [tensor("text", [text])], timeout=1)
    assert status in (429, 504) and "time budget" in message
    assert client.infer("embedder", [tensor("text", [text])], timeout=500_000_000).as_numpy("embedding").shape == (1, HIDDEN)


def test_the_shorter_budget_counts(server):
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["x"]}], "parameters": {"timeout": 500_000_000}}
    answer = ask(server, "/v2/models/embedder/infer", body, headers=[("X-Request-Budget-Ms", "0.001")])
    assert answer.status in (429, 504) and set(answer.json()) == {"error"}


# ---- The wire --------------------------------------------------------------------------------------------------------------------


def send(server, head, tail=b"", headers=()):
    """A body of JSON and binary tensors, without a Content-Type: Triton's clients send none."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    fields = [("Inference-Header-Content-Length", len(text)), *headers]
    raw = make_request("/v2/models/embedder/infer", text + tail, headers=fields).replace(b"Content-Type: application/json\r\n", b"", 1)
    with server.connect() as connection:
        connection.sendall(raw)
        return read_answer(connection)[0]


def test_binary_on_the_wire(server):
    text = "Größe".encode()
    tail = struct.pack("<I", len(text)) + text
    head = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(tail)}}],
            "parameters": {"binary_data_output": True}}
    answer = send(server, head, tail)
    length = int(answer.headers["inference-header-content-length"])
    assert answer.status == 200 and answer.headers["content-type"] == "application/octet-stream" and length % 8 == 0
    about = json.loads(answer.body[:length])
    assert about["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": [1, HIDDEN],
                                 "parameters": {"binary_data_size": 4 * HIDDEN}}]
    assert np.array_equal(np.frombuffer(answer.body[length:], dtype="<f4"), vectors_of(server, ["Größe"])[0])
    for wrong in (tail + b"x", tail[:-1], b""):
        assert send(server, head, wrong).status == 400
    assert send(server, b"{", tail).status == 400
    assert send(server, b"", tail).status == 400


def test_json_answers_are_flat(server):
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": [["a"], ["b"]]}], "id": "7"}
    answer = ask(server, "/v2/models/embedder/infer", body)
    assert answer.headers["content-type"] == "application/json"
    output, = answer.json()["outputs"]
    assert output["shape"] == [2, HIDDEN] and len(output["data"]) == 2 * HIDDEN
    assert np.array_equal(np.array(output["data"], dtype=np.float32).reshape(2, HIDDEN), vectors_of(server, ["a", "b"]))


@pytest.mark.real
def test_real_models(real_server):
    with triton.InferenceServerClient(f"127.0.0.1:{real_server.port}") as client:
        got = client.infer("minilm", [tensor("text", TEXTS)]).as_numpy("embedding")
        assert np.array_equal(got, vectors_of(real_server, TEXTS))
        result = client.infer("squad-3l", [tensor("question", [QUESTION]), tensor("context", CONTEXTS)])
        assert texts_of(result.as_numpy("answer")) == ["Ada Byron", "Ada Byron"]
