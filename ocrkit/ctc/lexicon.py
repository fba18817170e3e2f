"""Reading with a list of words: the CTC forward algorithm over a trie, and a choice weighted by how common words are.

`P(word | image)` is summed over all paths, for all words at once, since words with the same beginning share the work.
A word that no list has is spelled by a character n-gram, letter by letter. Taught in notebooks 08 and 11.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from torch import Tensor

from ocrkit.ctc.beam import beam_search
from ocrkit.ctc.candidates import Choice, checked_log_probs, choose, rescored
from ocrkit.ctc.lattice import BLANK
from ocrkit.text.strings import normalize, quote
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.text.words import count_words

# Probabilities are kept as 1e300 times themselves: float64 then goes down to 1e-600, which an image of 100 steps
# does not reach. Where even the best word is below 1e-550, or one step has a class below 1e-300, the sums are made with
# logarithms.
_ONE, _LEAST_OF_STEP, _LEAST, _FAR = 1e300, *(-power * math.log(10) for power in (300, 550, 600))

_START, _END = "\x02", "\x03"  # Unicode's "start of text" and "end of text"


class CharacterNgram:
    """The probability of any text: of each character after the `order - 1` before it, and of the end.

    Interpolated Witten-Bell smoothing: a history h that was seen n times, with d different characters after it,
    gives `P(c | h) = (count(h, c) + d * P(c | shorter h)) / (n + d)`; the shortest falls back on equal shares.

    It learns from `words`, a list or a mapping word -> count, n-grams of length `order`: 5 looks at four characters
    before. `alphabet` are the characters that a text may have; those of the words by default.

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
        self._seen, self._followers = Counter(), Counter()
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
            seen, followers = self._seen[shorter], self._followers[shorter]
            if not seen:
                break
            p = (self._grams[shorter + character] + followers * p) / (seen + followers)
        return p

    def log_prob(self, text: str) -> float:
        """Natural log of the probability of the whole text, its end included; -inf for a strange character."""
        text = normalize(text)
        parts = [self.probability(c, text[:i]) for i, c in enumerate([*text, ""])]
        return sum(map(math.log, parts)) if all(parts) else -math.inf


