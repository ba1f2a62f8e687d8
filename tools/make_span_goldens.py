#!/usr/bin/env python3
"""Makes tests/golden/spans.json: what transformers' question-answering pipeline answers to our own questions. Run by hand:

    python tools/make_span_goldens.py

Needs what span_oracle.py needs. All texts are our own (span_texts.py). Cases whose answers hang on a tie (two scores within
1e-6, or scores of 0, which the pipeline orders as numpy happens to) are left out and counted.
"""

import json
from pathlib import Path

import span_oracle
from span_texts import PASSAGES

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = [
    {},
    {"top_k": 3},
    {"top_k": 5, "handle_impossible_answer": True},
    {"handle_impossible_answer": True},
    {"align_to_words": False, "top_k": 3},
    {"max_answer_len": 2, "top_k": 2},
    {"max_seq_len": 64, "doc_stride": 12, "top_k": 4},
    {"max_seq_len": 200, "doc_stride": 150},
]


def is_tied(answers):
    scores = [a["score"] for a in answers]
    return any(a - b < 1e-6 for a, b in zip(scores, scores[1:])) or 0.0 in scores


def main():
    oracle = span_oracle.Oracle(str(ROOT / "models/squad-3l"))
    cases, tied = [], 0
    for passage, (context, questions) in enumerate(PASSAGES):
        for question in questions:
            for options in SETTINGS:
                answers = oracle.answer(question, context, options)
                more = oracle.answer(question, context, {**options, "top_k": options.get("top_k", 1) + 1})
                if is_tied(more):
                    tied += 1
                    continue
                cases.append({"passage": passage, "question": question, "options": options, "answers": answers})
    golden = {
        "made_by": f"tools/make_span_goldens.py, transformers {span_oracle.TRANSFORMERS}, models/squad-3l",
        "passages": [context for context, _ in PASSAGES],
        "cases": cases,
    }
    path = ROOT / "tests/golden/spans.json"
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=None, separators=(",", ":")).replace('{"passage"', '\n{"passage"') + "\n")
    print(f"{path}: {len(cases)} cases, {tied} left out for ties, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
