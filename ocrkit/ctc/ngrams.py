"""How likely is a word that no list has? A character n-gram spells it letter by letter. Taught in notebook 11."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from ocrkit.text.strings import normalize
from ocrkit.text.words import count_words

_START, _END = "\x02", "\x03"  # Unicode's "start of text" and "end of text"


class CharacterNgram:
    """The probability of any text: of each character after the `order - 1` before it, and of the end.

    Interpolated Witten-Bell smoothing: a history h that was seen n times, with d different characters after it,
    gives `P(c | h) = (count(h, c) + d * P(c | shorter h)) / (n + d)`; the shortest falls back on equal shares.

    Args:
        words: what to learn from, a list or a mapping word -> count.
        order: length of the n-grams; 5 looks at four characters before.
        alphabet: characters that a text may have; those of the words by default. Others have probability 0.

    Raises TypeError, ValueError: as `count_words`; or `order` is below 1.

    Source: Witten and Bell (1991); as in Chen and Goodman (1999), https://doi.org/10.1006/csla.1999.0128.
    Taught in notebook 11.
    """

    def __init__(self, words: Iterable[str] | Mapping[str, int], order: int = 5, alphabet: str | None = None):
        if order < 1:
            raise ValueError(f"order={order}: the shortest n-grams have order 1")
        counts = count_words(words)
        self.order = order
        self.alphabet = frozenset("".join(counts) if alphabet is None else alphabet)
        self._grams: Counter[str] = Counter()
        for word, count in counts.items():
            text = _START + word + _END
            for end in range(2, len(text) + 1):
                for start in range(max(0, end - order), end):
                    self._grams[text[start:end]] += count
        self._seen: Counter[str] = Counter()
        self._followers: Counter[str] = Counter()
        for gram, count in self._grams.items():
            self._seen[gram[:-1]] += count
            self._followers[gram[:-1]] += count > 0

    def probability(self, character: str, before: str = "") -> float:
        """P(character | the text before it, from its first character on). The character `""` is the end."""
        if character and character not in self.alphabet:
            return 0.0
        return self._probability(character or _END, (_START + before)[-self.order + 1 :] if self.order > 1 else "")

    def _probability(self, character: str, history: str) -> float:
        p = 1 / (len(self.alphabet) + 1)
        for start in range(len(history), -1, -1):  # from the empty history to the whole one
            shorter = history[start:]
            seen, followers = self._seen.get(shorter, 0), self._followers.get(shorter, 0)
            if not seen:
                break
            p = (self._grams.get(shorter + character, 0) + followers * p) / (seen + followers)
        return p

    def log_prob(self, text: str) -> float:
        """Natural log of the probability of the whole text, its end included; -inf for a strange character."""
        text = normalize(text)
        parts = [self.probability(c, text[:i]) for i, c in enumerate([*text, ""])]
        return sum(map(math.log, parts)) if all(parts) else -math.inf