class Lexicon:
    """Words, how often each was seen, and the trie (prefix tree) of their class numbers. Taught in notebook 08.

    It is made of a list, where a repeated word counts again, or of a mapping word -> count.

    Attributes:
        words, counts: the W words in NFC, each once, and `(W,)` how often each was seen.
        rejected: word -> why it cannot be read: it is empty, or has characters outside the alphabet.
        parent, symbol, depth: `(M,)` the trie. Node 0 is the empty beginning; each other node adds the class
            `symbol` to the beginning `parent`, and nodes are sorted by depth.
        word_node: `(W,)` the node at which each word ends.

    Raises TypeError, ValueError: as `count_words`; or no word is left.
    """

    def __init__(self, words: Iterable[str] | Mapping[str, int], tokenizer: Tokenizer):
        counted, self.tokenizer, self.rejected = count_words(words), tokenizer, {}
        for word in counted:
            if not word:
                self.rejected[word] = "is empty"
            elif missing := tokenizer.missing(word):
                self.rejected[word] = f"has {quote(missing)}, which is not in the alphabet"
        self.words = [word for word in counted if word not in self.rejected]
        if not self.words:
            examples = "; ".join(f"{word!r} {why}" for word, why in list(self.rejected.items())[:3])
            raise ValueError(f"the lexicon has no word that can be read: {examples or 'the list is empty'}")
        self.counts = np.array([counted[word] for word in self.words], dtype=np.int64)
        self._index = {word: i for i, word in enumerate(self.words)}
        self._build([tokenizer.encode(word) for word in self.words])

    def _build(self, codes: list[list[int]]) -> None:
        order = sorted(range(len(codes)), key=codes.__getitem__)  # neighbors in the trie lie together in memory
        parent, symbol, ends, node = [0], [BLANK], [1], [0] * len(codes)
        for depth in range(max(map(len, codes))):
            level: dict[tuple[int, int], int] = {}
            for i in order:
                if depth < len(codes[i]):
                    edge = node[i], codes[i][depth]
                    if edge not in level:
                        level[edge] = len(parent)
                        parent.append(edge[0])
                        symbol.append(edge[1])
                    node[i] = level[edge]
            ends.append(len(parent))
        self.parent, self.symbol, self.word_node = np.array(parent), np.array(symbol), np.array(node)
        self._ends = ends  # how many nodes are at most so deep
        self.depth = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        # Equal neighbors need a blank between them: such a node is entered from its parent's second state only.
        repeats = self.symbol == self.symbol[self.parent]
        self._source = self.parent + repeats * len(parent)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._index

    @cached_property
    def log_priors(self) -> np.ndarray:
        """`(W,)` natural log of (count + 1) / (sum of all count + 1): how common each word is."""
        return np.log((self.counts + 1) / (self.counts.sum() + len(self)))

    @property
    def unknown_share(self) -> float:
        """The share of words to come that the list lacks, by Witten and Bell: W / (W + sum of counts), at most 0.5."""
        return len(self) / (len(self) + max(int(self.counts.sum()), len(self)))

    @cached_property
    def ngram(self) -> CharacterNgram:
        """The `CharacterNgram` of the words, made when it is first used."""
        return CharacterNgram(dict(zip(self.words, self.counts.tolist())), alphabet=self.tokenizer.alphabet)

    def log_probs(self, log_probs: Tensor) -> np.ndarray:
        """`(T, K)` log probabilities of one image to `(W,)` log P(word | image), exact, summed over all paths.

        -inf for a word that does not fit in T steps, and, unless the best word is below 1e-550 of all that can be
        written with its letters, for a word below about 1e-600 of it. Raises as `checked_log_probs`.
        """
        checked = checked_log_probs(log_probs, self.tokenizer).numpy()
        used = np.unique(self.symbol)  # the blank is that of node 0
        written = np.logaddexp.reduce(checked[:, used], 1, keepdims=True)
        if np.isneginf(written).any():
            return np.full(len(self), -np.inf)
        # Relative to all that can be written at a step: no sum is above 1, and few are below what a float holds.
        lp = np.full_like(checked, -np.inf)
        lp[:, used] = checked[:, used] - written
        found = np.full(len(self), -np.inf)
        if lp[:, used].min(initial=0.0, where=lp[:, used] > -np.inf) > _LEAST_OF_STEP:
            with np.errstate(divide="ignore"):
                found = np.log(self._forward(np.exp(lp), np.add, np.multiply, 0.0, _ONE)) - math.log(_ONE)
            found[found < _FAR] = -np.inf  # so small a float has lost digits
        if found.max() < _LEAST:
            found = self._forward(lp, np.logaddexp, np.add, -np.inf, 0.0)
        return found + written.sum()

    def _forward(self, emissions: np.ndarray, add: np.ufunc, times: np.ufunc, zero: float, one: float) -> np.ndarray:
        # The recursion of `lattice.forward_lattice` with tree nodes for positions, and two states a node: paths that
        # end with its letter, and paths that end with the blank after it. It is the same in numbers and in logarithms.
        size = len(self.parent)
        states = np.full(2 * size, zero)
        either, blank = states[:size], states[size:]
        letter, moved = np.full(size, zero), np.empty(size)
        either[0] = one
        for t, row in enumerate(emissions):
            m = self._ends[min(t + 1, len(self._ends) - 1)]  # deeper nodes cannot be reached yet
            inner, letters = moved[1:m], letter[1:m]
            states.take(self._source[1:m], out=inner, mode="clip")
            add(letters, inner, out=letters)
            row.take(self.symbol[1:m], out=inner, mode="clip")
            times(letters, inner, out=letters)
            times(either[:m], row[BLANK], out=blank[:m])
            add(letter[:m], blank[:m], out=either[:m])
        return either[self.word_node]


def lexicon_decode(
    logits: Tensor,
    lexicon: Lexicon,
    weight: float = 0.0,
    closed: bool = True,
    steps: Sequence[int] | None = None,
    widths: Sequence[float] | None = None,
    unknown_share: float | None = None,
    beam: int = 25,
) -> list[Choice]:
    """The word with the highest `log P(word | image) + weight * log P(word)`. Taught in notebooks 08 and 11.

    Args:
        logits, steps, widths: as in `candidates.choose`.
        weight: 0 leaves out how common words are (plain lexicon); 1 is Bayes' rule. Between them is often best, as
            networks are too sure of what they see. Choose it on validation images.
        closed: only words of the lexicon can win. False also lets the `beam` best texts of any spelling compete, with
            `P(text) = unknown_share * ngram(text)`, while known words share the rest; with weight 0 they have no say.
        unknown_share: the probability that a word is not in the lexicon; `lexicon.unknown_share` by default.

    Raises ValueError: `weight` or `unknown_share` is out of its range, or as `candidates.choose`.
    """
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight={weight}: it must be 0 (words are equally common) or more")
    share = lexicon.unknown_share if unknown_share is None else unknown_share
    if not 0 < share < 1:
        raise ValueError(f"unknown_share={share}: it is a probability, more than 0 and less than 1")

    def find(image: Tensor):
        texts, log_probs, priors = lexicon.words, lexicon.log_probs(image), lexicon.log_priors
        if not closed:
            free, exact, _ = rescored(image, lexicon.tokenizer, [codes for codes, _ in beam_search(image, beam)])
            new = [i for i, text in enumerate(free) if text not in lexicon]
            texts, log_probs = texts + [free[i] for i in new], np.append(log_probs, exact[new])
            spelled = [math.log(share) + lexicon.ngram.log_prob(free[i]) for i in new]
            priors = np.append(priors + math.log1p(-share), spelled)
        return texts, log_probs, log_probs + weight * priors

    return choose(logits, lexicon.tokenizer, steps, widths, find)
