#!/usr/bin/env python3
"""Compares querent's tokenizer with the PyPI package `tokenizers`, string by string, or times both.

    python3 tools/tokenizer_check.py --count 50000 --model models/squad-3l
    python3 tools/tokenizer_check.py --every
    python3 tools/tokenizer_check.py --bench --model models/minilm --queries queries.txt

Strings come from all Unicode planes: real words, controls, white space, combining runs, Hangul, CJK, emoji, long
words, special tokens, broken UTF-8 (which the package gets as bytes.decode("utf-8", "replace")). Ids, offsets (our
bytes turned into code points), word ids, types, special mask, pairs, truncations, windows and decoding are compared,
for the given model as it is and for variants of its options. Needs nothing but `tokenizers`. Exit status: 0 no
difference, 1 a difference, 2 it could not run.
"""
import argparse
import codecs
import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
import tokenizers  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from tokenizer_texts import Texts  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
NO_WORD = 0xFFFFFFFF
OK = 0
STRATEGIES = ["longest_first", "only_first", "only_second"]
BATCH = 1000


# ---------------------------------------------------------------- places


REPLACED = []


def note_replacement(error):
    REPLACED.append((error.start, error.end))
    return "\ufffd", error.end


codecs.register_error("noted", note_replacement)


def text_of(raw):
    return raw.decode("utf-8", "replace")


def places(raw):
    """Code point index of every byte offset that a character may begin or end at; None: they are the same."""
    if raw.isascii():
        return None
    REPLACED.clear()
    text = raw.decode("utf-8", "noted")
    broken, at, place = dict(REPLACED), 0, {}
    for index, c in enumerate(text):
        place[at] = index
        at = broken[at] if at in broken else at + len(c.encode("utf-8"))
    place[at] = len(text)
    return place


# ---------------------------------------------------------------- our side


