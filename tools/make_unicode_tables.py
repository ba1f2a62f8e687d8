#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_tables.c: what `tokenizers` thinks of every code point.

    python3 tools/make_unicode_tables.py [--check]

The oracle is the pinned PyPI package, not a Unicode release: its parts carry tables of three different Unicode
versions (utf8proc, Python's unicodedata and ICU all differ from it at hundreds of code points). So each property is
asked of the package itself, at all 1,112,064 scalar values: what BertNormalizer's clean-up removes or turns into a
space, which characters it treats as Chinese, what NFD decomposes and reorders, which marks are stripped, what
lower-casing gives, where BertPreTokenizer splits, and what \\w means around an added token. --check compares with
the committed file and writes nothing.
"""
import argparse
import pathlib
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

PINNED = "0.22.2"
TARGET = pathlib.Path(__file__).resolve().parent.parent / "src/tokenizer/unicode_tables.c"
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
PAGE = 128

# Bits of a record; src/tokenizer/unicode.h has the same list.
REMOVED, BLANK, SPACE, PUNCTUATION, CHINESE, MARK, WORD, LOWER, DECOMPOSES = (1 << i for i in range(9))
HANGUL = range(0xAC00, 0xD7A4)


def bert(clean=False, chinese=False, strip=False, lower=False):
    return normalizers.BertNormalizer(clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip,
                                      lowercase=lower).normalize_str


def word_characters():
    """\\w of the package's regex: it stops a single_word token from matching beside it."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "<t>": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_tokens([AddedToken("<t>", single_word=True, normalized=False)])
    found = set()
    for start in range(0, len(SCALARS), 20000):
        part = SCALARS[start:start + 20000]
        for side in (lambda c: chr(c) + "<t>", lambda c: "<t>" + chr(c)):
            for c, e in zip(part, tokenizer.encode_batch_fast([side(c) for c in part], add_special_tokens=False)):
                if 1 not in e.ids:
                    found.add(c)
                elif c in found:
                    sys.exit(f"U+{c:04X}: \\w on one side only")
    return found


def strip_spaces():
    """\\s of the package's regex, through an added token that swallows what is left of it."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "<t>": 1}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("<t>", lstrip=True, normalized=False)])
    found = set()
    for start in range(0, len(SCALARS), 20000):
        part = SCALARS[start:start + 20000]
        for c, e in zip(part, tokenizer.encode_batch([chr(c) + "<t>" for c in part], add_special_tokens=False)):
            if e.offsets[0] == (0, 4):
                found.add(c)
    return found


def combining_classes(nfd):
    """Canonical combining classes, by how NFD orders a character and a mark of each known class."""
    low, high = "\u0334", "\u0345"  # classes 1 and 240
    swaps = lambda x, y: nfd("a" + x + y) != "a" + nfd("a" + x)[1:] + nfd("a" + y)[1:]
    marks = []
    for c in SCALARS:
        x = chr(c)
        # What decomposes has marks of its own; a starter never moves.
        if (swaps(x, low) or swaps(high, x)) and nfd("a" + x) == "a" + x:
            marks.append(x)
    known = {}
    for x in marks:
        if unicodedata.combining(x):
            known.setdefault(unicodedata.combining(x), x)
    classes = {}
    for x in marks:
        same = [k for k, r in known.items() if not swaps(x, r) and not swaps(r, x)]
        if len(same) != 1:
            sys.exit(f"U+{ord(x):04X}: combining class is one of {same}")
        classes[ord(x)] = same[0]
    return classes


def probe():
    """Everything about every code point, with the assumptions of the C code checked as it goes."""
    clean, chinese, strip = bert(clean=True), bert(chinese=True), bert(strip=True)
    lower, nfd = bert(lower=True), normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    flags = dict.fromkeys(SCALARS, 0)
    lowers, decompositions = {}, {}
    for c in SCALARS:
        x, f = chr(c), 0
        cleaned = clean("a" + x + "b")
        if cleaned == "ab":
            f |= REMOVED
        elif cleaned == "a b":
            f |= BLANK
        elif cleaned != "a" + x + "b":
            sys.exit(f"U+{c:04X}: clean_text gives {cleaned!r}")
        spaced = chinese("a" + x + "b")
        if spaced == "a " + x + " b":
            f |= CHINESE
        elif spaced != "a" + x + "b":
            sys.exit(f"U+{c:04X}: handle_chinese_chars gives {spaced!r}")
        words = [w for w, _ in split("a" + x + "b")]
        if words == ["a", "b"]:
            f |= SPACE
        elif words == ["a", x, "b"]:
            f |= PUNCTUATION
        elif words != ["a" + x + "b"]:
            sys.exit(f"U+{c:04X}: the pre-tokenizer gives {words!r}")
        lowered = lower("a" + x)[1:]
        if lowered != x:
            lowers[c] = [ord(y) for y in lowered]
            f |= LOWER
        decomposed = nfd("a" + x)[1:]
        if decomposed != x and c not in HANGUL:
            decompositions[c] = [ord(y) for y in decomposed]
            f |= DECOMPOSES
        if strip("a" + x) == "a" and decomposed == x:
            f |= MARK
        flags[c] = f
    for c in HANGUL:
        s = c - 0xAC00
        parts = [0x1100 + s // 588, 0x1161 + s % 588 // 28] + ([0x11A7 + s % 28] if s % 28 else [])
        if [ord(y) for y in nfd(chr(c))] != parts:
            sys.exit(f"U+{c:04X}: Hangul does not decompose by the formula")
    for c in SCALARS:
        want = "".join(y for y in nfd("a" + chr(c)) if not flags[ord(y)] & MARK)
        if strip("a" + chr(c)) != want:
            sys.exit(f"U+{c:04X}: strip_accents is not NFD without the marks")
    for c in word_characters():
        flags[c] |= WORD
    if strip_spaces() != {c for c in SCALARS if flags[c] & SPACE}:
        sys.exit("\\s and the pre-tokenizer's white space differ")
    for sequence in decompositions.values():
        if any(flags[y] & DECOMPOSES for y in sequence):
            sys.exit("a decomposition is not complete")
    return flags, lowers, decompositions, combining_classes(nfd)


def rows(values, indent="    ", width=100):
    """Values as C initialisers, as many a line as fit."""
    lines, line = [], indent
    for v in values:
        item = f"{v},"
        if len(line) + len(item) > width:
            lines.append(line.rstrip())
            line = indent
        line += item
    lines.append(line.rstrip())
    return "\n".join(lines)


def runs(values):
    """Values as designated ranges, for arrays that repeat themselves."""
    out, start = [], 0
    for i in range(1, len(values) + 1):
        if i == len(values) or values[i] != values[start]:
            if values[start] != 0:
                out.append(f"[{start}]={values[start]}" if i - start == 1 else
                           f"[{start} ... {i - 1}]={values[start]}")
            start = i
    return rows(out)


def lower_ranges(lowers):
    """(first, delta) of each run of one-to-one mappings with one delta; the others are listed. A run need not be
    dense: which of its code points have a lower case, their records say."""
    ranges, several = [], []
    for c in sorted(lowers):
        if len(lowers[c]) > 1:
            several.append(c)
            continue
        delta = lowers[c][0] - c
        if not ranges or ranges[-1][1] != delta:
            ranges.append((c, delta))
    return ranges, several


def text_of(flags, lowers, decompositions, classes):
    keys = [(0, 0)] * 0x110000
    for c in SCALARS:
        keys[c] = (flags[c], classes.get(c, 0))
    count = {}
    for k in keys:
        count[k] = count.get(k, 0) + 1
    records = sorted(count, key=lambda k: (k != keys[0x10FFFF], -count[k], k))
    number = {k: i for i, k in enumerate(records)}
    pages, page_of = {}, []
    for start in range(0, 0x110000, PAGE):
        page = tuple(number[k] for k in keys[start:start + PAGE])
        page_of.append(pages.setdefault(page, len(pages)))
    if len(records) > 256 or len(pages) > 256:
        sys.exit(f"{len(records)} records, {len(pages)} pages: one byte is too small")
    ranges, several = lower_ranges(lowers)
    if any(lowers[c] != [0x69, 0x307] or c != 0x130 for c in several):
        sys.exit(f"new multi-character lower case: {several}")
    pool, entries, seen = [], [], {}
    for c in sorted(decompositions):
        d = tuple(decompositions[c])
        if d not in seen:
            seen[d] = len(pool)
            pool.extend(d)
        entries.append((c, seen[d], len(d)))
    if max(n for _, _, n in entries) > 4 or len(pool) > 0xFFFF:
        sys.exit("a decomposition is longer than the C code expects")
    flat = [v for page in pages for v in page]
    return f"""/* tokenizer/unicode_tables.c: generated by tools/make_unicode_tables.py from tokenizers {PINNED};
 * do not edit.
 *
 * {len(records)} records, {len(pages)} pages of {PAGE} code points, {len(lowers)} lower-case mappings in {len(ranges)} ranges
 * (and U+0130), {len(entries)} decompositions (Hangul is computed).
 */
/* clang-format off */
#include "tokenizer/unicode.h"

const qr__unicode_record qr__unicode_records[] = {{
{rows([f"{{{f},{k}}}" for f, k in records])}
}};

const uint8_t qr__unicode_page_of[{0x110000 // PAGE}] = {{
{runs(page_of)}
}};

const uint8_t qr__unicode_record_of[{len(flat)}] = {{
{rows(flat)}
}};

const qr__unicode_lower qr__unicode_lowers[] = {{
{rows([f"{{{first},{delta}}}" for first, delta in ranges])}
}};
const size_t qr__unicode_lowers_len = sizeof qr__unicode_lowers / sizeof *qr__unicode_lowers;

const qr__unicode_decomposition qr__unicode_decompositions[] = {{
{rows([f"{{{c},{at},{n}}}" for c, at, n in entries])}
}};
const size_t qr__unicode_decompositions_len =
    sizeof qr__unicode_decompositions / sizeof *qr__unicode_decompositions;

const uint32_t qr__unicode_parts[] = {{
{rows(pool)}
}};
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed file")
    arguments = parser.parse_args()
    if tokenizers.__version__ != PINNED:
        sys.exit(f"tokenizers {tokenizers.__version__} is installed, the tables come from {PINNED}")
    text = text_of(*probe())
    if arguments.check:
        if TARGET.read_text(encoding="utf-8") != text:
            sys.exit(f"{TARGET} is not what this tool makes")
        print("same")
        return
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET}: {len(text)} bytes, {text.count(chr(10))} lines")


if __name__ == "__main__":
    main()
