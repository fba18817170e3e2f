"""Lists of words and how often each occurs. Taught in notebooks 08 and 11."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ocrkit.text.strings import normalize


def read_counts(path: str | Path) -> dict[str, int]:
    """Read a UTF-8 file whose lines are a name, a tab and how often it occurs; a line `name<tab>count` may be above.

    Every name stays the string that it is: 'NA' and 'NULL' are names. Names that come twice are added up. Raises a
    ValueError that names the line where one is not so.
    """
    counts: dict[str, int] = {}
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, start=1):
        name, tab, count = line.rpartition("\t")
        if number == 1 and not count.strip().isdigit():
            continue  # the heading
        if not tab or not count.strip().isdigit():
            raise ValueError(f"line {number} of {path} is {line!r}: it must be a name, a tab and a count")
        counts[normalize(name)] = counts.get(normalize(name), 0) + int(count)
    if not counts:
        raise ValueError(f"{path} has no names: below a line 'name<tab>count' give one name, a tab and a count a line")
    return counts


def read_words(path: str | Path) -> dict[str, int]:
    """Read a UTF-8 file of words, one a line, alone or all with a tab and a count after them: word -> its count.

    Raises ValueError: the file has no word, or is not UTF-8; or a line is neither.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8 ({error}): save it as UTF-8") from error
    words = [line.strip() for line in lines if line.strip()]
    if not words:
        raise ValueError(f"{path} has no words: give one a line, or a word, a tab and a count")
    return read_counts(path) if "\t" in words[0] else count_words(words)


def count_words(words: Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    """Word (in NFC) -> its count, in the order of the list; a word that stands there twice has the sum of both.

    Raises:
        TypeError: `words` is one string, or a word in it is not a string.
        ValueError: a count is negative or not a whole number.
    """
    if isinstance(words, str):
        raise TypeError(f"words is one string, {words!r}: give a list of words, or a mapping word -> count")
    counts: Counter[str] = Counter()
    for word, count in words.items() if isinstance(words, Mapping) else ((word, 1) for word in words):
        if not isinstance(word, str):
            raise TypeError(
                f"the word {word!r} is a {type(word).__name__}, not a string; pandas takes names such as 'NA' and "
                "'NULL' for missing values, so read the file with pd.read_csv(..., keep_default_na=False)"
            )
        if not (0 <= count < math.inf and int(count) == count):
            raise ValueError(f"the word {word!r} has the count {count}: counts are whole numbers, 0 or more")
        counts[normalize(word)] += int(count)
    return dict(counts)
