"""Which decoder reads: greedy, beam, lexicon or pattern, made for one recognizer, by name. Taught in notebook 11."""

from collections.abc import Callable, Mapping
from functools import partial

from ocrkit.ctc.beam import beam_decode
from ocrkit.ctc.candidates import Choice
from ocrkit.ctc.lexicon import Lexicon, lexicon_decode
from ocrkit.ctc.pattern import PATTERNS, Pattern, pattern_decode, pattern_of
from ocrkit.text.tokenizer import Tokenizer

#: Ways to decode; `Recognizer.read` takes the last three as `decoder`.
DECODERS = ("greedy", "beam", "lexicon", "pattern")


def make_decoder(
    kind: str,
    tokenizer: Tokenizer,
    lexicon: Lexicon | Mapping[str, int] | None = None,
    weight: float = 0.0,
    closed: bool = True,
    pattern: str | None = None,
) -> Callable[..., list[Choice]] | None:
    """What `Recognizer.read` takes as `decoder`: a function of logits, `steps` and `widths`; None for `"greedy"`.

    `kind` is one of `DECODERS`. For `"lexicon"`, `lexicon`, `weight` and `closed` are those of `lexicon_decode`; words
    with counts do. For `"pattern"`, `pattern` is the name of one; by default the one that fits the alphabet.

    Raises ValueError: there is no such kind or pattern, the words or the pattern are missing or do not fit the
    alphabet, or other texts than the words may win with weight 0, where the words have no say.
    """
    if kind not in DECODERS:
        raise ValueError(f"no decoder is named {kind!r}; there are: {', '.join(DECODERS)}")
    if kind == "greedy":
        return None
    if kind == "beam":
        return partial(beam_decode, tokenizer=tokenizer)
    if kind == "lexicon":
        if lexicon is None:
            raise ValueError("to decode with a lexicon, its words are needed")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight={weight}: it must be 0 (words are equally common) or more")
        if not closed and weight == 0:
            raise ValueError("where other texts may win too, the weight must be above 0: with 0 the words have no say")
        lexicon = lexicon if isinstance(lexicon, Lexicon) else Lexicon(lexicon, tokenizer)
        return partial(lexicon_decode, lexicon=lexicon, weight=weight, closed=closed)
    name = pattern or pattern_of(tokenizer)
    if name is None:
        raise ValueError(
            f"no pattern fits the alphabet of this model, {tokenizer.alphabet!r}; there are: {', '.join(PATTERNS)}"
        )
    Pattern.named(name).codes(tokenizer)  # raises where it does not fit
    return partial(pattern_decode, pattern=name, tokenizer=tokenizer)
