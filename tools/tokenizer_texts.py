"""Texts for tools/tokenizer_check.py: seeded, from all Unicode planes, and made to go wrong."""
import random
import unicodedata

from tokenizers.normalizers import BertNormalizer


def classes():
    """Code points by what can go wrong with them."""
    kinds = {k: [] for k in "marks upper decomposing space control punctuation any_mark".split()}
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        x = chr(c)
        category = unicodedata.category(x)
        if unicodedata.combining(x):
            kinds["marks"].append(x)
        if category in ("Mc", "Me", "Mn"):
            kinds["any_mark"].append(x)
        if x.lower() != x:
            kinds["upper"].append(x)
        if unicodedata.decomposition(x) and not unicodedata.decomposition(x).startswith("<"):
            kinds["decomposing"].append(x)
        if category in ("Zs", "Zl", "Zp") or x in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85":
            kinds["space"].append(x)
        if category in ("Cc", "Cf"):
            kinds["control"].append(x)
        if category[0] in "PS":
            kinds["punctuation"].append(x)
    strip = BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    kinds["rare_marks"] = [x for x in kinds["marks"] if strip.normalize_str("a" + x) != "a"]
    return kinds


class Texts:
    """An endless, seeded stream of texts; some are bytes that are no UTF-8."""

    EMOJI = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "❤️", "👍🏽", "🇩🇪", "1️⃣", "🤷🏻‍♀️", "☃", "🪿"]
    SNIPPETS = ["what is the capital of Australia?", "Zürich, São Paulo & Kraków: 3°C", "don't won't it's we've they're",
                "İstanbul'da ÇAĞRI ışık", "ΌΔΥΣΣΕΎΣ Σίσυφος ΣΑΣ", "московский Ёлка Й", "mañana EL NIÑO", "ﬁlm ﬂow Ａｂｃ ①②",
                "北京大学 is in 北京", "東京タワーの高さは？", "서울특별시 대한민국", "ภาษาไทยวันนี้", "हिन्दी में क्षत्रिय", "עִבְרִית שָׁלוֹם", "اَلْعَرَبِيَّةُ",
                "e\u0301\u0316\u0327 o\u0308\u0304", "a\u0345\u0334\u302e\u302f", "x\u200by\u200dz\ufeff", "C++ & C# cost $5.00 (50% off)!",
                "https://example.org/a_b?c=d#e", "l'été où ça va", "Ⅷ Ωhm Åkelvin K", "\U0001d15e\U0001d160\U0001d165"]

    def __init__(self, seed, words, specials):
        self.random = random.Random(seed)
        self.words = words
        self.specials = specials
        self.kinds = classes()
        self.makers = [(30, self.words_text), (10, self.any_plane), (6, self.bmp), (10, self.marks), (8, self.mixed),
                       (4, self.hangul), (5, self.cjk), (4, self.emoji), (5, self.long_word), (6, self.special),
                       (5, self.blanks), (4, self.cased), (8, self.broken), (3, self.ascii), (2, self.snippet)]
        self.weights = [w for w, _ in self.makers]

    def pick(self, items, low, high):
        return [self.random.choice(items) for _ in range(self.random.randint(low, high))]

    def scalar(self, limit=0x110000):
        while True:
            c = self.random.randrange(limit)
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def words_text(self):
        out = []
        for w in self.pick(self.words, 0, 14):
            style = self.random.random()
            if style < 0.15:
                w = w.capitalize()
            elif style < 0.2:
                w = w.upper()
            elif style < 0.25:
                w = "".join(c + self.random.choice("\u0301\u0308\u0327") if self.random.random() < 0.3 else c for c in w)
            elif style < 0.3:
                w = unicodedata.normalize("NFC", "".join(c + "\u0301" if c in "aeiou" else c for c in w))
            out.append(w)
            out.append(self.random.choice([" ", " ", " ", " ", "", ", ", ". ", "-", "'", "  ", "\n", "/"]))
        return "".join(out)

    def any_plane(self):
        return "".join(self.scalar() + self.random.choice(["", "", " "]) for _ in range(self.random.randint(1, 24)))

    def bmp(self):
        return "".join(self.scalar(0x10000) for _ in range(self.random.randint(1, 24)))

    def marks(self):
        out = self.pick(self.words, 0, 1)
        for _ in range(self.random.randint(1, 4)):
            out.append(self.random.choice([self.random.choice(self.kinds["decomposing"]), "a", "o", " ", "中", ""]))
            out += self.pick(self.kinds[self.random.choice(["marks", "any_mark", "rare_marks"])], 0, 8)
            out += self.pick(["\u0344", "\u0f73", "\u0f75", "\u0f81", "\x00", "\u200d"], 0, 1)
        return "".join(out)

    def mixed(self):
        out = []
        for _ in range(self.random.randint(1, 12)):
            kind = self.random.choice(list(self.kinds))
            out += self.pick(self.kinds[kind], 1, 3)
            out += self.pick(self.words, 0, 1)
        return "".join(out)

    def hangul(self):
        syllables = "".join(chr(self.random.randrange(0xAC00, 0xD7A4)) for _ in range(self.random.randint(1, 8)))
        jamo = "".join(chr(self.random.randrange(0x1100, 0x1200)) for _ in range(self.random.randint(0, 6)))
        return syllables + self.random.choice(["", " "]) + jamo + self.random.choice(["", "\u302e", "abc"])

    def cjk(self):
        ranges = [(0x4E00, 0xA000), (0x3400, 0x4DC0), (0x20000, 0x2A6E0), (0xF900, 0xFB00), (0x2F800, 0x2FA20), (0x3040, 0x3100),
                  (0x2A700, 0x2CEB0), (0x30000, 0x31350)]
        out = []
        for _ in range(self.random.randint(1, 10)):
            out.append(chr(self.random.randrange(*self.random.choice(ranges))))
            out += self.pick(self.words + ["。", "、", "！"], 0, 1)
        return "".join(out)

    def emoji(self):
        return "".join(self.pick(self.EMOJI + [" ", "ok"], 1, 8))

    def long_word(self):
        n = self.random.choice([1, 50, 98, 99, 100, 101, 102, 150, 400])
        alphabet = self.random.choice(["ab", "e\u0301", "éà", "한", "x中", "ßİ", "a\u00ad", "\U0001d400", self.random.choice(self.words) or "w"])
        word = (alphabet * n)[:n]
        return self.random.choice(["", "go "]) + word + self.random.choice(["", " on", "!"])

    def special(self):
        out = []
        for _ in range(self.random.randint(1, 6)):
            token = self.random.choice(self.specials)
            cut = self.random.random()
            if cut < 0.15:
                token = token[:-1]
            elif cut < 0.25:
                token = token.lower()
            elif cut < 0.3:
                token = token[0] + token
            out.append(token)
            out.append(self.random.choice(["", " ", "  ", "a", "_", "\u3000", "\n", "é", "\u0301", "word ", "."]))
        return "".join(out)

    def blanks(self):
        out = []
        for _ in range(self.random.randint(1, 8)):
            out += self.pick(self.kinds["space"] + self.kinds["control"], 1, 3)
            out += self.pick(self.words, 0, 1)
        return "".join(out)

    def cased(self):
        return "".join(self.pick(self.kinds["upper"], 1, 12)) + self.random.choice(["", " ", "İI", "ΑΣ"])

    def ascii(self):
        return "".join(chr(self.random.randrange(128)) for _ in range(self.random.randint(0, 40)))

    def snippet(self):
        return " ".join(self.pick(self.SNIPPETS, 1, 3))

    def broken(self):
        raw = bytearray(self.random.choice([self.words_text, self.mixed, self.cjk, self.emoji, self.snippet, self.special])()
                        .encode("utf-8"))
        for _ in range(self.random.randint(1, 5)):
            at = self.random.randrange(len(raw) + 1)
            how = self.random.random()
            if how < 0.4 and raw:
                del raw[at - 1:at]
            elif how < 0.8:
                raw[at:at] = bytes(self.random.choices(range(0x80, 0x100), k=self.random.randint(1, 3)))
            else:
                raw[at:at] = self.random.choice([b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe2\x82", b"\xf0\x9f\x98", b"\xff"])
        return bytes(raw)

    def next(self):
        made = self.random.choices(self.makers, self.weights)[0][1]()
        return made if isinstance(made, bytes) else made.encode("utf-8")
