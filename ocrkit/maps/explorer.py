"""`MapExplorer`: choose image, layer, method and character, and see the heat map. Taught in notebook 06."""

from collections.abc import Callable
from functools import cached_property
from html import escape

import pandas as pd

from ocrkit.errors.gallery import Gallery, mimebundle
from ocrkit.maps.cam import METHODS, CharacterMaps, character_maps, feature_layers
from ocrkit.maps.pictures import maps_html
from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.edits import operations
from ocrkit.text.strings import normalize, require_columns

ALL = "all"
#: Kind of an edit -> what the map of its character shows.
_NOTES = {
    "substitute": "{reference} was read as {prediction}: what speaks for {prediction}",
    "insert": "{prediction} is not in the label: what speaks for it",
    "delete": "{reference} was not read: what would speak for it, where it would have to stand",
}


class MapExplorer:
    """Heat maps of a table of images in a notebook; the last expression of a cell shows it.

    `choose` does what the four fields do; where widgets cannot be shown (GitHub, a PDF), the chosen maps stand there as
    HTML. Taught in notebook 06.
    """

    def __init__(self, recognizer: Recognizer, samples: pd.DataFrame):
        require_columns(samples, "image")
        if not len(samples):
            raise ValueError("the explorer needs at least one row")
        self.recognizer, self.samples = recognizer, samples
        self.layers = [*feature_layers(recognizer.model), "lstm"]
        self.image, self.layer, self.method, self.character = 0, self.layers[-2], next(iter(METHODS)), ALL
        self._made: dict[tuple, CharacterMaps | str] = {}

    def choose(
        self,
        image: int | None = None,
        layer: str | None = None,
        method: str | None = None,
        character: int | str | None = None,
    ) -> "MapExplorer":
        """Set what is shown: the row from 0, a name of `layers`, a key of `METHODS`, the place in the text or "all".

        Raises a ValueError where there is no such choice; nothing is changed then.
        """
        if character is None:  # another image has another text, so all its characters are shown
            character = self.character if image in (None, self.image) else ALL
        new = {
            "image": self.image if image is None else image,
            "layer": layer or self.layer,
            "method": method or self.method,
        }
        for (name, value), allowed in zip(new.items(), (range(len(self.samples)), self.layers, list(METHODS))):
            if value not in allowed:
                raise ValueError(f"there is no {name} {value!r}; choose one of: {', '.join(map(str, allowed))}")
        found = self._maps_of(*new.values())
        text = "" if isinstance(found, str) else found.text
        if character != ALL and character not in range(len(text)):
            raise ValueError(f"there is no character {character!r}; choose 0..{len(text) - 1}, or {ALL!r}")
        self.image, self.layer, self.method = new.values()
        self.character = character
        return self

    def _maps_of(self, image: int, layer: str, method: str) -> CharacterMaps | str:
        """The maps, made once; or why there are none: an image that cannot be read is one of the things to see."""
        key = image, layer, method
        if key not in self._made:
            row = next(self.samples.iloc[[image]].itertuples())
            try:
                self._made[key] = character_maps(self.recognizer, row, method, layer)
            except ValueError as error:
                self._made[key] = str(error)
        return self._made[key]

    @property
    def maps(self) -> CharacterMaps | str:
        """The maps of the chosen image, layer and method; or why there are none."""
        return self._maps_of(self.image, self.layer, self.method)

    @property
    def text(self) -> str:
        """What is read in the chosen image."""
        return "" if isinstance(self.maps, str) else self.maps.text

    def html(self) -> str:
        """What is chosen, as HTML that needs no widgets."""
        if isinstance(self.maps, str):
            return f"<i>{escape(self.maps)}</i>"
        note = f"read {self.text or '(nothing)'} · {self.method} of {self.layer}"
        return _page(note, self.maps, None if self.character == ALL else self.character)

    @cached_property
    def view(self):
        """The widgets, one `VBox`; raises ImportError where ipywidgets are missing."""
        import ipywidgets as w

        labels = self.samples["text"] if "text" in self.samples else [""] * len(self.samples)
        options = {
            "image": [(f"{i}: {text}", i) for i, text in enumerate(labels)],
            "layer": self.layers,
            "method": list(METHODS),
            "character": self._characters(),
        }
        fields = {k: w.Dropdown(description=k, options=o, value=getattr(self, k)) for k, o in options.items()}
        picture, own = w.HTML(self.html()), fields["character"]

        def choose(change) -> None:
            if change["owner"].busy:
                return
            self.choose(**{change["owner"].description: change["new"]})
            if change["owner"] is not own:  # another reading has other characters
                own.busy = True
                own.options, own.value = self._characters(), self.character
                own.busy = False
            picture.value = self.html()

        for field in fields.values():
            field.busy = False
            field.style.description_width, field.layout.width = "initial", "auto"
            field.observe(choose, "value")
        row = w.Layout(flex_flow="row wrap", grid_gap="8px")
        return w.VBox([w.HBox(list(fields.values()), layout=row), picture])

    def _characters(self) -> list[tuple[str, int | str]]:
        return [("(all)", ALL), *((f"{k + 1}: {c}", k) for k, c in enumerate(self.text))]

    def _repr_mimebundle_(self, **kwargs) -> dict:
        return mimebundle(repr(self), self.html(), lambda: self.view)

    def __repr__(self) -> str:
        return f"MapExplorer(image {self.image} of {len(self.samples)}, {self.method} of {self.layer})"


def _page(note: str, found: CharacterMaps, character: int | None) -> str:
    """A line above the maps of all characters, or above the large one of one character."""
    one = character is not None
    pictures = maps_html(found, [character] if one else None, 144 if one else 72)
    return f'<p style="font:14px sans-serif"><bdi>{escape(note)}</bdi></p>{pictures}'


def map_button(recognizer: Recognizer, method: str = "hires_cam", layer: str | None = None) -> Callable:
    """A function of a row that shows the map of its first wrong character: `ErrorBrowser(buttons={"map": ...})`.

    It is that of the reading, or, where a character is missing, that of the label, at the frames where it would have to
    stand. A right reading shows all characters. Taught in notebook 06.
    """

    def show(row: pd.Series) -> Gallery:
        label, read = normalize(row["text"]), normalize(row["prediction"])
        error = next(iter(operations(label, read)), None)
        missing = error is not None and error.kind == "delete"
        text, place = (label, error.ref_index) if missing else (read, error.pred_index if error else None)
        note = _NOTES[error.kind].format(**error._asdict()) if error else "read right: each character"
        try:
            found = character_maps(recognizer, row, method, layer, text)
        except ValueError as problem:  # an unreadable image, or a label outside the alphabet
            return Gallery(f"<i>{escape(str(problem))}</i>")
        return Gallery(_page(note, found, place if found.text == text else None))  # a tokenizer may drop characters

    return show
