"""The tokenizer: labels to class numbers and back, and the collapse of CTC. Taught in notebook 02."""

from collections.abc import Iterable, Sequence

from ocrkit.text.alphabets import ALPHABETS, RIGHT_TO_LEFT, in_order
from ocrkit.text.reading_order import to_logical, to_visual
from ocrkit.text.strings import normalize, quote


def min_steps(target: Sequence) -> int:
    """Fewest time steps in which CTC can write `target`, a text or a list of class numbers. Taught in notebook 02.

    One a character, and one for the blank between equal neighbors.
    """
    return len(target) + sum(a == b for a, b in zip(target, target[1:]))


def ctc_collapse(path: Sequence[int]) -> tuple[int, ...]:
    """The CTC rule on class numbers: merge equal neighbors, then remove blanks. Taught in notebook 02."""
    return tuple(c for i, c in enumerate(path) if c != Tokenizer.BLANK and (i == 0 or c != path[i - 1]))


class Tokenizer:
    """Turns text into class numbers and back. Taught in notebooks 02 and 10.

    Class 0 is the CTC blank, 1 stands for any character out of the vocabulary (OOV), 2 fills short labels (PAD), and
    the characters follow from 3 on, in the order of the alphabet. The model needs `tokenizer.num_classes` outputs.

    Args:
        alphabet: the characters, each once. `Tokenizer.from_name` and `Tokenizer.from_texts` build it for you.
        unknown: what `encode` does with a character outside the alphabet: `"error"` raises `ValueError` and names
            it, `"drop"` leaves it out, `"oov"` encodes it as class 1.
        order: how class numbers follow each other: `"logical"`, as the text is typed, or `"visual"`, as its
            characters stand on paper from left to right (`reading_order.to_visual`). Texts are logical in both.

    Raises ValueError: the alphabet is empty, repeats a character or is not in NFC, `unknown` or `order` is not one of
    its words, or `order="visual"` and the alphabet has letters of a left-to-right script.
    """

    BLANK, OOV, PAD = 0, 1, 2
    SPECIAL = 3

    def __init__(self, alphabet: str, unknown: str = "error", order: str = "logical"):
        if not alphabet:
            raise ValueError("the alphabet is empty: give the characters that the model shall read")
        if repeated := sorted({c for c in alphabet if alphabet.count(c) > 1}):
            raise ValueError(f"the alphabet has {quote(repeated)} more than once; each may stand once")
        # One by one: as a whole, a combining accent would join the character that happens to stand before it.
        if composed := [c for c in alphabet if normalize(c) != c]:
            raise ValueError(f"the alphabet has {quote(composed)}, which is not in NFC: use text.strings.normalize")
        if unknown not in ("error", "drop", "oov"):
            raise ValueError(f'unknown={unknown!r}: it must be "error", "drop" or "oov"')
        if order not in ("logical", "visual"):
            raise ValueError(f'order={order!r}: it must be "logical" or "visual"')
        if order == "visual":
            to_visual(alphabet)  # raises where a letter runs from left to right
        self.alphabet, self.unknown, self.order = alphabet, unknown, order
        self._index = {c: i for i, c in enumerate(alphabet, start=self.SPECIAL)}

    @classmethod
    def from_name(cls, name: str, unknown: str = "error") -> "Tokenizer":
        """Build from a key of `ALPHABETS`, such as `"plates"`."""
        if name not in ALPHABETS:
            raise ValueError(f"no alphabet is named {name!r}; there are: {', '.join(ALPHABETS)}")
        return cls(ALPHABETS[name], unknown, "visual" if name in RIGHT_TO_LEFT else "logical")

    @classmethod
    def from_texts(cls, texts: Iterable[str], unknown: str = "error") -> "Tokenizer":
        """Build from the characters that occur in `texts`, sorted by code point."""
        return cls(in_order("".join(normalize(t) for t in texts)), unknown)

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

        Raises ValueError: `unknown="error"` and a character is not in the alphabet.
        """
        if self.unknown == "error" and (missing := self.missing(text)):
            raise ValueError(
                f"label {text!r} has {quote(missing)}, which is not in the alphabet; "
                'add it to the alphabet, or pass unknown="drop" or unknown="oov"'
            )
        codes = (self._index.get(c, self.OOV) for c in self.on_paper(text))
        return [c for c in codes if c != self.OOV or self.unknown != "drop"]

    def encode_batch(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Encode N texts to `(rows, lengths)`: rows as long as the longest one, filled with PAD, and true lengths."""
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

        Raises ValueError: a number is not a class of this tokenizer.
        """
        codes = [int(c) for c in codes]
        if wrong := [c for c in codes if not 0 <= c < self.num_classes]:
            raise ValueError(f"class {wrong[0]} is not in 0..{self.num_classes - 1}: the codes are of another alphabet")
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
    def from_dict(cls, saved: dict) -> "Tokenizer":
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
