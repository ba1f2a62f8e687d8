"""Labels of tokens, as Hugging Face's clients ask for them."""
import pytest
from serving import ask

hub = pytest.importorskip("huggingface_hub")

TEXT = "Ada Byron lives in Größe near the river."
ALL = {"ignore_labels": []}


@pytest.fixture(scope="module")
def tagger(start_server, tiny):
    return start_server(models=[tiny("tagger")])


def tag(server, inputs=TEXT, **parameters):
    answer = ask(server, "/token_classification", {"inputs": inputs, "parameters": parameters})
    assert answer.status == 200, answer.body
    return answer.json()


def test_every_token_with_its_place(tagger):
    found = tag(tagger, **ALL)
    tokens = ask(tagger, "/tokenize", {"inputs": TEXT}).json()[0][1:-1]
    assert [item["index"] for item in found] == list(range(1, len(tokens) + 1))
    for item, token in zip(found, tokens):
        assert TEXT.encode()[token["start"] : token["stop"]].decode() == TEXT[item["start"] : item["end"]]
        assert 0.2 <= item["score"] <= 1 and item["entity"] in ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    kept = tag(tagger)
    assert kept == [item for item in found if item["entity"] != "O"]
    assert tag(tagger, ignore_labels=["O", "B-PER"]) == [i for i in kept if i["entity"] != "B-PER"]


def test_groups_are_runs_of_tokens(tagger):
    tokens, groups = tag(tagger, **ALL), tag(tagger, aggregation_strategy="simple", **ALL)
    assert all(set(g) == {"entity_group", "score", "word", "start", "end"} for g in groups)
    at = 0
    for group in groups:
        run = [t for t in tokens if group["start"] <= t["start"] and t["end"] <= group["end"]]
        assert run and group["start"] == run[0]["start"] and group["end"] == run[-1]["end"]
        assert group["score"] == pytest.approx(sum(t["score"] for t in run) / len(run), abs=1e-6)
        at += len(run)
    assert at == len(tokens)


def test_batches_and_the_flat_form(tagger):
    alone = tag(tagger, **ALL)
    assert tag(tagger, [TEXT, "bread", TEXT], **ALL)[::2] == [alone, alone]
    assert ask(tagger, "/token_classification", {"inputs": TEXT, **ALL}).json() == alone
    assert ask(tagger, "/", {"inputs": TEXT, "parameters": ALL}).json() == alone


def test_a_stride_reads_long_texts_whole(tagger):
    long = " ".join([TEXT] * 80)
    cut, whole = tag(tagger, long, **ALL), tag(tagger, long, aggregation_strategy="simple", stride=32, **ALL)
    assert cut[-1]["end"] < len(long) == whole[-1]["end"]
    starts = [g["start"] for g in whole]
    assert starts == sorted(starts)


@pytest.mark.parametrize("route", ["/token_classification", ""])
def test_hub_client(tagger, route):
    client = hub.InferenceClient(model=tagger.url + route)
    for strategy in (None, "none", "simple"):
        more = {} if strategy is None else {"aggregation_strategy": strategy}
        found = client.token_classification(TEXT, ignore_labels=[], **more)
        assert len(found) == len(tag(tagger, **more, **ALL))
        assert all((item.entity_group if strategy == "simple" else item.entity) for item in found)


@pytest.mark.parametrize("body,status", [
    ({"inputs": ""}, 400), ({"inputs": []}, 400), ({"inputs": 7}, 422), ({"inputs": [7]}, 422), ({}, 422),
    ({"inputs": "a", "parameters": {"aggregation_strategy": "first"}}, 422),
    ({"inputs": "a", "parameters": {"ignore_labels": "O"}}, 422), ({"inputs": "a", "parameters": {"ignore_labels": [1]}}, 422),
    ({"inputs": "a", "parameters": {"ignore_labels": ["O"] * 1025}}, 422),
    ({"inputs": "a", "parameters": {"stride": 9999}}, 422), ({"inputs": "a", "parameters": {"stride": 8, "aggregation_strategy": "none"}}, 422),
])
def test_errors(tagger, body, status):
    assert ask(tagger, "/token_classification", body).status == status


def test_other_models_do_not(server):
    assert ask(server, "/token_classification", {"inputs": "a"}).status == 424


def test_many_ignored_labels(tagger):
    """Each label is looked up once, whatever is ignored."""
    assert tag(tagger, [TEXT] * 50, ignore_labels=["x"] * 1023 + ["O"]) == [tag(tagger)] * 50
