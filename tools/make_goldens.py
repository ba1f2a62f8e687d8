#!/usr/bin/env python3
"""Makes tests/golden/engine/*.golden: what transformers computes, for the engine's tests. Run by hand:

    python tools/make_goldens.py --minilm models/minilm
    python tools/make_goldens.py --modules

Pinned: torch 2.15, transformers 4.57.6 and, for --modules, which needs a later one, sentence-transformers 6.2.0 (the
script refuses other versions). All texts are our own. Random models come from tools/make_model.py; the tests build the
same weights again, so only ids and outputs are committed. Poolings and Dense modules (--modules) are
sentence-transformers' own, loaded from the directory that make_model wrote.

A golden file, little-endian:
    "QRG1"  u32 B, u32 T, u32 outputs   u32 starts[B + 1]   i32 ids[T]   u8 types[T], zeros to a multiple of 4
    per output: u32 kind (engine.h's qr_output: 0 hidden, 1 pooled, 2 span, 3 labels, 4 token labels; 100: qr_batch.skip),
                u32 count, f32 numbers[count]
"""
import argparse
import struct
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from make_model import make_model
from transformers import (AutoModel, AutoModelForQuestionAnswering, AutoModelForSequenceClassification,
                          AutoModelForTokenClassification, AutoTokenizer)

HIDDEN, POOLED, SPAN, LABELS, TOKENS = range(5)
SKIP = 100
ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests/golden/engine"

QUERIES = """how long does a lighthouse lamp last
cheap night train to the sea
can you freeze cooked lentils
what is the difference between a fjord and a bay
bike repair near the old harbour open sunday
symptoms of a worn wheel bearing
who invented the tin opener
best time to plant garlic
convert 350 fahrenheit to celsius
Zürich to Genève by train
why does my kettle smell of plastic
museum tickets for two adults and a child
rust remover for cast iron
lighthouse
is honey older than bread?
how to tie a bowline knot step by step
weather in the mountains tomorrow morning
are moss and lichen the same thing
quiet café with power sockets
2 bedroom flat to rent, ground floor, no agency""".split("\n")

PAIRS = [
    ("Who repaired the lamp?",
     "The lamp of the lighthouse went dark in March. A retired clockmaker, Ines Aldana, repaired it in four nights."),
    ("When does the ferry leave?",
     "The ferry to the island leaves the old harbour at half past six in the morning, except on Sundays."),
    ("How many bells hang in the tower?",
     "Visitors climb 212 steps to the top of the tower, where seven bells hang. The heaviest weighs nine tonnes."),
    ("What do the bakers use instead of sugar?",
     "In the valley the bakers sweeten their rye bread with pear syrup instead of sugar, a habit of poorer years."),
    ("Where was the map found?",
     "The map had been lost for a century. It was found behind a cupboard in the village school at Orsa, rolled in oilcloth."),
    ("Why was the bridge closed?",
     "Engineers closed the bridge after frost had cracked two of its bearings; buses now take the road by the mill."),
]

POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
ALL = "lasttoken+max+weightedmean+cls+mean_sqrt_len_tokens+mean"
TINY = dict(layers=1, hidden=24, heads=3, feed_forward=40, vocab=300, positions=40)
SMALL = dict(layers=2, hidden=48, heads=4, feed_forward=96, vocab=300, positions=40)

