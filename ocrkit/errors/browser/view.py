"""What a person sees of `ErrorBrowser`, made of ipywidgets alone, which all notebooks show. Taught in notebook 05."""

import os
from collections.abc import Callable
from itertools import zip_longest

import ipywidgets as w
from IPython.display import display

from ocrkit.errors.browser.browser import KINDS, SHOW, ErrorBrowser
from ocrkit.errors.browser.html import HTML, LOOK, details, tile
from ocrkit.errors.browser.marks import MARKS
from ocrkit.errors.diffs import visible
from ocrkit.errors.gallery import picture_html

_MATRIX = 8
# Not None: a Dropdown takes that for "nothing is chosen", and shows an empty line.
_ANY = object()
_OFFERED = [("(any)", _ANY)]
_WRAPPED = {"flex_flow": "row wrap"}
_FIELDS = ("show", "kind", "text", "confidence")  # filters whose field has their name


class View:
    """The widgets: each handler calls the browser, then `draw` shows what it holds. `root` is the whole."""

    def __init__(self, browser: ErrorBrowser):
        self.browser = browser
        self._typed, self._quiet, self._drawn, self._below_filled = "", False, None, False
        #: Key -> what it does in the field `keys`, in words and as a function.
        self._keys = {
            "n": ("next page", lambda: browser.go(browser.page + 1)),
            "p": ("page before", lambda: browser.go(browser.page - 1)),
            "j": ("next image", lambda: browser.step(1)),
            "k": ("image before", lambda: browser.step(-1)),
            "u": ("undo", browser.undo),
            **{str(i): (mark, lambda mark=mark: self._mark(mark)) for i, mark in enumerate(MARKS, start=1)},
        }
        self._build_filters()
        self._build_page()
        self._build_detail()
        self._build_matrix()
        half = {"flex": "1 1 380px", "min_width": "0"}
        left = w.VBox([self.cards], layout=half)
        right = w.VBox([self.detail, self.matrix], layout={**half, "padding": "0 0 0 12px"})
        lines = [
            [self.show, self.kind, self.text, self.sort],
            [self.split, self.column, self.value, self.confidence, self.reset],
            [*self.pager, self.status, self.spans, self.enlarge, self.keys],
        ]
        lines = [w.HBox(line, layout={**_WRAPPED, "align_items": "center"}) for line in lines]
        below = w.HBox([left, right], layout={**_WRAPPED, "align_items": "flex-start"})
        self.root = w.VBox([w.HTML(LOOK), *lines, self.message, self.large, below])
        self.draw()

    def _field(self, kind: type[w.Widget], name: str, act: Callable, width: str, **options):
        """A field that acts on each new value; its name is not cut off."""
        style = {"description_width": "initial"}
        field = kind(description=name, style=style, layout={"width": width}, **options)
        field.observe(lambda change: self._do(act, change["new"]), "value")
        return field

    def _button(self, name: str, act: Callable, *arguments, tip: str = "", **look):
        button = w.Button(description=name, tooltip=tip or name, **{"layout": {"width": "auto"}, **look})
        button.on_click(lambda _: self._do(act, *arguments))
        return button

    def _build_filters(self) -> None:
        browser = self.browser
        splits = [(name or "(empty)", name) for name in browser.values("split")] if "split" in browser.columns else []
        columns = [(str(c), c) for c in browser.columns if c != "split"]
        self.show = self._field(w.Dropdown, "show", self._filter, "150px", options=SHOW)
        self.kind = self._field(w.Dropdown, "edit", self._filter, "150px", options=KINDS)
        self.text = self._field(w.Text, "text", self._filter, "220px", placeholder="in label or reading")
        self.sort = self._field(w.Dropdown, "sort", browser.sort, "210px", options=browser.sorts)
        self.split = self._field(w.Dropdown, "split", self._filter, "140px", options=_OFFERED + splits)
        self.column = self._field(w.Dropdown, "slice by", self._offer, "200px", options=_OFFERED + columns)
        self.value = self._field(w.Dropdown, "is", self._filter, "200px", options=_OFFERED)
        ends = {"value": (0, 1), "min": 0, "max": 1, "step": 0.01}
        self.confidence = self._field(w.FloatRangeSlider, "confidence", self._filter, "280px", **ends)
        self.reset = self._button("reset", self._reset, tip="all filters as at the start", icon="times")

    def _build_page(self) -> None:
        browser = self.browser
        self.pager = [
            self._button("", lambda: browser.go(0), tip="first page", icon="step-backward"),
            self._button("", self._keys["p"][1], tip="page before", icon="chevron-left"),
            self._button("", self._keys["n"][1], tip="next page", icon="chevron-right"),
            self._button("", lambda: browser.go(browser.pages - 1), tip="last page", icon="step-forward"),
        ]
        self.status, self.message = w.HTML(layout={"margin": "0 12px"}), w.HTML()
        tips = {"tooltip": "columns each character was read from", "icon": "columns"}
        self.spans = self._field(w.ToggleButton, "spans", lambda _: None, "auto", **tips)
        tips = {"tooltip": "the selected image larger", "icon": "search-plus"}
        self.enlarge = self._field(w.ToggleButton, "enlarge", lambda _: None, "auto", **tips)
        tips = {"tooltip": ", ".join(f"{key}: {meaning}" for key, (meaning, _) in self._keys.items())}
        tips["placeholder"] = "click here, then " + " ".join(self._keys)
        self.keys = self._field(w.Text, "keys", self._type, "250px", **tips)
        narrow = w.Layout(min_width="0", overflow="hidden")  # a long text must not widen its column
        places = range(browser.page_size)
        wide = {"tip": "select this image", "layout": {"width": "100%"}}
        self._card_html = [w.HTML(layout=narrow) for _ in places]
        self._card_button = [self._button("look", lambda i=i: browser.select(browser.shown[i]), **wide) for i in places]
        self._boxes = [w.VBox(pair, layout=narrow) for pair in zip(self._card_html, self._card_button)]
        columns = "repeat(auto-fill, minmax(170px, 1fr))"
        self.cards = w.GridBox(layout={"grid_template_columns": columns, "grid_gap": "8px", "width": "100%"})

    def _build_detail(self) -> None:
        browser = self.browser
        self.picture, self.large, self.output = w.HTML(), w.HTML(), w.Output()
        self.new_text = w.Text(description="new label", style={"description_width": "initial"})
        looks = ("success", "warning", "danger", "danger")
        self.marks = {
            mark: self._button(f"{i} {mark}", self._mark, mark, button_style=look)
            for i, (mark, look) in enumerate(zip(MARKS, looks), start=1)
        }
        self.clear = self._button("no mark", self._mark, None, tip="take the mark of this image away")
        self.undo = self._button("undo", browser.undo, tip="take back the last mark", icon="undo")
        self.export = self._button("export", browser.export, tip="write all marks as CSV", icon="download")
        self.own = [self._button(name, self._below, act) for name, act in browser.buttons.items()]
        lines = [*self.marks.values()], [self.clear, self.undo, self.export, *self.own]
        boxes = [w.HBox(line, layout=_WRAPPED) for line in lines]
        self.detail = w.VBox([self.picture, self.new_text, *boxes, self.output])

    def _build_matrix(self) -> None:
        # Shared layouts and styles: a widget a cell is enough for the page to draw.
        layout = w.Layout(width="40px", height="26px", margin="0", padding="0")
        self._shades = [w.ButtonStyle(button_color=f"rgba(213, 94, 0, {alpha})") for alpha in (0, 0.15, 0.3, 0.5, 0.7)]
        self._chosen_look = w.ButtonStyle()
        self._cells = [
            [self._button("", self._pair, i, j, layout=layout, style=self._shades[0]) for j in range(_MATRIX)]
            for i in range(_MATRIX)
        ]
        self._heads = [[w.HTML(layout=layout) for _ in range(_MATRIX)] for _ in range(2)]
        children = [w.HTML(layout=layout), *self._heads[1]]
        for head, line in zip(self._heads[0], self._cells):
            children += [head, *line]
        grid = w.GridBox(children, layout={"grid_template_columns": f"repeat({_MATRIX + 1}, 40px)"})
        self._matrix_note = w.HTML()
        self.any_pair = self._button("any confusion", lambda: self.browser.filter(pair=None), icon="times")
        self.matrix = w.VBox([self._matrix_note, grid, self.any_pair])

    def _do(self, act: Callable, *arguments) -> None:
        """Act and draw, unless the value was set by `draw` itself; what goes wrong becomes the message."""
        if self._quiet:
            return
        self.browser.message = ""
        try:
            act(*arguments)
        except (ValueError, OSError) as error:
            self.browser.message = str(error)
        except IndexError:  # clicked on what had been there before the last action was drawn
            self.browser.message = "the page has changed; click again"
        self.draw()

    def _filter(self, _=None) -> None:
        where = {"split": self.split.value, self.column.value: self.value.value}
        where = {column: value for column, value in where.items() if _ANY not in (column, value)}
        self.browser.filter(**{name: getattr(self, name).value for name in _FIELDS}, where=where)

    def _offer(self, column) -> None:
        options = [] if column is _ANY else list(self.browser.values(column).items())[:200]
        self._quiet = True
        self.value.options = _OFFERED + [(f"{name or '(empty)'} ({n:,})", name) for name, n in options]
        self.value.value = _ANY
        self._quiet = False
        self._filter()

    def _reset(self) -> None:
        self.browser.reset()
        self._quiet = True
        for name in _FIELDS:
            getattr(self, name).value = self.browser.filters[name]
        self.split.value, self.column.value, self.value.options = _ANY, _ANY, _OFFERED
        self._quiet = False

    def _mark(self, mark: str | None) -> None:
        self.browser.mark(mark, self.new_text.value)

    def _pair(self, i: int, j: int) -> None:
        counts = self.browser.confusions(_MATRIX)
        pair = counts.index[i], counts.columns[j]
        self.browser.filter(pair=None if pair == self.browser.filters["pair"] else pair)

    def _type(self, value: str) -> None:
        # The field is left to fill up: if it were emptied after each key, one typed meanwhile would be lost or doubled.
        new, self._typed = value[len(self._typed) :] if value.startswith(self._typed) else "", value
        for key in new:  # each is drawn before the next one: a new label must be that of its own image
            self._do(self._press, key)

    def _press(self, key: str) -> None:
        if key.lower() not in self._keys:
            raise ValueError(f"{key!r} does nothing; {self.keys.tooltip}")
        self._keys[key.lower()][1]()

    def _below(self, act: Callable) -> None:
        """Show what a function of the selected row gives below its picture."""
        if self.browser.selected is None:
            return
        self._below_filled = True
        self.output.clear_output(wait=True)
        with self.output:
            shown = act(self.browser.results.iloc[self.browser.selected])
            if shown is not None:
                display(shown)

    def draw(self) -> None:
        """Show what the browser holds."""
        browser = self.browser
        self.status.value, self.message.value = HTML.status(browser.status()), HTML.message(browser.message)
        rows = list(browser.results.iloc[browser.shown].itertuples())
        for row, position, picture, button in zip(rows, browser.shown.tolist(), self._card_html, self._card_button):
            chosen, mark = position == browser.selected, browser.marks.get(position)
            picture.value = tile(row, self.spans.value, chosen)
            button.description = " ".join(filter(None, mark)) if mark else "look"
            button.button_style = "primary" if chosen else "info" if mark else ""
        self.cards.children = self._boxes[: len(rows)]
        self._draw_detail()
        self._draw_matrix()

    def _draw_detail(self) -> None:
        browser, position = self.browser, self.browser.selected
        self.detail.layout.visibility = "visible" if position is not None else "hidden"
        if position is None:
            self.large.value = ""
            return
        row, mark = browser.results.iloc[position], browser.marks.get(position)
        if position != self._drawn:
            self._drawn = position
            # Often the reading is right and the label is wrong.
            self.new_text.value = mark.new_text if mark and mark.new_text else row["prediction"]
            if self._below_filled:
                self.output.clear_output()
                self._below_filled = False
            if browser.on_select:
                self._below(browser.on_select)
        name = os.path.basename(browser.marks.rows.names[position])
        self.picture.value = details(row, name, mark, self.spans.value)
        self.large.value = HTML.enlarged(picture_html(row, 240, self.spans.value) if self.enlarge.value else "")

    def _draw_matrix(self) -> None:
        counts, chosen = self.browser.confusions(_MATRIX), self.browser.filters["pair"]
        top = max(counts.to_numpy().max(initial=0), 1)
        for heads, names in zip(self._heads, (counts.index, counts.columns)):
            for head, name in zip_longest(heads, names):
                head.value = "" if name is None else HTML.axis(visible(name, "∅"))
        for i, line in enumerate(self._cells):
            for j, cell in enumerate(line):
                count = int(counts.iat[i, j]) if i < counts.shape[0] and j < counts.shape[1] else 0
                pair = (counts.index[i], counts.columns[j]) if count else None
                is_chosen = pair is not None and pair == chosen
                # An empty description would leave the old number on the page.
                cell.description, cell.disabled = f"{count:,}" if count else "\xa0", not count
                cell.style = self._chosen_look if is_chosen else self._shades[-(-4 * count // top)]
                cell.button_style = "primary" if is_chosen else ""
                cell.tooltip = f"{' read as '.join(visible(c, '∅') for c in pair)}: {count:,} times" if count else ""
        self.any_pair.layout.visibility = "visible" if chosen else "hidden"
        self._matrix_note.value = HTML.confusions(chosen and [visible(c, "∅") for c in chosen])
