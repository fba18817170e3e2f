"""Options of the command line that say how a text is found.

Taught in notebook 11.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ocrkit.ctc.candidates import Choice
from ocrkit.ctc.decoding import DECODERS, make_decoder
from ocrkit.ctc.lexicon import Lexicon
from ocrkit.text.words import read_words

#: Option of the command line -> the one way to decode that it belongs to.
_BELONGS = {"lexicon": "lexicon", "weight": "lexicon", "open": "lexicon", "pattern": "pattern"}


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
    from ocrkit.reader.recognizer import Recognizer  # late: the command line says in one line what is not installed

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
