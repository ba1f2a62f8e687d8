#!/usr/bin/env python3
"""Makes tests/golden/embeds.json: embeddings of our own texts as sentence-transformers computes them for all-MiniLM-L6-v2
(transformers, mean over tokens, division by the L2 norm). Run by hand:

    python tools/make_embed_goldens.py --model models/minilm

Pinned: transformers 4.57.6.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [
    "how tall is the lighthouse",
    "",
    "ferry timetable Halden to Tun",
    "Where does the water of the bakery come from?",
    "  two   spaces\tand a tab  ",
    "carriage return stays in the text\r",
    "ÉMILE DUCHÊNE, watchmaker — 112 steps",
    "東京 to 大阪 by train",
    "emoji 🚄 in a query",
    "antidisestablishmentarianism unbelievable tokenization",
    "C++ vs. C#: what's faster?",
    "a long text that must be cut " + "because it says the same thing over and over again, " * 40,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=str(ROOT / "models/minilm"))
    args = parser.parse_args()
    if transformers.__version__ != "4.57.6":
        raise SystemExit(f"needs transformers 4.57.6, found {transformers.__version__}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    model = transformers.AutoModel.from_pretrained(args.model, dtype=torch.float32, attn_implementation="eager").eval()
    longest = json.loads((Path(args.model) / "sentence_bert_config.json").read_text())["max_seq_length"]
    vectors = []
    with torch.no_grad():
        for text in TEXTS:
            inputs = tokenizer(text, truncation=True, max_length=longest, padding=False, return_tensors="pt")
            pooled = model(**inputs).last_hidden_state[0].double().mean(dim=0)
            vectors.append([float(f"{x:.7g}") for x in torch.nn.functional.normalize(pooled, dim=0).tolist()])
    golden = {
        "made_by": "tools/make_embed_goldens.py, transformers 4.57.6, all-MiniLM-L6-v2",
        "texts": TEXTS,
        "vectors": vectors,
    }
    path = ROOT / "tests/golden/embeds.json"
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")).replace("[[", "[\n[").replace("],[", "],\n[") + "\n")
    print(f"{path}: {len(TEXTS)} texts, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
