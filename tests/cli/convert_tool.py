"""Runs `querent convert`, and asks models what they are and what they answer."""

import json
import os

from cli_tool import json_lines, querent

TEXTS = "what is a lake\nbest soup near me\n\nparis\n" + "the river of the city " * 20 + "\n"
PAIRS = "".join(json.dumps({"question": question, "context": context}) + "\n" for question, context in [
    ("what is long", "the river is long"), ("where is the lake", "in france there is a lake near paris " * 9)])


def answers(model):
    """What a model gives, to the last bit (floats are printed so that they read back as the same)."""
    kind = json_lines(querent("inspect", model, "--json"))[0]["kind"]
    if kind == "span":
        done = querent("span", "--model", model, "--top-k", "3", stdin=PAIRS.encode())
    elif kind == "embedding":
        done = querent("embed", "--model", model, stdin=TEXTS.encode())
    else:
        return None  # no command prints labels
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout
    return done.stdout


def convert(model, out):
    done = querent("convert", model, out)
    assert done.returncode == 0, done.stderr.decode()
    assert not [name for name in os.listdir(out.parent) if name.startswith(out.name + ".")]
    return done.stdout.decode()


def facts(model):
    (found,) = json_lines(querent("inspect", model, "--json"))
    kept = ["kind", "activation", "labels", "layers", "hidden", "heads", "feed_forward", "vocab", "positions", "layer_norm_eps",
            "max_tokens", "pooling", "normalize", "embedding", "denses", "tokenizer"]
    return {key: found[key] for key in kept if key in found}
