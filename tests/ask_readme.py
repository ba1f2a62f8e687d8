"""Asks a running server the README's two questions, with nothing but Python, and checks the answers: ask_readme.py URL"""

import json
import math
import sys
import urllib.request
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent / "golden" / "embeds.json"


def ask(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def main():
    url = sys.argv[1]
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    worst = min(cosine(ask(url + "/embed", {"inputs": text})[0], wanted)
                for text, wanted in zip(golden["texts"], golden["vectors"]) if text)  # fmt: skip
    span = ask(url + "/span", {"inputs": {"question": "How tall is Mount Everest?",
                                          "context": "Mount Everest is 8,849 metres tall. It lies in the Himalayas."}})
    print(f"cosine to transformers' vectors: {worst:.4f} at least; the span: {span['answer']!r}")
    sys.exit(0 if worst > 0.99 and span["answer"] == "8,849 metres" else 1)


if __name__ == "__main__":
    main()
