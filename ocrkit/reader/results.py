"""The results table: what was read beside the samples it was read in. Taught in notebook 03."""

from collections.abc import Callable

import pandas as pd

from ocrkit.data.packed import Packed
from ocrkit.text.edits import Edit


def by_place(samples):
    """A table with the places of its rows, 0 to N - 1, as index: its own may hold a value twice. Else as it is."""
    return samples.reset_index(drop=True) if isinstance(samples, pd.DataFrame) else samples


def results_table(
    samples, packed: Packed, columns: dict, unread: dict, edits: Callable[[str, str], list[Edit]]
) -> pd.DataFrame:
    """The table that `read` returns: the rows of `packed` (`by_place`) with `columns`, and where `samples` is a table,
    those of the images that could not be read, with `unread` and why in `error`; compared with labels by `edits`.
    """
    # Made in one go: for a single image, `assign` would take as long as the model.
    table = pd.DataFrame({**packed.samples, **columns}, index=packed.samples.index)
    if isinstance(samples, pd.DataFrame):
        if len(packed.rejected):
            lost = by_place(samples).loc[packed.rejected.index].assign(**unread, error=packed.rejected["reason"])
            table = pd.concat([table, lost])[table.columns].sort_index() if len(table) else lost[table.columns]
        table.index = samples.index
    if "text" in table:
        texts = ["" if none else t for t, none in zip(table["text"], table["text"].isna())]
        found = [edits(t, p) for t, p in zip(texts, table["prediction"])]
        table = table.assign(distance=[len(e) for e in found], operations=found)
    return table
