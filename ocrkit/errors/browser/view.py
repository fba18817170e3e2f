"""The widgets of `ErrorBrowser`, made of ipywidgets alone: JupyterLab, Notebook 7, Colab and Kaggle show them.

All logic is in `ocrkit.errors.browser.table`. Taught in notebook 05.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from html import escape

import ipywidgets as w
from IPython.display import display

from ocrkit.errors.browser.html import LOOK, details, tile, visible
from ocrkit.errors.browser.marks import MARKS
from ocrkit.errors.browser.table import KINDS, SHOW, ErrorTable
from ocrkit.errors.gallery import picture_html

#: Key -> what it does in the field `keys`.
KEYS = {
    "n": "next page", "p": "page before", "j": "next image", "k": "image before", "u": "undo",
    **{str(i): mark for i, mark in enumerate(MARKS, start=1)},
}  # fmt: skip
_MATRIX = 8
# Not None: a Dropdown takes that for "nothing is chosen", and shows an empty line.
_ANY = object()


class View:
    """The widgets: each handler calls the table, then `draw` shows what it holds. `root` is the whole."""

    def __init__(self, table: ErrorTable, on_select, buttons):
        self.table, self.on_select = table, on_select
        self._typed, self._quiet, self._drawn, self._below_filled = "", False, None, False
        self._build_filters()
        self._build_page()
        self._build_detail(buttons)
        self._build_matrix()
        row = w.Layout(flex_flow="row wrap", align_items="center")
        left = w.VBox([self.cards], layout=w.Layout(flex="1 1 380px", min_width="0"))
        right = w.VBox(
            [self.detail, self.matrix], layout=w.Layout(flex="1 1 380px", min_width="0", padding="0 0 0 12px")
        )
        self.root = w.VBox(
            [
                w.HTML(LOOK),
                w.HBox([self.show, self.kind, self.text, self.sort], layout=row),
                w.HBox([self.split, self.column, self.value, self.confidence, self.reset], layout=row),
                w.HBox([*self.pager, self.status, self.spans, self.enlarge, self.keys], layout=row),
                self.message,
                self.large,
                w.HBox([left, right], layout=w.Layout(flex_flow="row wrap", align_items="flex-start")),
            ]
        )
        self.draw()

    # --- building ---

    def _choice(self, name: str, options, act: Callable, width: str = "190px"):
        style = {"description_width": "initial"}
        box = w.Dropdown(options=options, description=name, style=style, layout={"width": width})
        box.observe(lambda change: self._do(act, change["new"]), "value")
        return box

    def _button(self, name: str, act: Callable, *arguments, tip: str = "", **look):
        layout = look.pop("layout", {"width": "auto"})
        button = w.Button(description=name, tooltip=tip or name, layout=layout, **look)
        button.on_click(lambda _: self._do(act, *arguments))
        return button

    def _build_filters(self) -> None:
        table, style = self.table, {"description_width": "initial"}
        self.show = self._choice("show", SHOW, lambda v: table.filter(show=v), "150px")
        self.kind = self._choice("edit", KINDS, lambda v: table.filter(kind=v), "150px")
        self.text = w.Text(
            description="text", placeholder="in label or reading", style=style, layout={"width": "220px"}
        )
        self.text.observe(lambda change: self._do(lambda: table.filter(text=change["new"])), "value")
        self.sort = self._choice("sort", table.sorts, table.sort, "210px")
        splits = [(name or "(empty)", name) for name in table.values("split")] if "split" in table.columns else []
        self.split = self._choice("split", [("(any)", _ANY), *splits], lambda v: self._slice(), "140px")
        columns = [c for c in table.columns if c != "split"]
        self.column = self._choice("slice by", [("(any)", _ANY), *((str(c), c) for c in columns)], self._offer, "200px")
        self.value = self._choice("is", [("(any)", _ANY)], lambda v: self._slice(), "200px")
        self.confidence = w.FloatRangeSlider(
            value=(0, 1), min=0, max=1, step=0.01, description="confidence", style=style, layout={"width": "280px"}
        )
        self.confidence.observe(lambda change: self._do(lambda: table.filter(confidence=change["new"])), "value")
        self.reset = self._button("reset", self._reset, tip="all filters as at the start", icon="times")

    def _build_page(self) -> None:
        table = self.table
        self.pager = [
            self._button("", lambda: table.go(0), tip="first page", icon="step-backward"),
            self._button("", lambda: table.go(table.page - 1), tip="page before", icon="chevron-left"),
            self._button("", lambda: table.go(table.page + 1), tip="next page", icon="chevron-right"),
            self._button("", lambda: table.go(table.pages - 1), tip="last page", icon="step-forward"),
        ]
        self.status = w.HTML(layout={"margin": "0 12px"})
        self.message = w.HTML()
        self.spans = w.ToggleButton(description="spans", tooltip="columns each character was read from", icon="columns")
        self.enlarge = w.ToggleButton(description="enlarge", tooltip="the selected image larger", icon="search-plus")
        for toggle in (self.spans, self.enlarge):
            toggle.layout.width = "auto"
            toggle.observe(lambda change: self._do(lambda: None), "value")
        hint = "click here, then " + " ".join(KEYS)
        self.keys = w.Text(description="keys", placeholder=hint, style={"description_width": "initial"})
        self.keys.tooltip = ", ".join(f"{key}: {meaning}" for key, meaning in KEYS.items())
        self.keys.layout.width = "250px"
        self.keys.observe(lambda change: self._type(change["new"]), "value")
        narrow = w.Layout(min_width="0", overflow="hidden")  # a long text must not widen its column
        self._card_html = [w.HTML(layout=narrow) for _ in range(table.page_size)]
        self._card_button = [
            self._button("look", self._select, i, tip="select this image", layout={"width": "100%"})
            for i in range(table.page_size)
        ]
        self._boxes = [w.VBox(list(pair), layout=narrow) for pair in zip(self._card_html, self._card_button)]
        columns = "repeat(auto-fill, minmax(170px, 1fr))"
        self.cards = w.GridBox(layout=w.Layout(grid_template_columns=columns, grid_gap="8px", width="100%"))

    def _build_detail(self, buttons: Mapping[str, Callable]) -> None:
        table = self.table
        self.picture, self.large = w.HTML(), w.HTML()
        self.new_text = w.Text(description="new label", style={"description_width": "initial"})
        looks = {"fine": "success", "wrong label": "warning", "unreadable": "danger", "exclude": "danger"}
        self.marks = {
            mark: self._button(f"{i} {mark}", self._mark, mark, button_style=looks[mark])
            for i, mark in enumerate(MARKS, start=1)
        }
        self.clear = self._button("no mark", self._mark, None, tip="take the mark of this image away")
        self.undo = self._button("undo", table.undo, tip="take back the last mark", icon="undo")
        self.export = self._button("export", table.export, tip="write all marks as CSV", icon="download")
        self.own = [self._button(name, self._call, act) for name, act in buttons.items()]
        self.output = w.Output()
        row = w.Layout(flex_flow="row wrap")
        self.detail = w.VBox(
            [
                self.picture,
                self.new_text,
                w.HBox([*self.marks.values()], layout=row),
                w.HBox([self.clear, self.undo, self.export, *self.own], layout=row),
                self.output,
            ]
        )

    def _build_matrix(self) -> None:
        # Shared layouts and styles: a widget a cell is enough for the page to draw.
        layout = w.Layout(width="40px", height="26px", margin="0", padding="0")
        self._shades = [w.ButtonStyle(button_color=f"rgba(213, 94, 0, {alpha})") for alpha in (0, 0.15, 0.3, 0.5, 0.7)]
        self._chosen_look = w.ButtonStyle()
        self._cells = [[w.Button(layout=layout, style=self._shades[0]) for _ in range(_MATRIX)] for _ in range(_MATRIX)]
        for i, line in enumerate(self._cells):
            for j, cell in enumerate(line):
                cell.on_click(lambda _, i=i, j=j: self._do(self._pair, i, j))
        self._heads = [[w.HTML(layout=layout) for _ in range(_MATRIX)] for _ in range(2)]
        corner = w.HTML(layout=layout)
        children = [corner, *self._heads[1]]
        for head, line in zip(self._heads[0], self._cells):
            children += [head, *line]
        grid = w.GridBox(children, layout=w.Layout(grid_template_columns=f"repeat({_MATRIX + 1}, 40px)"))
        self._matrix_note = w.HTML()
        self.any_pair = self._button("any confusion", lambda: self.table.filter(pair=None), icon="times")
        self.matrix = w.VBox([self._matrix_note, grid, self.any_pair])

    # --- acting ---

    def _do(self, act: Callable, *arguments) -> None:
        """Act and draw, unless the value was set by `draw` itself; what goes wrong becomes the message."""
        if self._quiet:
            return
        self.table.message = ""
        try:
            act(*arguments)
        except (ValueError, OSError) as error:
            self.table.message = str(error)
        except IndexError:  # clicked on what had been there before the last action was drawn
            self.table.message = "the page has changed; click again"
        self.draw()

    def _offer(self, column) -> None:
        options = [] if column is _ANY else list(self.table.values(column).items())[:200]
        self._quiet = True
        self.value.options = [("(any)", _ANY), *((f"{name or '(empty)'} ({n:,})", name) for name, n in options)]
        self.value.value = _ANY
        self._quiet = False
        self._slice()

    def _slice(self) -> None:
        where = {} if self.split.value is _ANY else {"split": self.split.value}
        if self.column.value is not _ANY and self.value.value is not _ANY:
            where[self.column.value] = self.value.value
        self.table.filter(where=where)

    def _reset(self) -> None:
        self.table.reset()
        f = self.table.filters
        self._quiet = True
        self.show.value, self.kind.value, self.text.value, self.confidence.value = (
            f[name] for name in ("show", "kind", "text", "confidence")
        )
        self.split.value, self.column.value, self.value.options = _ANY, _ANY, [("(any)", _ANY)]
        self._quiet = False

    def _select(self, i: int) -> None:
        self.table.select(self.table.shown[i])

    def _mark(self, mark: str | None) -> None:
        self.table.mark(mark, self.new_text.value)

    def _pair(self, i: int, j: int) -> None:
        counts = self.table.confusions(_MATRIX)
        pair = counts.index[i], counts.columns[j]
        self.table.filter(pair=None if pair == self.table.filters["pair"] else pair)

    def _type(self, value: str) -> None:
        # The field is left to fill up: if it were emptied after each key, one typed meanwhile would be lost or doubled.
        new, self._typed = value[len(self._typed) :] if value.startswith(self._typed) else "", value
        acts = {
            "n": lambda: self.table.go(self.table.page + 1),
            "p": lambda: self.table.go(self.table.page - 1),
            "j": lambda: self.table.step(1),
            "k": lambda: self.table.step(-1),
            "u": self.table.undo,
            **{key: lambda mark=mark: self._mark(mark) for key, mark in KEYS.items() if mark in MARKS},
        }
        for key in new:
            self._do(acts.get(key.lower(), lambda key=key: self._unknown_key(key)))

    def _unknown_key(self, key: str) -> None:
        raise ValueError(f"{key!r} does nothing; {', '.join(f'{k}: {meaning}' for k, meaning in KEYS.items())}")

    def _call(self, act: Callable) -> None:
        if self.table.selected is not None:
            self._below(act)

    def _below(self, act: Callable) -> None:
        self._below_filled = True
        self.output.clear_output(wait=True)
        with self.output:
            shown = act(self.table.row(self.table.selected))
            if shown is not None:
                display(shown)

    # --- drawing ---

    def draw(self) -> None:
        """Show what the table holds."""
        table = self.table
        self.status.value = f'<span class="ok-note ok-status">{escape(table.status())}</span>'
        self.message.value = f'<div class="ok-message" role="status">{escape(table.message)}</div>'
        rows = list(table.results.iloc[table.shown].itertuples())
        for row, position, picture, button in zip(rows, table.shown.tolist(), self._card_html, self._card_button):
            chosen = position == table.selected
            picture.value = tile(row, self.spans.value, chosen)
            mark = table.marks.get(position)
            button.description = " ".join(filter(None, [mark.mark, mark.new_text])) if mark else "look"
            button.button_style = "primary" if chosen else "info" if mark else ""
        self.cards.children = self._boxes[: len(rows)]
        self._draw_detail()
        self._draw_matrix()

    def _draw_detail(self) -> None:
        table, position = self.table, self.table.selected
        self.detail.layout.visibility = "visible" if position is not None else "hidden"
        if position is None:
            self.large.value = ""
            return
        row, mark = table.row(position), table.marks.get(position)
        if position != self._drawn:
            self._drawn = position
            # Often the reading is right and the label is wrong.
            self.new_text.value = mark.new_text if mark and mark.new_text else row["prediction"]
            if self._below_filled:
                self.output.clear_output()
                self._below_filled = False
            if self.on_select:
                self._below(self.on_select)
        name = os.path.basename(table.marks.rows.names[position])
        self.picture.value = details(row, name, mark, self.spans.value)
        large = picture_html(row, 240, self.spans.value) if self.enlarge.value else ""
        self.large.value = f'<div class="ok-picture">{large}</div>'

    def _draw_matrix(self) -> None:
        counts, chosen = self.table.confusions(_MATRIX), self.table.filters["pair"]
        top = max(counts.to_numpy().max(initial=0), 1)
        for heads, names in zip(self._heads, (counts.index, counts.columns)):
            for i, head in enumerate(heads):
                head.value = (
                    f'<div class="ok-axis"><bdi>{escape(visible(names[i]))}</bdi></div>' if i < len(names) else ""
                )
        for i, line in enumerate(self._cells):
            for j, cell in enumerate(line):
                count = int(counts.iat[i, j]) if i < counts.shape[0] and j < counts.shape[1] else 0
                # An empty description would leave the old number on the page.
                cell.description, cell.disabled = f"{count:,}" if count else "\xa0", not count
                pair = (counts.index[i], counts.columns[j]) if count else None
                is_chosen = bool(count) and pair == chosen
                cell.style = self._chosen_look if is_chosen else self._shades[-(-4 * count // top)]
                cell.button_style = "primary" if is_chosen else ""
                cell.tooltip = f"{visible(pair[0])} read as {visible(pair[1])}: {count:,} times" if count else ""
        self.any_pair.layout.visibility = "visible" if chosen else "hidden"
        shown = f"; now only {visible(chosen[0])} read as {visible(chosen[1])}" if chosen else ""
        self._matrix_note.value = (
            "<div class='ok-note'><b>Confusions</b>: rows are written, columns are read, ∅ is nothing; "
            f"click a number to see its images{escape(shown)}</div>"
        )
