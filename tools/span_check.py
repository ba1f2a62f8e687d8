#!/usr/bin/env python3
"""Holds `querent span` against transformers' question-answering pipeline, and measures it on SQuAD.

    tools/span_check.py --data squad-dev-part.json            # same answers as the pipeline?
    tools/span_check.py --data squad-dev-part.json --squad --precision f32,bf16,int8

The first form asks --limit questions on their own paragraphs and --long questions on several paragraphs joined, which
need windows, under several settings; a pair of lists counts as equal when start, end, answer and order are the same and
scores differ by at most 1e-5. The second prints exact match and F1 by SQuAD's rules. Needs what span_oracle.py needs
(the second form does not).
"""

import argparse
import collections
import json
import re
import string
import sys
import time

import span_oracle

SHORT = [
    {},
    {"top_k": 3},
    {"top_k": 5, "handle_impossible_answer": True},
    {"handle_impossible_answer": True},
    {"align_to_words": False},
    {"align_to_words": False, "top_k": 5},
    {"max_answer_len": 3, "top_k": 3},
    {"max_answer_len": 40},
    {"max_seq_len": 96, "doc_stride": 24, "top_k": 3},
]
LONG = [
    {},
    {"top_k": 5},
    {"top_k": 3, "handle_impossible_answer": True},
    {"doc_stride": 16, "top_k": 3},
    {"doc_stride": 200, "max_seq_len": 300, "top_k": 3},
    {"align_to_words": False, "top_k": 3},
]


def load(path):
    """(title, [(context, [(question, [answer texts])])]) of each article."""
    articles = []
    for article in json.load(open(path, encoding="utf-8"))["data"]:
        paragraphs = [
            (p["context"], [(q["question"], [a["text"] for a in q["answers"]]) for q in p["qas"]])
            for p in article["paragraphs"]
        ]
        articles.append((article["title"], paragraphs))
    return articles


def spread(items, count):
    """`count` of `items`, evenly over the list."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]


def short_pairs(articles, limit):
    pairs = [(q, context) for _, paragraphs in articles for context, qas in paragraphs for q, _ in qas]
    return spread(pairs, limit)


def long_pairs(articles, limit):
    """Questions on five paragraphs joined: about 600 to 1,000 tokens."""
    pairs = []
    for _, paragraphs in articles:
        for at in range(0, len(paragraphs) - 4, 5):
            context = "\n".join(text for text, _ in paragraphs[at : at + 5])
            pairs += [(qas[0][0], context) for _, qas in paragraphs[at : at + 5] if qas]
    return spread(pairs, limit)


def places(answers):
    return [(a["start"], a["end"], a["answer"]) for a in answers]


def compare(ours, theirs):
    """"equal", "tie" (the same but for the order of scores within 1e-6) or "different", and the largest score difference."""
    worst = max((abs(a["score"] - b["score"]) for a, b in zip(ours, theirs)), default=0.0)
    if len(ours) != len(theirs) or worst > 1e-5:
        return "different", worst
    if places(ours) == places(theirs):
        return "equal", worst
    # Another order (or another last answer) is a tie when every misplaced answer's neighbours in score are that close.
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if (a["start"], a["end"]) != (b["start"], b["end"]) and abs(a["score"] - b["score"]) > 1e-6:
            return "different", worst
    return "tie", worst


def check(name, pairs, settings, oracle, args):
    theirs = [[] for _ in settings]
    for question, context in pairs:
        for at, options in enumerate(settings):
            theirs[at].append(oracle.answer(question, context, options))
    good = True
    for at, options in enumerate(settings):
        ours = span_oracle.run_querent(args.querent, args.model, pairs, options)
        counts, worst = collections.Counter(), 0.0
        for (question, _), mine, other in zip(pairs, ours, theirs[at]):
            verdict, difference = compare(mine, other)
            counts[verdict] += 1
            worst = max(worst, difference)
            if verdict != "equal" and args.verbose:
                print(f"  {verdict}: {question!r}\n    querent  {mine}\n    pipeline {other}")
        good = good and counts["different"] == 0
        print(
            f"{name} {json.dumps(options)}: {counts['equal']} of {len(pairs)} equal, {counts['tie']} ties, "
            f"{counts['different']} different; largest score difference {worst:.2e}",
            flush=True,
        )
    return good


def squad_words(text):
    """SQuAD's normalisation: lower case, no punctuation, no articles, single spaces."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(found, truth):
    a, b = squad_words(found), squad_words(truth)
    if not a or not b:
        return float(a == b)
    same = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * same / (len(a) + len(b))


def squad(articles, precision, args):
    rows = [(q, context, truths) for _, ps in articles for context, qas in ps for q, truths in qas]
    begun = time.monotonic()
    answers = span_oracle.run_querent(
        args.querent,
        args.model,
        [(q, c) for q, c, _ in rows],
        {"max_answer_len": args.max_answer_len},
        ["--precision", precision],
    )
    seconds = time.monotonic() - begun
    texts = [a[0]["answer"] if a else "" for a in answers]
    exact = sum(any(squad_words(t) == squad_words(x) for x in truths) for t, (_, _, truths) in zip(texts, rows))
    total = sum(max(f1(t, x) for x in truths) for t, (_, _, truths) in zip(texts, rows))
    print(
        f"squad {precision}: {len(rows)} questions, exact match {100 * exact / len(rows):.2f}, "
        f"F1 {100 * total / len(rows):.2f} ({seconds:.0f} s)",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--querent", default="build/querent")
    parser.add_argument("--model", default="models/squad-3l")
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--long", type=int, default=100)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--squad", action="store_true")
    parser.add_argument("--precision", default="f32", help="for --squad, comma-separated")
    parser.add_argument("--max-answer-len", type=int, default=30, help="for --squad")
    args = parser.parse_args()
    articles = load(args.data)
    if args.squad:
        for precision in args.precision.split(","):
            squad(articles, precision, args)
        return 0
    oracle = span_oracle.Oracle(args.model)
    good = check("short", short_pairs(articles, args.limit), SHORT, oracle, args)
    good = check("long", long_pairs(articles, args.long), LONG, oracle, args) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
