#!/usr/bin/env python3
"""Makes tests/golden/tokens.json: what transformers' token-classification pipeline answers, for the pipeline's tests.

    python tools/make_token_goldens.py
    python tools/make_token_goldens.py --cases 500 --seed 2 --out /tmp/tokens.json
    QR_TOKENS_GOLDEN=/tmp/tokens.json FILTER='tokens_goldens/*' tests/run-units build pipeline

Pinned: torch 2.15, transformers 4.57.6 (the script refuses other versions of transformers). The model is a random one of
make_model with squad-3l's vocabulary; tests/unit/pipeline/test_tokens_goldens.c builds the same one. All texts are our own.
"""
import argparse
import json
import random
import tempfile
from pathlib import Path

import torch
import transformers
from make_goldens import PAIRS, QUERIES
from make_model import make_model
from transformers import AutoModelForTokenClassification, AutoTokenizer, TokenClassificationPipeline

ROOT = Path(__file__).resolve().parent.parent
LABELS = ["O", "B-PER", "I-PER", "S-PER", "foo-bar", "B-LOC", "I-LOC", "B-", "PER"]
MODEL = dict(layers=1, hidden=16, heads=2, feed_forward=32, positions=40, head="tokens", seed=41)
PIECES = ["Ines Aldana", "Orsa", "it's", "don't", "we'll", "they've", "you're", "I'm", "jean-baptiste", "U.S.A.", "naïve", "Zürich",
          "ﬁne", "İstanbul", "東京都", "⚡", "☃☃", "🙂", "e\u0301t\u00e9", "[SEP]", "[CLS]", "[UNK]", "##ing", "$3.50", "a/b", "(x)", "...", "?!", "n't",
          "\u200bzero", "tab\there", "line\nend", "unaffable", "antidisestablishmentarianism", "Mr. O'Neil", "50%", "«oui»", "A", "."]
SETTINGS = [{}, {"aggregation_strategy": "simple"}, {"ignore_labels": []}, {"aggregation_strategy": "simple", "ignore_labels": []},
            {"aggregation_strategy": "simple", "ignore_labels": ["PER", "O"]}, {"ignore_labels": ["B-PER", "O"]},
            {"aggregation_strategy": "none", "ignore_labels": ["PER"]}, {"aggregation_strategy": "simple", "stride": 8},
            {"aggregation_strategy": "simple", "stride": 0, "ignore_labels": []}, {"stride": 20},
            {"aggregation_strategy": "simple", "stride": 37, "ignore_labels": ["O", "bar"]}]


def make_text(rng):
    words = []
    for _ in range(rng.randrange(0, 7)):
        words += rng.choice([q for q in QUERIES] + [p for pair in PAIRS for p in pair]).split(" ")
    for _ in range(rng.randrange(0, 9)):
        words.insert(rng.randrange(len(words) + 1), rng.choice(PIECES))
    start = rng.randrange(0, max(1, len(words) // 2))
    return " ".join(words[start:start + rng.randrange(1, 150)])


def run(pipe, text, settings):
    found = pipe(text, **settings)
    return [{k: float(v) if k == "score" else v for k, v in entity.items()} for entity in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=44)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default=ROOT / "tests/golden/tokens.json")
    args = parser.parse_args()
    if transformers.__version__ != "4.57.6":
        parser.error(f"transformers 4.57.6 is needed, this is {transformers.__version__}")
    torch.set_num_threads(1)
    rng = random.Random(args.seed)
    cases = []
    with tempfile.TemporaryDirectory() as directory:
        make_model(directory, vocab_from=str(ROOT / "models/squad-3l"), label_names=LABELS, **MODEL)
        tokenizer = AutoTokenizer.from_pretrained(directory)
        tokenizer.model_max_length = MODEL["positions"]
        model = AutoModelForTokenClassification.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
        pipe = TokenClassificationPipeline(model=model.eval(), tokenizer=tokenizer, device="cpu")
        for i in range(args.cases):
            settings = SETTINGS[i % len(SETTINGS)]
            text = " ".join(make_text(rng) for _ in range(4 if "stride" in settings else 1))
            # Of its own: the pipeline sets truncation in the tokenizer itself, and what it set stays.
            tokenizer.backend_tokenizer.no_truncation()
            cases.append({"text": text, "aggregation": settings.get("aggregation_strategy", "none"),
                          "stride": settings.get("stride"), "ignore": settings.get("ignore_labels"),
                          "entities": run(pipe, text, settings)})
    with open(args.out, "w", encoding="utf-8") as file:
        file.write('{"labels":' + json.dumps(LABELS) + ',"cases":[\n')
        file.write(",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases) + "\n]}\n")
    print(f"{args.out}: {len(cases)} texts, {sum(len(c['entities']) for c in cases)} entities")


if __name__ == "__main__":
    main()