# name -> (options of make_model, lengths of the sequences); tests/unit/engine/golden.c has the same table
RANDOM = {
    "bert-3x768": (dict(layers=3, hidden=768, heads=12, feed_forward=3072, vocab=500, positions=64, seed=11), [9, 4]),
    "bert-2x128-odd": (dict(layers=2, hidden=128, heads=4, feed_forward=509, vocab=301, positions=160, seed=12),
                       [1, 2, 5, 9, 17]),
    "bert-long": (dict(layers=1, hidden=48, heads=3, feed_forward=96, vocab=300, positions=512, seed=13), [512, 7, 130]),
    "bert-odd-heads": (dict(layers=2, hidden=75, heads=5, feed_forward=31, vocab=97, positions=33, types=3, seed=14,
                            pooling="cls"), [33, 3, 12]),
    "bert-gelu-new-labels-f16": (dict(layers=2, hidden=96, heads=6, feed_forward=200, vocab=200, positions=40,
                                      activation="gelu_new", head="labels", labels=3, dtype="f16", seed=15), [7, 20, 3]),
    "bert-relu-span-bf16": (dict(layers=2, hidden=64, heads=2, feed_forward=256, vocab=200, positions=40, eps=1e-5,
                                 activation="relu", head="span", dtype="bf16", seed=16), [24, 11]),
    "distilbert-2": (dict(family="distilbert", layers=2, hidden=96, heads=6, feed_forward=384, vocab=300, positions=64,
                          seed=17), [9, 30, 1]),
    "distilbert-labels": (dict(family="distilbert", layers=2, hidden=64, heads=4, feed_forward=128, vocab=200,
                               positions=40, head="labels", labels=5, seed=18), [9, 16]),
    "distilbert-span": (dict(family="distilbert", layers=1, hidden=64, heads=4, feed_forward=128, vocab=200, positions=40,
                             head="span", activation="relu", dtype="f16", seed=19), [13, 6]),
    **{f"pool-{mode}": (dict(TINY, pooling=mode, seed=20 + i), [9, 1, 30]) for i, mode in enumerate(POOLINGS)},
    "pool-all": (dict(TINY, pooling=ALL, seed=26), [9, 1, 30]),
    "pool-skip": (dict(TINY, pooling=ALL, include_prompt=False, seed=27), [9, 2, 30, 5], [3, 1, 7, 0]),
    "pool-skip-cls": (dict(TINY, pooling="cls", include_prompt=False, seed=28), [9, 2, 30, 5], [3, 1, 7, 0]),
    "dense-one": (dict(TINY, pooling="mean", dense="40:Tanh", seed=29), [9, 1, 30]),
    "dense-residual": (dict(TINY, pooling="cls+mean", dense="48:GELU:residual,40:Sigmoid:residual,40:Identity:nobias:residual",
                            seed=30), [9, 1, 30]),
    "dense-many": (dict(TINY, pooling="max", dense="70:ReLU:nobias,33:Identity,20:Tanh", dtype="bf16", seed=31), [9, 1, 30]),
    "dense-cls": (dict(TINY, pooling="cls", dense="16:Identity", dtype="f16", seed=32), [9, 1, 30]),
    "electra-small": (dict(SMALL, family="electra", embedding=20, seed=33), [9, 30, 1]),
    "electra-wide": (dict(SMALL, family="electra", embedding=96, activation="gelu_new", dtype="f16", seed=34), [9, 30, 1]),
    "electra-same": (dict(SMALL, family="electra", seed=35), [9, 30, 1]),
    "electra-labels": (dict(SMALL, family="electra", embedding=20, head="labels", labels=3, seed=36), [9, 30]),
    "electra-span": (dict(SMALL, family="electra", embedding=20, head="span", seed=37), [9, 30]),
    "electra-tokens": (dict(SMALL, family="electra", embedding=20, head="tokens", labels=5, seed=38), [9, 30]),
    "bert-tokens": (dict(SMALL, head="tokens", labels=9, seed=39), [9, 1, 30]),
    "distilbert-tokens": (dict(SMALL, family="distilbert", head="tokens", labels=1, seed=40), [9, 30]),
}


def write_golden(name, sequences, types, outputs):
    """sequences, types: lists of lists; outputs: kind -> array."""
    starts = np.cumsum([0] + [len(s) for s in sequences]).astype("<u4")
    ids = np.concatenate(sequences).astype("<i4")
    kinds = np.concatenate(types).astype("u1")
    data = b"QRG1" + struct.pack("<III", len(sequences), len(ids), len(outputs)) + starts.tobytes() + ids.tobytes()
    data += kinds.tobytes() + bytes(-len(kinds) % 4)
    for kind, numbers in outputs.items():
        numbers = np.ascontiguousarray(numbers, dtype="<f4").reshape(-1)
        data += struct.pack("<II", kind, len(numbers)) + numbers.tobytes()
    path = OUT / f"{name}.golden"
    path.write_bytes(data)
    print(f"{path.relative_to(ROOT)}: {len(sequences)} sequences, {len(ids)} tokens, {len(data)} bytes")


