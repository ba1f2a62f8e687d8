"""The oracle of querent's spans: transformers' question-answering pipeline (pinned to 4.57.6; removed in 5.3).

Used by make_span_goldens.py and span_check.py; needs torch, transformers and numpy, which `make test` does not.
"""

import json
import subprocess
import tempfile

TRANSFORMERS = "4.57.6"

# The pipeline's parameter -> querent's flag.
FLAGS = {
    "top_k": "--top-k",
    "max_answer_len": "--max-answer-len",
    "doc_stride": "--doc-stride",
    "max_seq_len": "--max-seq-len",
}


class Oracle:
    """Answers questions as the pipeline does. The model's logits are kept for as long as one question is asked, so
    that options which only matter after the model cost nothing."""

    def __init__(self, model):
        import torch
        import transformers

        if transformers.__version__ != TRANSFORMERS:
            raise SystemExit(f"needs transformers {TRANSFORMERS}, found {transformers.__version__}")
        torch.set_num_threads(1)
        transformers.logging.set_verbosity_error()
        self.pipeline = transformers.pipeline(
            "question-answering", model=model, torch_dtype=torch.float32, device="cpu"
        )
        self.key = None
        self.outputs = None

    def answer(self, question, context, options):
        """The answers as a list, also when there is exactly one."""
        before = {k: v for k, v in options.items() if k in ("doc_stride", "max_seq_len")}
        after = {k: v for k, v in options.items() if k not in before}
        key = (question, context, tuple(sorted(before.items())))
        if key != self.key:
            features = self.pipeline.preprocess({"question": question, "context": context}, **before)
            self.outputs = [self.pipeline.forward(feature) for feature in features]
            self.key = key
        found = self.pipeline.postprocess(self.outputs, **after)
        return [found] if isinstance(found, dict) else found


def flags_of(options):
    """The pipeline's options as querent's flags."""
    flags = []
    for name, value in options.items():
        if name == "handle_impossible_answer":
            flags += ["--handle-impossible"] if value else []
        elif name == "align_to_words":
            flags += [] if value else ["--no-align-to-words"]
        else:
            flags += [FLAGS[name], str(value)]
    return flags


def run_querent(querent, model, pairs, options, extra=()):
    """querent's answers to (question, context) pairs: one list each."""
    with tempfile.TemporaryFile() as lines:
        for question, context in pairs:
            lines.write(json.dumps({"question": question, "context": context}).encode() + b"\n")
        lines.seek(0)
        done = subprocess.run(
            [querent, "span", "--model", model, *flags_of(options), *extra],
            stdin=lines,
            stdout=subprocess.PIPE,
            check=True,
        )
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(found) == len(pairs), f"{len(found)} answers to {len(pairs)} questions"
    return [[answers] if isinstance(answers, dict) else answers for answers in found]
