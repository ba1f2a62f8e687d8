"""A search backend in a page: passages to vectors once, then a query, the nearest passages, and the
span of the best one that answers.

    python3 search.py http://127.0.0.1:8080 [--passages 10000]

The passages are made up here. Needs numpy alone: requests are plain HTTP, vectors come as base64.
"""
import argparse
import base64
import json
import random
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BATCH = 128  # passages a request
SENDERS = 2  # requests at once, so that the server always has the next one

# Passages can wait, and let queries go first; a query has the server's own budget.
PATIENT = {"X-Request-Budget-Ms": "600000", "X-Request-Priority": "batch"}

NAMES = [a + b for a in ("Kval", "Bran", "Ost", "Lind", "Mar", "Fjell", "Sund", "Hol", "Rav", "Tor")
         for b in ("vik", "stad", "heim", "by", "nes", "dal", "berg", "havn", "mark", "fors")]  # fmt: skip
THINGS = {
    "lighthouse": ("metres tall", 12, 60, "stands on the rocks outside of the harbour"),
    "bridge": ("metres long", 80, 1900, "carries the road over the fjord"),
    "market": ("stalls large", 10, 90, "opens every Saturday before sunrise"),
    "library": ("shelves large", 40, 900, "lends maps of the old trade routes"),
    "railway": ("kilometres long", 8, 300, "climbs through seven tunnels to the pass"),
}


def make_passages(count):
    """[(name, thing, number, passage)]: no two are about the same thing of the same place until all have been."""
    draw = random.Random(7)
    pairs = [(name, thing) for name in NAMES for thing in THINGS]
    draw.shuffle(pairs)
    made = []
    for i in range(count):
        name, thing = pairs[i % len(pairs)]
        unit, least, most, story = THINGS[thing]
        number, year = draw.randint(least, most), 1700 + draw.randrange(300)
        place = name if i < len(pairs) else f"{name} {i // len(pairs) + 1}"
        made.append((place, thing, number, f"The {thing} of {place} was built in {year}. It {story} and is {number} {unit}."))
    return made


def post(url, path, body, headers):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def embed(url, texts, **headers):
    answer = post(url, "/v1/embeddings", {"model": "minilm", "input": texts, "encoding_format": "base64"}, headers)
    return np.stack([np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4") for item in answer["data"]])


def embed_all(url, texts):
    batches = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
    with ThreadPoolExecutor(SENDERS) as senders:
        return np.concatenate(list(senders.map(lambda batch: embed(url, batch, **PATIENT), batches)))


def search(url, index, texts, query, top=3):
    """[(score, place in texts)] of the nearest passages. Vectors have length 1: the product is the cosine."""
    scores = index @ embed(url, [query])[0]
    best = np.argpartition(-scores, min(top, len(scores) - 1))[:top]
    return sorted(((float(scores[i]), int(i)) for i in best), reverse=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("url", nargs="?", default="http://127.0.0.1:8080")
    options.add_argument("--passages", type=int, default=10000)
    options = options.parse_args()
    passages = make_passages(options.passages)
    texts = [passage for *_, passage in passages]
    begin = time.perf_counter()
    index = embed_all(options.url, texts)
    print(f"{len(index)} passages in {time.perf_counter() - begin:.1f} s")
    for place, thing, number, passage in passages[:5]:
        begin = time.perf_counter()
        found = search(options.url, index, texts, f"the {thing} of {place}")
        question = f"How tall, long or large is the {thing} of {place}?"
        answer = post(options.url, "/span", {"inputs": {"question": question, "context": texts[found[0][1]]}}, {})
        print(f"{question} {answer['answer']} ({(time.perf_counter() - begin) * 1e3:.1f} ms)")
        for score, at in found:
            print(f"    {score:.3f}  {texts[at]}")


if __name__ == "__main__":
    main()
