"""Letters: the fields of a page are found, cut out, read, and the date is checked."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ocrkit.data.layouts.pages import Box
from ocrkit.reader.model_files import read_config, write_config
from ocrkit.reader.recognizer import Recognizer
from ocrkit.tasks.letters.dates import ORDERS, day_decode, iso_day
from ocrkit.tasks.letters.detector import SAME, FieldDetector, Found, Pages, SeenPage
from ocrkit.tasks.letters.scores import overlap

#: What is left around a value, in heights of its box: the ends of letters that a box misses by a pixel.
MARGIN = 0.3
#: The same at both ends of a date, where a zero is no more than a dot.
DATE_ENDS = 0.6
#: Folders inside that of a letter reader -> what lies in them.
PARTS = {"detector": FieldDetector, "dates": Recognizer, "texts": Recognizer}
DATE = "date"
#: What `LetterReader.read` gives.
COLUMNS = ["page", "image", "kind", "text", "confidence", "box", "score", "iso", "problem", "error"]
#: Boxes of a lower score are not looked at.
UNLIKELY = 0.05
#: What a place is worth as the date whose text gives no day, beside one that gives a day and is read surely: 1.
NO_DAY = 0.01


def crop_field(page: np.ndarray, box: Box, margin: float = MARGIN, ends: float | None = None) -> np.ndarray:
    """Cut a value out of its page with `margin`, in heights of the box, around it; at the left and right with `ends`.

    The page is uint8, (H, W) or (H, W, 3), and the box (x0, y0, x1, y1) in pixels; what lies outside the page is left
    out, and one pixel at least comes back. Taught in notebook 10.
    """
    x0, y0, x1, y1 = box
    higher, wider = ((margin if part is None else part) * (y1 - y0) for part in (margin, ends))
    height, width = page.shape[:2]
    left, top = (int(np.clip(np.floor(v), 0, most - 1)) for v, most in ((x0 - wider, width), (y0 - higher, height)))
    right, bottom = (max(int(np.ceil(v)), low + 1) for v, low in ((x1 + wider, left), (y1 + higher, top)))
    return page[top:bottom, left:right]


def empty_row(page: SeenPage, kind: str) -> dict:
    """The row of a field that was not found."""
    problem = "" if page.error else f"no {kind} found"
    values = (page.row.Index, page.row.image, kind, "", 0.0, None, 0.0, "", problem, page.error)
    return dict(zip(COLUMNS, values))


class LetterReader:
    """Reads the fields of letters that `detector` finds, dates by `date_reader` and all others by `text_reader`.

    `date_order` is what `parse_jalali` is told; raises a ValueError where there is no such order.
    """

    def __init__(
        self, detector: FieldDetector, date_reader: Recognizer, text_reader: Recognizer, date_order: str = "auto"
    ):
        if date_order not in ORDERS:
            raise ValueError(f"date_order={date_order!r}: it must be one of {', '.join(ORDERS)}")
        self.detector, self.date_reader, self.text_reader = detector, date_reader, text_reader
        self.date_order = date_order

    def read(self, pages: Pages, min_score: float = 0.3, batch_size: int = 8) -> pd.DataFrame:
        """Find and read the fields of letters.

        Args:
            pages: as in `FieldDetector.detect`.
            min_score: a field that is less certain counts as not found.

        Returns:
            A row a page and kind, page after page: `page` (the index of its row in `pages`, or its place in the list),
            `image`, `kind`, `text` (in logical order, `""` where nothing was found), `confidence` (of the text, 0..1),
            `box` ((x0, y0, x1, y1) in pixels of the page, or None), `score` (of the box, 0..1), `iso` (of dates,
            `YYYY-MM-DD`), `problem` (why there is no text or no day, else `""`), and `error` (why the image could not
            be read, else `""`).
        """
        rows = []
        for page in self.detector.go_through(pages, UNLIKELY, False, batch_size):
            chosen = self._choose(page.gray, page.found, min_score)
            rows += [empty_row(page, kind) | chosen.get(kind, {}) for kind in self.detector.kinds]
        return pd.DataFrame(rows, columns=COLUMNS)

    def _choose(self, page: np.ndarray, found: list[Found], min_score: float) -> dict[str, dict]:
        """Which place on the page is which field, and what stands there: kind -> part of a row.

        A date and a number look alike to a detector, to which digits are dots. So the places that may be the date are
        read first, and one that gives a day wins over one that does not.
        """
        places = _places(found)
        dates = [box for box, scores in places.items() if DATE in scores]
        readings = dict(zip(dates, self._read(self.date_reader, page, dates, of_dates=True)))
        worth = {box: places[box][DATE] * (r["confidence"] if r["iso"] else NO_DAY) for box, r in readings.items()}
        date, chosen = max(worth, key=worth.get, default=None), {}
        if date and (readings[date]["iso"] or places[date][DATE] >= min_score):
            chosen[DATE] = readings.pop(date) | {"score": places.pop(date)[DATE]}
            for box in readings:  # the others look like it and are not it: another kind gains what was the date's
                scores, was_date = places[box], places[box].pop(DATE)
                if scores:
                    likely = max(scores, key=scores.get)
                    scores[likely] = min(1.0, scores[likely] + was_date)
        taken: dict[str, Box] = {}
        numbered = enumerate(places.items())
        ranked = [(score, k, kind, box) for k, (box, scores) in numbered for kind, score in scores.items()]
        for score, _, kind, box in sorted(ranked, reverse=True):
            if score >= min_score and kind != DATE and kind not in taken and box not in taken.values():
                taken[kind] = box
        for kind, reading in zip(taken, self._read(self.text_reader, page, [*taken.values()])):
            chosen[kind] = reading | {"score": places[taken[kind]][kind]}
        return chosen

    def _read(self, reader: Recognizer, page: np.ndarray, boxes: list[Box], of_dates: bool = False) -> list[dict]:
        """Box, text, confidence, day and problem of each place."""
        if not boxes:
            return []
        ends = DATE_ENDS if of_dates else MARGIN
        decoder = partial(day_decode, tokenizer=reader.tokenizer, order=self.date_order) if of_dates else None
        results = reader.read([crop_field(page, box, MARGIN, ends) for box in boxes], decoder=decoder)
        rows = []
        for box, text, confidence in zip(boxes, results["prediction"], results["confidence"]):
            iso, problem = iso_day(text, self.date_order) if of_dates else ("", "")
            problem = problem if text else "nothing could be read in the box"
            rows.append(dict(box=box, text=text, confidence=float(confidence), iso=iso, problem=problem))
        return rows

    def save(self, folder: str | Path, half: bool = False) -> Path:
        """Write `config.json` and a model folder a part; `half=True` stores 16-bit floats."""
        folder = Path(folder)
        for name, part in zip(PARTS, (self.detector, self.date_reader, self.text_reader)):
            part.save(folder / name, half)
        write_config(folder, "LetterReader", {"date_order": self.date_order})
        return folder

    @classmethod
    def load(cls, where: str | Path, device: str | torch.device | None = None) -> "LetterReader":
        """Load what `save` wrote, from a folder or by the name of a shipped model; errors as of `Recognizer.load`."""
        folder, config = read_config(where, "LetterReader", ("date_order",))
        for name in PARTS:
            if not (folder / name / "config.json").is_file():
                raise FileNotFoundError(f"{folder} has no model in {name}/: the model folder is not complete")
        parts = (part.load(folder / name, device) for name, part in PARTS.items())
        return cls(*parts, date_order=config["date_order"])

    def __repr__(self) -> str:
        return f"LetterReader({self.detector!r}, dates: {self.date_reader!r}, texts: {self.text_reader!r})"


def _places(found: list[Found]) -> dict[Box, dict[str, float]]:
    """What was found, the most certain first, by place: boxes that overlap are one, and the first says where it is."""
    places: dict[Box, dict[str, float]] = {}
    for one in found:
        place = next((box for box in places if overlap(box, one.box) > SAME), one.box)
        places.setdefault(place, {}).setdefault(one.kind, one.score)
    return places