def load(directory, head="none"):
    kind = {"none": AutoModel, "span": AutoModelForQuestionAnswering, "labels": AutoModelForSequenceClassification,
            "tokens": AutoModelForTokenClassification}[head]
    return kind.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def run(model, head, pooling, sequences, types, wanted):
    """Each sequence alone, so that no padding is involved."""
    rows = {kind: [] for kind in wanted}
    takes_types = "distilbert" not in model.config.model_type
    for ids, kinds in zip(sequences, types):
        inputs = {"input_ids": torch.tensor([list(ids)])}
        if takes_types:
            inputs["token_type_ids"] = torch.tensor([list(kinds)])
        result = model(**inputs, output_hidden_states=True)
        hidden = result.hidden_states[-1][0].numpy()
        if HIDDEN in wanted:
            rows[HIDDEN].append(hidden)
        if POOLED in wanted:
            rows[POOLED].append((hidden[0] if pooling == "cls" else hidden.mean(axis=0))[None])
        if SPAN in wanted:
            rows[SPAN].append(torch.stack([result.start_logits[0], result.end_logits[0]], dim=1).numpy())
        if LABELS in wanted:
            rows[LABELS].append(result.logits.numpy())
        if TOKENS in wanted:
            rows[TOKENS].append(result.logits[0].numpy())
    return {kind: np.concatenate(values) for kind, values in rows.items()}


@torch.no_grad()
def run_modules(directory, sequences, types, skips):
    """Pooled vectors by sentence-transformers itself; Normalize was not written."""
    import sentence_transformers
    if sentence_transformers.__version__ != "6.2.0":
        raise SystemExit(f"sentence-transformers 6.2.0 is needed, this is {sentence_transformers.__version__}")
    model = sentence_transformers.SentenceTransformer(str(directory), device="cpu", model_kwargs={"torch_dtype": torch.float32})
    rows = []
    for ids, kinds, skip in zip(sequences, types, skips):
        features = {"input_ids": torch.tensor([list(ids)]), "token_type_ids": torch.tensor([list(kinds)]),
                    "attention_mask": torch.ones(1, len(ids), dtype=torch.int64), "prompt_length": int(skip)}
        rows.append(model(features)["sentence_embedding"].numpy())
    return np.concatenate(rows)


def make_random(only_modules):
    for name, (options, lengths, *rest) in RANDOM.items():
        modules = name.startswith(("pool-", "dense-"))
        skips = rest[0] if rest else None
        if modules != only_modules:
            continue
        rng = np.random.default_rng(options["seed"])
        head, pooling = options.get("head", "none"), options.get("pooling", "mean")
        sequences = [rng.integers(0, options["vocab"], n) for n in lengths]
        bert = options.get("family", "bert") != "distilbert"
        types = [np.sort(rng.integers(0, options.get("types", 2), n)) if bert else np.zeros(n, int) for n in lengths]
        wanted = [HIDDEN, POOLED] + {"none": [], "span": [SPAN], "labels": [LABELS], "tokens": [TOKENS]}[head]
        if name == "bert-long":
            wanted.remove(HIDDEN)
        with tempfile.TemporaryDirectory() as directory:
            make_model(directory, tokenizer=modules, normalize=not modules, **options)
            if modules:
                outputs = {POOLED: run_modules(directory, sequences, types, skips or [0] * len(lengths))}
            else:
                outputs = run(load(directory, head), head, pooling, sequences, types, wanted)
        if skips:
            outputs[SKIP] = skips
        write_golden(name, sequences, types, outputs)


def make_real(minilm):
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    sequences = [tokenizer(q)["input_ids"] for q in QUERIES]
    types = [[0] * len(s) for s in sequences]
    model = load(minilm)
    write_golden("minilm", sequences, types, run(model, "none", "mean", sequences, types, [POOLED]))
    write_golden("minilm-hidden", sequences[:3], types[:3],
                 run(model, "none", "mean", sequences[:3], types[:3], [HIDDEN]))

    squad = ROOT / "models/squad-3l"
    tokenizer = AutoTokenizer.from_pretrained(squad)
    pairs = [tokenizer(q, c) for q, c in PAIRS]
    sequences, types = [p["input_ids"] for p in pairs], [p["token_type_ids"] for p in pairs]
    model = load(squad, "span")
    write_golden("squad-3l", sequences, types, run(model, "span", "mean", sequences, types, [SPAN]))
    write_golden("squad-3l-hidden", sequences[:1], types[:1], run(model, "span", "mean", sequences[:1], types[:1], [HIDDEN]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minilm", default=ROOT / "models/minilm", help="all-MiniLM-L6-v2's directory")
    parser.add_argument("--modules", action="store_true", help="make those of poolings and Dense modules instead of the others")
    args = parser.parse_args()
    if transformers.__version__ != "4.57.6" and not args.modules:
        parser.error(f"transformers 4.57.6 is needed, this is {transformers.__version__}")
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    make_random(args.modules)
    if not args.modules:
        make_real(str(args.minilm))


if __name__ == "__main__":
    main()
