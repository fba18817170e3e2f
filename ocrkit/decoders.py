"""Which decoder reads: greedy, beam, lexicon or pattern, made for one recognizer, by name or from the command line.

Taught in notebook 11.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocrkit.choices import Choice
    from ocrkit.lexicon import Lexicon
    from ocrkit.text import Tokenizer

#: Ways to decode; `Recognizer.read` takes the last three as `decoder`.
DECODERS = ("greedy", "beam", "lexicon", "pattern")
#: Option of the command line -> the one way to decode that it belongs to.
_BELONGS = {"lexicon": "lexicon", "weight": "lexicon", "open": "lexicon", "pattern": "pattern"}


def read_words(path: str | Path) -> dict[str, int]:
    """Read a UTF-8 file of words: lines of a word, a tab and a count (as `read_counts`), or of a word alone.

    Returns:
        Word (in NFC) -> its count, which in a file of words alone is how often it stands there.

    Raises:
        ValueError: the file has no word, or is not UTF-8; or a line is neither.
    """
    from ocrkit.lexicon import read_counts
    from ocrkit.ngrams import count_words

    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8 ({error}): save it as UTF-8") from error
    words = [line.strip() for line in lines if line.strip()]
    if not words:
        raise ValueError(f"{path} has no words: give one a line, or a word, a tab and a count")
    return read_counts(path) if "\t" in words[0] else count_words(words)


def make_decoder(
    kind: str,
    tokenizer: Tokenizer,
    lexicon: Lexicon | Mapping[str, int] | None = None,
    weight: float = 0.0,
    closed: bool = True,
    pattern: str | None = None,
) -> Callable[..., list[Choice]] | None:
    """What `Recognizer.read` takes as `decoder`.

    Args:
        kind: one of `DECODERS`.
        tokenizer: that of the recognizer.
        lexicon, weight, closed: as in `lexicon_decode`, for `"lexicon"`; words with counts do for a `Lexicon`.
        pattern: the name of a pattern, for `"pattern"`; by default the one that fits the alphabet.

    Returns:
        A function of logits, `steps` and `widths`; None for `"greedy"`.

    Raises:
        ValueError: there is no such kind or pattern, the words or the pattern are missing or do not fit the alphabet,
            or other texts than the words may win with weight 0, where the words have no say.
    """
    if kind not in DECODERS:
        raise ValueError(f"no decoder is named {kind!r}; there are: {', '.join(DECODERS)}")
    if kind == "greedy":
        return None
    if kind == "beam":
        from ocrkit.beams import beam_decode

        return partial(beam_decode, tokenizer=tokenizer)
    if kind == "lexicon":
        from ocrkit.lexicon import Lexicon, lexicon_decode

        if lexicon is None:
            raise ValueError("to decode with a lexicon, its words are needed")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight={weight}: it must be 0 (words are equally common) or more")
        if not closed and weight == 0:
            raise ValueError("where other texts may win too, the weight must be above 0: with 0 the words have no say")
        lexicon = lexicon if isinstance(lexicon, Lexicon) else Lexicon(lexicon, tokenizer)
        return partial(lexicon_decode, lexicon=lexicon, weight=weight, closed=closed)
    from ocrkit.patterns import PATTERNS, Pattern, pattern_decode, pattern_of

    name = pattern or pattern_of(tokenizer)
    if name is None:
        raise ValueError(
            f"no pattern fits the alphabet of this model, {tokenizer.alphabet!r}; there are: {', '.join(PATTERNS)}"
        )
    Pattern.named(name).codes(tokenizer)  # raises where it does not fit
    return partial(pattern_decode, pattern=name, tokenizer=tokenizer)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options `--decode`, `--lexicon`, `--weight`, `--open` and `--pattern`."""
    group = parser.add_argument_group("decoding, for models that read lines")
    group.add_argument("--decode", choices=DECODERS, default="greedy", help="how to find the text (default: greedy)")
    group.add_argument("--lexicon", metavar="FILE", type=Path, help="words, one a line, or word, tab and count")
    group.add_argument("--weight", type=float, help="how much the counts of the words weigh (default: 0)")
    group.add_argument(
        "--open", action="store_true", default=None, help="other texts than the words may win, needs --weight above 0"
    )
    group.add_argument("--pattern", metavar="NAME", help="the form of the texts (default: what fits the model)")


def from_arguments(options: argparse.Namespace, model: object) -> Callable[..., list[Choice]] | None:
    """The decoder that the options of `add_arguments` ask for; words that are left out are reported on stderr.

    Raises:
        ValueError: as `make_decoder`; the model reads no lines, or an option belongs to another way to decode.
    """
    from ocrkit.recognizer import Recognizer

    for name, kind in _BELONGS.items():
        if getattr(options, name) is not None and options.decode != kind:
            raise ValueError(f"--{name} is of use with --decode {kind} only, and this is --decode {options.decode}")
    if options.decode == "greedy":
        return None
    if not isinstance(model, Recognizer):
        raise ValueError(
            f"--decode {options.decode} is for models that read lines of text, such as plates or names; "
            f"{options.model} is a {type(model).__name__}: leave it out"
        )
    lexicon = None
    if options.decode == "lexicon":
        from ocrkit.lexicon import Lexicon

        if options.lexicon is None:
            raise ValueError("--decode lexicon needs the words: --lexicon FILE")
        words = read_words(options.lexicon)
        try:
            lexicon = Lexicon(words, model.tokenizer)
        except ValueError as error:
            raise ValueError(f"{options.lexicon}: {error}") from error
        if lexicon.rejected:
            why = "; ".join(f"{word!r} {reason}" for word, reason in list(lexicon.rejected.items())[:3])
            more = "; ..." if len(lexicon.rejected) > 3 else ""
            left_out = f"{len(lexicon.rejected):,} of {len(words):,} words are left out: {why}{more}"
            print(f"{options.lexicon}: {left_out}", file=sys.stderr)
    return make_decoder(
        options.decode, model.tokenizer, lexicon, options.weight or 0.0, not options.open, options.pattern
    )
