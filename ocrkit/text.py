"""Text: Unicode normal form, named alphabets, plate patterns and the `Tokenizer`.

Taught in notebook 02.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence

from ocrkit.reading_order import to_logical, to_visual

DIGITS = "0123456789"
# GA 36 never uses I or O after the province character, because they look like 1 and 0.
PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
#: The character that opens a plate -> the province in English, for figures: matplotlib has no Chinese glyphs.
PROVINCE_NAMES = {
    "京": "Beijing", "津": "Tianjin", "沪": "Shanghai", "渝": "Chongqing", "冀": "Hebei", "豫": "Henan",
    "云": "Yunnan", "辽": "Liaoning", "黑": "Heilongjiang", "湘": "Hunan", "皖": "Anhui", "鲁": "Shandong",
    "新": "Xinjiang", "苏": "Jiangsu", "浙": "Zhejiang", "赣": "Jiangxi", "鄂": "Hubei", "桂": "Guangxi",
    "甘": "Gansu", "晋": "Shanxi", "蒙": "Inner Mongolia", "陕": "Shaanxi", "吉": "Jilin", "闽": "Fujian",
    "贵": "Guizhou", "粤": "Guangdong", "青": "Qinghai", "藏": "Tibet", "川": "Sichuan", "宁": "Ningxia",
    "琼": "Hainan",
}  # fmt: skip
PROVINCES = "".join(PROVINCE_NAMES)
# Marks that stand on police, trainer, Hong Kong, Macau, embassy, consulate and trailer plates.
PLATE_MARKS = "警学港澳使领挂"
PERSIAN_DIGITS = "۰۱۲۳۴۵۶۷۸۹"
PERSIAN_LETTERS = "ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"

#: Groups of characters that look alike. The Chinese ones are pairs of the list in Macielyoung/Confused_Chinese
#: (Apache-2.0), whose pictures are alike by 0.959 or more there, but for 人入 and 素索, which it lacks.
LOOK_ALIKES = (
    "未末", "己已巳", "土士", "日曰", "人入", "千干", "王玉", "大太", "刀刃", "午牛", "又叉", "今令", "元无", "乌鸟",
    "呜鸣", "凤风", "免兔", "字宇", "材村", "李季", "素索", "都郡", "住往", "侍待", "侯候", "仅仪", "抬拾", "拔拨",
    "冶治", "晴睛", "博搏", "戊戌戍", "0OD", "8B", "1I", "5S", "2Z",
)  # fmt: skip
#: Characters that stand between them in rendered lines; that list has none of them as alike to another one here.
UNLIKE = "的我国学家爱心安高马水山火车347AEHKMX"
#: The same for number plates.
PLATE_LOOK_ALIKES = ("0DOQ", "8B", "2Z", "5S", "CG", "EF", "VY", "挂桂")


def _sorted(characters: str) -> str:
    return "".join(sorted(set(characters)))


#: Named alphabets. `plates-resnet` and `plates-vgg` are those of the two plate systems that the
#: course rebuilds: the first has O and no marks, the second has 警 and 学 and no O.
ALPHABETS = {
    "digits": DIGITS,
    "plates": _sorted(DIGITS + PLATE_LETTERS + "O" + PROVINCES + PLATE_MARKS),
    "plates-resnet": _sorted(DIGITS + PLATE_LETTERS + "O" + PROVINCES),
    "plates-vgg": _sorted(DIGITS + PLATE_LETTERS + PROVINCES + "警学"),
    "look-alikes": _sorted("".join(LOOK_ALIKES) + UNLIKE),
    "names": _sorted(string.ascii_uppercase + "'- "),
    "persian-dates": _sorted(PERSIAN_DIGITS + "/-."),
    "persian": _sorted(PERSIAN_LETTERS + PERSIAN_DIGITS + " \u200c/-.:_()،"),
}
#: Those whose text stands on paper in another order than it is typed in. A date does not: it runs from left to right.
RIGHT_TO_LEFT = ("persian",)

_EITHER = PLATE_LETTERS + DIGITS
_NEW_ENERGY = (PROVINCES, PLATE_LETTERS)
#: Kind of plate -> the ways to write it: for each place the characters that may stand there.
PLATE_SLOTS = {
    "standard": [(PROVINCES, PLATE_LETTERS + "O", *[_EITHER] * 5)],
    "new energy": [
        (*_NEW_ENERGY, PLATE_LETTERS, _EITHER, *[DIGITS] * 4),
        (*_NEW_ENERGY, *[DIGITS] * 5, PLATE_LETTERS),
    ],
    "marked": [(PROVINCES, PLATE_LETTERS, *[_EITHER] * 4, "警学港澳领挂")],
    "embassy": [("使", *[DIGITS] * 6)],
}
#: Kind of plate -> what its text must look like.
PLATE_PATTERNS = {
    kind: re.compile("|".join("".join(f"[{slot}]" for slot in slots) for slots in ways))
    for kind, ways in PLATE_SLOTS.items()
}


def normalize(text: str) -> str:
    """Return `text` in Unicode NFC, the only form that `ocrkit` stores.

    `é` can be one code point or two (`e` and a combining accent). NFC always picks the one.
    """
    return unicodedata.normalize("NFC", text)


#: What Unicode does not take apart: letters, apostrophes and hyphens -> how `names_text` writes them.
_PLAIN = str.maketrans(
    {"Œ": "OE", "œ": "oe", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l", "Đ": "D", "đ": "d"}
    | dict.fromkeys("‘’´`", "'")
    | dict.fromkeys("‐‑–—", "-")
)


def names_text(label: str) -> str:
    """Return `label` as the handwritten-names set spells: upper case, no accents, no spaces but single ones inside.

    `" Zoé  Le Bœuf"` gives `"ZOE LE BOEUF"`. The label only: who wrote the name may well have written small letters
    and accents, so a reader of such labels learns to leave the accents out. What still lies outside
    `ALPHABETS["names"]` stays, for `lint` to report.
    """
    text = label.translate(_PLAIN)
    if not text.isascii():  # nearly all labels are, and the set has 400,000
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return normalize(" ".join(text.upper().split()))


def graphemes(text: str) -> list[str]:
    """Split `text` into what a reader calls characters: a base with the marks that stand on it.

    `"e" + accent`, a Persian letter with its vowel sign, an emoji with skin tone or joined by ZWJ, and a flag are
    one item each; joined again, the items give `text`. A small part of Unicode's rules (UAX 29) that suits the
    scripts of this course; Hangul written in single jamo, Indic conjuncts and prefixed signs are not joined.

    Taught in notebook 05.
    """
    clusters: list[str] = []
    for c in text:
        last = clusters[-1] if clusters else ""
        mark = unicodedata.category(c) in ("Mn", "Mc", "Me") or c in "\u200c\u200d" or "\U0001f3fb" <= c <= "\U0001f3ff"
        # ZWJ between Persian letters only shapes them; between pictures it makes one of two.
        joined = last.endswith("\u200d") and unicodedata.category(c) == "So"
        flag = len(last) == 1 and all("\U0001f1e6" <= x <= "\U0001f1ff" for x in last + c)
        if last and last not in "\r\n" and (mark or joined or flag) or last + c == "\r\n":
            clusters[-1] += c
        else:
            clusters.append(c)
    return clusters


def plate_kind(text: str) -> str | None:
    """Return the key of `PLATE_PATTERNS` that the whole of `text` fits, or None."""
    return next((kind for kind, p in PLATE_PATTERNS.items() if p.fullmatch(text)), None)


def brothers(groups: Iterable[str] = LOOK_ALIKES) -> dict[str, str]:
    """Character -> the others of its group of look-alikes. Taught in notebook 07."""
    return {c: group.replace(c, "") for group in groups for c in group}


def min_steps(target: Sequence) -> int:
    """Fewest time steps in which CTC can write `target`: one a character, one blank between equal neighbors.

    `target` is a text or a list of class numbers. Taught in notebook 02.
    """
    return len(target) + sum(a == b for a, b in zip(target, target[1:]))


def ctc_collapse(path: Sequence[int]) -> tuple[int, ...]:
    """The CTC rule on class numbers: merge equal neighbors, then remove blanks. Taught in notebook 02."""
    return tuple(c for i, c in enumerate(path) if c != Tokenizer.BLANK and (i == 0 or c != path[i - 1]))


def quote(characters: Iterable[str]) -> str:
    """Characters as a person can read them in a message: `'·' (U+00B7)`."""
    return ", ".join(f"{c!r} (U+{ord(c):04X})" for c in characters)


class Tokenizer:
    """Turns text into class numbers and back.

    Class 0 is the CTC blank, 1 stands for any character out of the vocabulary (OOV), 2 fills short labels (PAD), and
    the characters follow from 3 on, in the order of the alphabet. The model needs `tokenizer.num_classes` outputs.

    Args:
        alphabet: the characters, each once. `Tokenizer.from_name` and `Tokenizer.from_texts` build it for you.
        unknown: what `encode` does with a character outside the alphabet: `"error"` raises `ValueError` and names
            it, `"drop"` leaves it out, `"oov"` encodes it as class 1.
        order: how class numbers follow each other: `"logical"`, as the text is typed, or `"visual"`, as its
            characters stand on paper from left to right (`reading_order.to_visual`). Texts are logical in both.

    Raises:
        ValueError: the alphabet is empty, repeats a character or is not in NFC, `unknown` or `order` is not one of
            its words, or `order="visual"` and the alphabet has letters of a left-to-right script.

    Taught in notebooks 02 and 10.
    """

    BLANK, OOV, PAD = 0, 1, 2
    SPECIAL = 3

    def __init__(self, alphabet: str, unknown: str = "error", order: str = "logical"):
        if not alphabet:
            raise ValueError("the alphabet is empty: give the characters that the model shall read")
        repeated = sorted({c for c in alphabet if alphabet.count(c) > 1})
        if repeated:
            raise ValueError(f"the alphabet has {quote(repeated)} more than once; each may stand once")
        # One by one: as a whole, a combining accent would join the character that happens to stand before it.
        composed = [c for c in alphabet if normalize(c) != c]
        if composed:
            raise ValueError(f"the alphabet has {quote(composed)}, which is not in NFC: use ocrkit.text.normalize")
        if unknown not in ("error", "drop", "oov"):
            raise ValueError(f'unknown={unknown!r}: it must be "error", "drop" or "oov"')
        if order not in ("logical", "visual"):
            raise ValueError(f'order={order!r}: it must be "logical" or "visual"')
        if order == "visual":
            to_visual(alphabet)  # raises where a letter runs from left to right
        self.alphabet = alphabet
        self.unknown = unknown
        self.order = order
        self._index = {c: i for i, c in enumerate(alphabet, start=self.SPECIAL)}

    @classmethod
    def from_name(cls, name: str, unknown: str = "error") -> Tokenizer:
        """Build from a key of `ALPHABETS`, such as `"plates"`."""
        if name not in ALPHABETS:
            raise ValueError(f"no alphabet is named {name!r}; there are: {', '.join(ALPHABETS)}")
        return cls(ALPHABETS[name], unknown, "visual" if name in RIGHT_TO_LEFT else "logical")

    @classmethod
    def from_texts(cls, texts: Iterable[str], unknown: str = "error") -> Tokenizer:
        """Build from the characters that occur in `texts`, sorted by code point."""
        return cls(_sorted("".join(normalize(t) for t in texts)), unknown)

    @property
    def num_classes(self) -> int:
        """Number of classes: the characters plus blank, OOV and PAD."""
        return len(self.alphabet) + self.SPECIAL

    def missing(self, text: str) -> list[str]:
        """Characters of `text` (after NFC) that the alphabet lacks, each once, in order."""
        return [c for c in dict.fromkeys(normalize(text)) if c not in self._index]

    def on_paper(self, text: str) -> str:
        """The characters of `text` (after NFC) in the order of their class numbers; see `order`."""
        text = normalize(text)
        if self.order == "logical":
            return text
        lacking = "" if self.unknown == "drop" else "\ufffd"  # whatever it is, it stands there as a sign
        return to_visual("".join(c if c in self._index else lacking for c in text))

    def encode(self, text: str) -> list[int]:
        """Return the class numbers of `text`, one a character, in the tokenizer's `order`.

        Raises:
            ValueError: `unknown="error"` and a character is not in the alphabet.
        """
        if self.unknown == "error" and (missing := self.missing(text)):
            raise ValueError(
                f"label {text!r} has {quote(missing)}, which is not in the alphabet; "
                'add it to the alphabet, or pass unknown="drop" or unknown="oov"'
            )
        codes = (self._index.get(c, self.OOV) for c in self.on_paper(text))
        return [c for c in codes if c != self.OOV or self.unknown != "drop"]

    def encode_batch(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Encode many texts to one rectangle.

        Returns:
            `(rows, lengths)`: N rows, all as long as the longest text, filled with PAD; and the
            N true lengths. `torch.tensor` takes both as they are.
        """
        rows = [self.encode(t) for t in texts]
        lengths = [len(r) for r in rows]
        longest = max(lengths, default=0)
        return [r + [self.PAD] * (longest - len(r)) for r in rows], lengths

    def decode(self, codes: Iterable[int], collapse: bool = False) -> str:
        """Return the text of class numbers, always in logical order; blank, OOV and PAD give nothing.

        Args:
            codes: class numbers, for instance the best class of each time step.
            collapse: apply the CTC rule: first merge equal neighbors, then remove blanks. Leave it off for codes
                that came from `encode`.

        Raises:
            ValueError: a number is not a class of this tokenizer.
        """
        codes = [int(c) for c in codes]
        wrong = next((c for c in codes if not 0 <= c < self.num_classes), None)
        if wrong is not None:
            raise ValueError(f"class {wrong} is not in 0..{self.num_classes - 1}: the codes come from another alphabet")
        if collapse:
            codes = ctc_collapse(codes)
        text = "".join(self.alphabet[c - self.SPECIAL] for c in codes if c >= self.SPECIAL)
        return to_logical(text) if self.order == "visual" else text

    def decode_batch(self, rows: Iterable[Iterable[int]], collapse: bool = False) -> list[str]:
        """`decode` for each row."""
        return [self.decode(row, collapse) for row in rows]

    def to_dict(self) -> dict:
        """What `from_dict` needs, as plain JSON values."""
        return {"alphabet": self.alphabet, "unknown": self.unknown, "order": self.order}

    @classmethod
    def from_dict(cls, saved: dict) -> Tokenizer:
        """Undo `to_dict`."""
        return cls(saved["alphabet"], saved.get("unknown", "error"), saved.get("order", "logical"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.alphabet, self.unknown, self.order))

    def __repr__(self) -> str:
        shown = self.alphabet if len(self.alphabet) <= 40 else self.alphabet[:37] + "..."
        return (
            f"Tokenizer({shown!r}, {len(self.alphabet)} characters, num_classes={self.num_classes}, "
            f"unknown={self.unknown!r}{', order=' + repr(self.order) if self.order == 'visual' else ''})"
        )