class Ours:
    """The tokenizer behind its pipe (bench/tokenizer.c)."""

    def __init__(self, binary, model):
        self.process = subprocess.Popen([str(binary), "--model", str(model), "--serve"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()

    def ask(self, requests):
        body = b"".join(requests)
        self.process.stdin.write(struct.pack("<I", len(body)) + body)
        self.process.stdin.flush()
        head = self.process.stdout.read(4)
        if len(head) < 4:
            sys.exit(f"{self.process.args[0]} ended early: {self.process.wait()}")
        self.data = self.process.stdout.read(struct.unpack("<I", head)[0])
        self.at = 0

    def numbers(self, n):
        out = struct.unpack_from(f"<{n}I", self.data, self.at)
        self.at += 4 * n
        return out

    def octets(self, n):
        out = self.data[self.at:self.at + n]
        self.at += n
        return out

    def encoding(self):
        truncated, n = self.numbers(2)
        ids, begin, end, word = (self.numbers(n) for _ in range(4))
        return {"ids": ids, "begin": begin, "end": end, "word": word, "types": self.octets(n), "special": self.octets(n),
                "truncated": truncated}


def encode_request(raw, pair, special, strategy=0, left=False, max_tokens=0):
    flags = (1 if special else 0) | (2 if pair is not None else 0) | (4 if left else 0)
    out = struct.pack("<BBBII", ord("e"), flags, strategy, max_tokens, len(raw)) + raw
    return out if pair is None else out + struct.pack("<I", len(pair)) + pair


def windows_request(question, context, max_tokens, stride):
    return (struct.pack("<BIII", ord("w"), max_tokens, stride, len(question)) + question +
            struct.pack("<I", len(context)) + context)


def decode_request(ids, skip):
    return struct.pack(f"<BBI{len(ids)}I", ord("d"), int(skip), len(ids), *ids)


# ---------------------------------------------------------------- comparing


def as_package(ours, raws):
    """Our encoding in the package's terms; the second text's tokens are of type 1."""
    maps = [places(r) for r in raws]
    offsets = []
    for b, e, t, special in zip(ours["begin"], ours["end"], ours["types"], ours["special"]):
        place = None if special else maps[t]
        offsets.append((b, e) if place is None else (place.get(b, -1), place.get(e, -1)))
    return {"ids": list(ours["ids"]), "offsets": offsets, "types": list(ours["types"]), "special": list(ours["special"]),
            "words": [None if w == NO_WORD else w for w in ours["word"]]}


def of_package(encoding):
    return {"ids": encoding.ids, "offsets": encoding.offsets, "types": encoding.type_ids,
            "special": encoding.special_tokens_mask, "words": encoding.word_ids}


class Check:
    def __init__(self, name, binary, directory, theirs, texts):
        self.name, self.texts, self.theirs = name, texts, theirs
        self.ours = Ours(binary, directory)
        self.random = texts.random
        self.strings = self.differences = 0
        theirs.no_padding()
        theirs.no_truncation()
        self.specials = {pair: theirs.num_special_tokens_to_add(pair) for pair in (False, True)}

    def differ(self, what, raws, ours, theirs):
        self.differences += 1
        if self.differences > 10:
            return
        print(f"DIFFERENCE in {self.name}, {what}: {[ascii(r)[2:-1] for r in raws]}", file=sys.stderr)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            for key in theirs:
                if ours[key] != theirs[key]:
                    print(f"  {key}\n    ours   {ours[key]}\n    theirs {theirs[key]}", file=sys.stderr)
        else:
            print(f"    ours   {ours!r}\n    theirs {theirs!r}", file=sys.stderr)

    def compare(self, what, raws, ours, theirs):
        want = of_package(theirs)
        have = as_package(ours, raws)
        if have != want:
            self.differ(what, raws, have, want)

    def plain(self, n):
        self.encode([self.texts.next() for _ in range(n)])

    def every(self):
        """All code points, 16 a string: between letters, behind a blank, before a mark that moves."""
        scalars = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
        strings = ["".join(f"a{chr(c)}b {chr(c)}\u302f" for c in scalars[i:i + 16]).encode() for i in range(0, len(scalars), 16)]
        for i in range(0, len(strings), BATCH):
            self.encode(strings[i:i + BATCH])
        self.strings = len(strings)

    def encode(self, raws):
        special = self.random.random() < 0.8
        self.ours.ask([encode_request(r, None, special) for r in raws])
        theirs = self.theirs.encode_batch([text_of(r) for r in raws], add_special_tokens=special)
        for raw, their in zip(raws, theirs):
            status, = self.ours.numbers(1)
            ours = self.ours.encoding()
            if status != OK or ours["truncated"]:
                self.differ("encode", [raw], f"status {status}, truncated {ours['truncated']}", "all tokens")
            else:
                self.compare("encode", [raw], ours, their)
        self.decode([e.ids for e in theirs[:len(raws) // 4]])

    def decode(self, lists):
        size = self.theirs.get_vocab_size()
        lists = lists + [[self.random.randrange(size + 5) for _ in range(self.random.randint(0, 12))] for _ in lists]
        skip = self.random.random() < 0.5
        self.ours.ask([decode_request(ids, skip) for ids in lists])
        for ids, their in zip(lists, self.theirs.decode_batch(lists, skip_special_tokens=skip)):
            n, = self.ours.numbers(1)
            ours = self.ours.octets(n).decode("utf-8", "replace")
            if ours != their:
                self.differ(f"decode {ids} skip {skip}", [], ours, their)

    def pairs(self, n):
        raws = [(self.texts.next(), self.texts.next()) for _ in range(n // 2)]
        special = self.random.random() < 0.8
        self.ours.ask([encode_request(a, b, special) for a, b in raws])
        theirs = self.theirs.encode_batch([(text_of(a), text_of(b)) for a, b in raws], add_special_tokens=special)
        for pair, their in zip(raws, theirs):
            status, = self.ours.numbers(1)
            ours = self.ours.encoding()
            if status != OK:
                self.differ("pair", pair, f"status {status}", "all tokens")
            else:
                self.compare("pair", pair, ours, their)

    def truncated(self, n):
        pair, special = self.random.random() < 0.6, self.random.random() < 0.8
        strategy, left = self.random.randrange(3 if pair else 2), self.random.random() < 0.3
        added = self.specials[pair] if special else 0
        max_tokens = max(1, added + self.random.choice([0, 1, 2, 3, 4, 5, 8, 13, 21, 40]))
        raws = [(self.texts.next(), self.texts.next())[:2 if pair else 1] for _ in range(n // (2 if pair else 1))]
        self.ours.ask([encode_request(r[0], r[1] if pair else None, special, strategy, left, max_tokens) for r in raws])
        self.theirs.enable_truncation(max_tokens, strategy=STRATEGIES[strategy], direction="left" if left else "right")
        what = f"max {max_tokens} {STRATEGIES[strategy]} left={left} special={special}"
        for raw in raws:
            status, = self.ours.numbers(1)
            ours = self.ours.encoding()
            try:
                their = self.theirs.encode(*[text_of(r) for r in raw], add_special_tokens=special)
            except Exception as error:  # the package refuses: so must we
                if status == OK:
                    self.differ(what, raw, list(ours["ids"]), repr(error))
                continue
            if status != OK:
                self.differ(what, raw, f"status {status}", their.ids)
            elif bool(ours["truncated"]) != bool(their.overflowing):
                self.differ(what, raw, (ours["truncated"], ours["ids"]), (len(their.overflowing), their.ids))
            else:
                self.compare(what, raw, ours, their)
        self.theirs.no_truncation()

    def windows(self, n):
        max_tokens, stride = self.random.randint(self.specials[True], 48), self.random.choice([0, 1, 2, 5, 8, 16])
        raws = [(self.texts.next()[:self.random.choice([8, 30, 100])], b" ".join(self.texts.next() for _ in range(2)))
                for _ in range(n // 2)]
        self.ours.ask([windows_request(q, c, max_tokens, stride) for q, c in raws])
        what = f"windows of {max_tokens}, stride {stride}"
        answers = []
        for _ in raws:
            status, count = self.ours.numbers(2)
            answers.append((status, [self.ours.encoding() for _ in range(count)]))
        for (question, context), (status, ours) in zip(raws, answers):
            self.theirs.no_truncation()
            room = (max_tokens - self.specials[True] -
                    len(self.theirs.encode(text_of(question), add_special_tokens=False).ids))
            length = len(self.theirs.encode(text_of(context), add_special_tokens=False).ids)
            if length > room and room <= stride:  # the package refuses or panics
                if status == OK:
                    self.differ(what, (question, context), "windows", "no room for them")
                continue
            if length > room:
                self.theirs.enable_truncation(max_tokens, stride=stride, strategy="only_second")
            first = self.theirs.encode(text_of(question), text_of(context))
            theirs = [first] + first.overflowing
            if status != OK or len(ours) != len(theirs):
                self.differ(what, (question, context), f"status {status}, {len(ours)} windows", f"{len(theirs)} windows")
                continue
            for our, their in zip(ours, theirs):
                self.compare(what, (question, context), our, their)
        self.theirs.no_truncation()

    def run(self, count):
        if count == 0:
            self.every()
        jobs = [(5, self.plain), (2, self.pairs), (2, self.truncated), (1, self.windows)]
        while self.strings < count:
            n = min(BATCH, count - self.strings)
            job = self.random.choices(jobs, [w for w, _ in jobs])[0][1]
            job(n if job == self.plain else min(n, 200))
            self.strings += n if job == self.plain else min(n, 200)
        if self.ours.close() != 0:
            self.differ("at the end", [], "the process failed", "exit 0")


# ---------------------------------------------------------------- variants


def added(content, **flags):
    row = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    row.update(flags, content=content)
    return row


EXTRA = [added("<a>"), added("<b>", lstrip=True), added("<c>", rstrip=True), added("<d>", lstrip=True, rstrip=True),
         added("<e>", single_word=True), added("word", single_word=True), added("[MASKED]"), added("[MASK", special=True),
         added("naïve café"), added("  two")]
EXTRA_NORMALIZED = [added("Éclair", normalized=True), added("eclair tart", normalized=True, lstrip=True),
                    added("BIG", normalized=True, single_word=True), added("中文", normalized=True, rstrip=True),
                    added("ing", normalized=True), added("x\u200by", normalized=True, special=True)]


def variant(base, **changes):
    """A tokenizer.json with other options."""
    out = json.loads(json.dumps(base))
    out["truncation"] = out["padding"] = None
    for key, value in changes.items():
        if key in ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"):
            out["normalizer"][key] = value
        elif key in ("continuing_subword_prefix", "max_input_chars_per_word", "vocab"):
            out["model"][key] = value
        elif key == "extra":
            size = len(out["model"]["vocab"])
            fresh = [row for row in value if row["content"] not in out["model"]["vocab"]]
            ids = {row["content"]: size + i for i, row in enumerate(fresh)}
            out["added_tokens"] += [dict(row, id=ids.get(row["content"], out["model"]["vocab"].get(row["content"])))
                                    for row in value]
        else:
            out[key] = value
    return out


def letters_vocab(base):
    """A small vocabulary whose pieces begin with no prefix at all."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list("abcdefghijklmnopqrstuvwxyzé한中가.,!?") + [
        "th", "the", "er", "ing", "tion", "un", "##s", "é", "e\u0301"]
    return {t: i for i, t in enumerate(dict.fromkeys(pieces))}


def renumbered(base, vocab):
    """The base with another vocabulary: special tokens and template follow."""
    out = variant(base, vocab=vocab)
    for row in out["added_tokens"]:
        row["id"] = vocab[row["content"]]
    post = {"type": "BertProcessing", "sep": ["[SEP]", vocab["[SEP]"]], "cls": ["[CLS]", vocab["[CLS]"]]}
    return dict(out, post_processor=post)


def variants(base):
    yield "cased", variant(base, lowercase=False)
    yield "lower case with accents", variant(base, strip_accents=False)
    yield "cased without accents", variant(base, lowercase=False, strip_accents=True)
    yield "no clean_text", variant(base, clean_text=False)
    yield "no clean_text, with accents", variant(base, clean_text=False, strip_accents=False)
    yield "no spaces around Chinese", variant(base, handle_chinese_chars=False)
    yield "no normalizer, no post-processor, no decoder", variant(base, normalizer=None, post_processor=None, decoder=None)
    yield "added tokens", variant(base, extra=EXTRA)
    yield "normalized added tokens", variant(base, extra=EXTRA + EXTRA_NORMALIZED)
    yield "normalized added tokens, cased", variant(base, extra=EXTRA_NORMALIZED, lowercase=False)
    yield "small vocabulary, no prefix, words of 7", variant(renumbered(base, letters_vocab(base)), continuing_subword_prefix="",
                                                             max_input_chars_per_word=7)
    yield "decoder without clean-up", variant(base, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False})


def vocab_txt_model(base, directory):
    """The same vocabulary as vocab.txt; the package reads that through its own loader."""
    vocab = sorted(base["model"]["vocab"].items(), key=lambda item: item[1])
    (directory / "vocab.txt").write_text("".join(t + "\n" for t, _ in vocab), encoding="utf-8")
    (directory / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "strip_accents": True}))
    return tokenizers.BertWordPieceTokenizer(str(directory / "vocab.txt"), lowercase=False, strip_accents=True)._tokenizer


def check(arguments):
    model = pathlib.Path(arguments.model)
    base = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    words = [t for t in base["model"]["vocab"] if not t.startswith(("##", "[unused"))]
    specials = [row["content"] for row in base["added_tokens"] + EXTRA + EXTRA_NORMALIZED]
    texts = Texts(arguments.seed, words, specials)
    begin, strings, differences = time.monotonic(), 0, 0
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="tokenizer_check."))
    try:
        plans = [("the model itself", model, lambda: Tokenizer.from_file(str(model / "tokenizer.json")), 0.4)]
        made = list(variants(base))
        for i, (name, content) in enumerate(made):
            directory = scratch / str(i)
            directory.mkdir()
            (directory / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
            load = lambda d=directory: Tokenizer.from_file(str(d / "tokenizer.json"))
            plans.append((name, directory, load, 0.55 / len(made)))
        directory = scratch / "vocab"
        directory.mkdir()
        plans.append(("vocab.txt", directory, lambda: vocab_txt_model(base, directory), 0.05))
        for name, directory, load, share in plans:
            theirs = load()
            one = Check(name, arguments.binary, directory, theirs, texts)
            one.run(0 if arguments.every else math.ceil(arguments.count * share))
            strings += one.strings
            differences += one.differences
            if arguments.verbose:
                print(f"{name}: {one.strings} strings, {one.differences} differences", flush=True)
    finally:
        shutil.rmtree(scratch)
    print(f"{strings} strings, {differences} differences, tokenizers {tokenizers.__version__}, seed {arguments.seed}, "
          f"{time.monotonic() - begin:.0f} s")
    return 1 if differences or strings < (0 if arguments.every else arguments.count) else 0


# ---------------------------------------------------------------- timing


def time_package(tokenizer, texts):
    """Nanoseconds a text, for the package's two ways to encode on one thread."""
    begin = time.perf_counter_ns()
    for text in texts:
        tokenizer.encode(text)
    one = time.perf_counter_ns()
    tokenizer.encode_batch(texts)
    return (one - begin) / len(texts), (time.perf_counter_ns() - one) / len(texts)


def bench(arguments):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    texts = [line for line in pathlib.Path(arguments.queries).read_text(encoding="utf-8").split("\n") if line]
    tokenizer = Tokenizer.from_file(str(pathlib.Path(arguments.model) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ours, single, batch = [], [], []
    for _ in range(arguments.rounds):
        line = subprocess.run([str(arguments.binary), "--model", arguments.model, "--queries", arguments.queries, "--repeats",
                               "20", "--json"], check=True, capture_output=True, text=True).stdout
        ours.append(json.loads(line)["median_ns_per_text"])
        a, b = time_package(tokenizer, texts)
        single.append(a)
        batch.append(b)
    median = lambda values: sorted(values)[len(values) // 2]
    best = min(median(single), median(batch))
    result = {"texts": len(texts), "querent_ns": median(ours), "tokenizers_encode_ns": round(median(single)),
              "tokenizers_encode_batch_ns": round(median(batch)), "ratio": round(best / median(ours), 1)}
    print(json.dumps(result) if arguments.json else
          f"{len(texts)} texts, medians of {arguments.rounds} alternating rounds, one thread: querent {result['querent_ns']:.0f} ns, "
          f"tokenizers encode {result['tokenizers_encode_ns']} ns, encode_batch {result['tokenizers_encode_batch_ns']} ns "
          f"a text; {result['ratio']} times as fast")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50000, help="strings to compare (50000)")
    parser.add_argument("--every", action="store_true", help="every code point instead of generated strings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/bench/tokenizer")
    parser.add_argument("--model", default=str(ROOT / "models/squad-3l"), help="directory with a tokenizer.json")
    parser.add_argument("--verbose", action="store_true", help="a line for each variant")
    parser.add_argument("--bench", action="store_true", help="time both instead")
    parser.add_argument("--queries", default=str(ROOT / "tests/golden/queries.txt"), help="for --bench: a text a line")
    parser.add_argument("--rounds", type=int, default=9, help="for --bench")
    parser.add_argument("--json", action="store_true", help="for --bench")
    arguments = parser.parse_args()
    if not arguments.binary.exists():
        print(f"{arguments.binary} is not there: build the target bench_tokenizer", file=sys.stderr)
        return 2
    return bench(arguments) if arguments.bench else check(arguments)


if __name__ == "__main__":
    sys.exit(main())
