"""Prompts of a model's files: in front of texts, by name or by default; and those that pooling leaves out."""
import json
import shutil

import numpy as np
import pytest
from program import HIDDEN
from serving import ask

PROMPTS = {"query": "question: ", "passage": "text of an answer: "}
TEXT = "how tall is everest"


@pytest.fixture(scope="module")
def prompted(start_server, embedder, tmp_path_factory):
    """The embedder with prompts; and the same again as `without`, which leaves them out of its vectors."""
    folder = tmp_path_factory.mktemp("prompted")
    for name, include in (("with", True), ("without", False)):
        shutil.copytree(embedder, folder / name)
        (folder / name / "config_sentence_transformers.json").write_text(
            json.dumps({"prompts": PROMPTS, "default_prompt_name": "query"}))
        pooling = folder / name / "1_Pooling"
        pooling.mkdir(exist_ok=True)
        (pooling / "config.json").write_text(json.dumps(
            {"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": True, "include_prompt": include}))
    return start_server(models=[folder / "with", folder / "without"])


def embed(server, text, **fields):
    answer = ask(server, "/embed", {"inputs": text, **fields})
    assert answer.status == 200, answer.body
    return np.array(answer.json()[0], np.float32)


def test_a_prompt_is_put_in_front(prompted):
    for name, prompt in PROMPTS.items():
        assert np.array_equal(embed(prompted, TEXT, prompt_name=name), embed(prompted, prompt + TEXT))
    assert not np.array_equal(embed(prompted, TEXT, prompt_name="query"), embed(prompted, TEXT))


def test_the_default_of_the_files_is_not_taken(prompted):
    """As text-embeddings-inference does, and unlike sentence-transformers: an option names one."""
    assert np.array_equal(embed(prompted, TEXT), embed(prompted, TEXT, prompt_name=None))


def test_pooling_may_leave_it_out(prompted):
    inside, outside = (embed(prompted, TEXT, prompt_name="query", model=m) for m in ("with", "without"))
    assert not np.array_equal(inside, outside)
    # Equal ids with another part left out are another result, for the cache too.
    whole = embed(prompted, PROMPTS["query"] + TEXT, model="without")
    assert not np.array_equal(whole, outside)
    assert np.array_equal(outside, embed(prompted, TEXT, prompt_name="query", model="without"))
    # Its vector is the mean of the other tokens' states.
    states = np.array(ask(prompted, "/embed_all", {"inputs": TEXT, "prompt_name": "query", "model": "without"}).json()[0])
    skip = len(ask(prompted, "/tokenize", {"inputs": PROMPTS["query"]}).json()[0]) - 1
    mean = states[skip:].mean(axis=0)
    assert np.allclose(outside, mean / np.linalg.norm(mean), atol=1e-5)


def test_other_routes_take_it(prompted):
    tokens = ask(prompted, "/tokenize", {"inputs": TEXT, "prompt_name": "query"}).json()[0]
    whole = ask(prompted, "/tokenize", {"inputs": PROMPTS["query"] + TEXT}).json()[0]
    assert tokens == whole
    similar = {"inputs": {"source_sentence": TEXT, "sentences": [TEXT]}, "parameters": {"prompt_name": "passage"}}
    assert ask(prompted, "/similarity", similar).json()[0] == pytest.approx(1, abs=1e-6)
    assert ask(prompted, "/similarity", {**similar, "parameters": {"prompt_name": "no"}}).status == 422


def test_an_unknown_one_is_refused(prompted, server):
    error = ask(prompted, "/embed", {"inputs": "a", "prompt_name": "sing"})
    assert error.status == 422 and error.json()["error"].startswith("`prompt_name` must be one of the model's prompts")
    assert ask(server, "/embed", {"inputs": "a", "prompt_name": "query"}).status == 422
    assert ask(prompted, "/embed", {"inputs": "a", "prompt_name": 7}).status == 422


def test_info_lists_them(prompted):
    model = ask(prompted, "/info", method="GET").json()["models"][0]
    assert model["prompts"] == list(PROMPTS) and model["default_prompt"] is None and model["dimensions"] == HIDDEN
