"""The tables and the plot that `make bench` puts into the README, from its results."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from ocrkit.data.files import atomic, write_json

START, END = "<!-- bench: written by `make bench` -->", "<!-- /bench -->"
NAMES = {
    "light": "ours: laptop recipe",
    "vgg": "VGG plate system",
    "resnet": "ResNet plate system",
    "lprnet": "a network of LPRNet's size (0.45M)",
    "rapidocr": "RapidOCR, lines only",
}
SHIPPED = "ours: the shipped model"
GOALS = (0.10, 0.03)
NAMES_SYSTEMS = {"light": "ours: recipe names-start", "lenet": "Keras names system"}
NAMES_GOALS = (0.5, 0.2)


def keep_record(path: Path, result: dict, page: str) -> None:
    """Write `result` as JSON and its `page` of Markdown beside it, each whole or not at all, and print the page."""
    write_json(path, result)
    with atomic(path.with_suffix(".md")) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)


def seconds_to(curve: list[list[float]], goal: float) -> float | None:
    """When a curve of (seconds, CER) first is at or below `goal`; None if it never is."""
    return next((spent for spent, rate in curve if rate <= goal), None)


def _table(head: list[str], rows: list[list]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _training(results: dict) -> str:
    ours = results["training"]["light"]["images_per_second"]
    rows = []
    for name, r in results["training"].items():
        share = 1 - r["images_per_second"] / r["without_loading"]
        rows.append(
            [NAMES[name], r["batch"], f"{r['images_per_second']:,.0f}", f"{ours / r['images_per_second']:.1f}",
             f"{max(share, 0):.0%}", f"{r['memory_mb']:,.0f} MB"]
        )  # fmt: skip
    head = ["training", "batch", "images a second", "ours is faster by", "time lost to loading", "most memory"]
    return _table(head, rows)


def _race(results: dict) -> str:
    ours, rows = results["race"]["light"]["curve"], []
    for name, run in results["race"].items():
        row = [NAMES[name]]
        for goal in GOALS:
            spent, first = seconds_to(run["curve"], goal), seconds_to(ours, goal)
            if spent is not None:
                row.append(f"{spent / 60:.1f} min" + (f" ({spent / first:.1f} x ours)" if name != "light" else ""))
            else:
                budget = run["curve"][-1][0]
                row.append(f"not in {budget / 60:.0f} min" + (f" (over {budget / first:.1f} x ours)" if first else ""))
        rows.append([*row, f"{min(rate for _, rate in run['curve']):.3f}"])
    n = results["race"]["light"]["n"]
    head = [f"time to a CER on {n} held-out real plates", *(f"CER {g:.2f}" for g in GOALS), "best CER reached"]
    return _table(head, rows)


def _reading(results: dict) -> str:
    names = {**NAMES, "light": SHIPPED}
    rows = [
        [names[name], *(f"{r[f'batch {b}']:,.0f}" for b in (1, 64))] for name, r in results["reading"].items()
    ]  # fmt: skip
    return _table(["reading, images a second", "one by one", "64 at a time"], rows)


def _exam(results: dict) -> str:
    rows = []
    for place, systems in results["exam"].items():
        for name, r in systems.items():
            low, high = r["interval"]
            label = SHIPPED if name == "light" else NAMES[name]
            rows.append([place, label, r["n"], f"{r['accuracy']:.3f} ({low:.3f} to {high:.3f})", f"{r['cer']:.4f}"])
    return _table(["real plates, test split by text", "reader", "images", "exact match", "CER"], rows)


def _names(results: dict) -> str:
    systems = results["names"]
    ours = systems["light"]
    head = [f"names, {ours['seconds']:.0f} s of training each", "batch", "images a second", "ours is faster by"]
    head += [f"CER {goal:.1f} after" for goal in NAMES_GOALS]
    for exam, found in ours["exams"].items():
        head += [f"{exam} ({found['n']}): exact match at the end", "CER"]
    rows = []
    for name, run in systems.items():
        speed = run["images_per_second"]
        row = [NAMES_SYSTEMS[name], run["batch"], f"{speed:,.0f}", f"{ours['images_per_second'] / speed:.1f}"]
        reached = [seconds_to(run["curve"], goal) for goal in NAMES_GOALS]
        row += ["not reached" if spent is None else f"{spent:.0f} s" for spent in reached]
        for found in run["exams"].values():
            low, high = found["interval"]
            row += [f"{found['accuracy']:.3f} ({low:.3f} to {high:.3f})", f"{found['cer']:.4f}"]
        rows.append(row)
    return _table(head, rows)


def _growth(results: dict) -> str:
    rows = [
        [f"{int(n):,}", f"{r['packing_s']:.1f} s", f"{r['opening_s']:.1f} s", f"{r['loading_s']:.1f} s",
         f"{r['images_per_second']:,.0f}", f"{r['disk_mb']:,.0f} MB", f"{r['memory_mb']:,.0f} MB"]
        for n, r in results["growth"].items()
    ]  # fmt: skip
    head = ["images", "pack once", "open again", "load an epoch", "training images a second", "on disk", "most memory"]
    return _table(head, rows)


def _browser(results: dict) -> str:
    times = results["browser"]
    first = [what for what in times if "first" in what]
    rest = max((t["ms"], what) for what, t in times.items() if what not in first)
    rows = [[what, f"{times[what]['ms']:,.0f} ms"] for what in first]
    rows.append([f"the slowest of {len(times) - len(first)} other actions: {rest[1]}", f"{rest[0]:,.0f} ms"])
    return _table(["error browser over 100,000 results", "slowest try"], rows)


def _steps(title: str, speeds: dict[str, float]) -> str:
    return _table([title, "images a second"], [[what, f"{v:,.0f}"] for what, v in speeds.items()])


def write_readme(results: dict, path: Path) -> str:
    """Put the tables between the two marks in the README; returns them.

    Raises:
        ValueError: the README lacks the marks.
    """
    parts = [f"Measured on {results['machine']}, torch {results['torch']}."]
    for name, table in {
        "training": _training, "race": _race, "exam": _exam, "reading": _reading, "names": _names, "growth": _growth,
        "browser": _browser, "small_steps": lambda r: _steps("other steps of the road", r["small_steps"]),
    }.items():  # fmt: skip
        if name in results:
            parts.append(table(results))
    text, old = "\n\n".join(parts), path.read_text(encoding="utf-8")
    if START not in old or END not in old:
        raise ValueError(f"{path} lacks the marks {START!r} and {END!r}, between which the tables go")
    before, after = old.split(START)[0], old.split(END)[1]
    path.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")
    return text


def draw(results: dict, path: Path) -> None:
    """Three panels: training speed, CER over time, reading speed; what was not measured is left out."""
    panels = [p for p in ("training", "race", "reading") if p in results]
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained", dpi=110)
    colors = {
        "light": "tab:green",
        "vgg": "tab:orange",
        "resnet": "tab:red",
        "lprnet": "tab:gray",
        "rapidocr": "tab:blue",
    }
    short = {
        "light": "ours",
        "vgg": "VGG system",
        "resnet": "ResNet system",
        "lprnet": "LPRNet size",
        "rapidocr": "RapidOCR",
    }
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        runs = results[panel]
        if panel == "race":
            for name, run in runs.items():
                axes.plot(
                    [s / 60 for s, _ in run["curve"]],
                    [c for _, c in run["curve"]],
                    color=colors[name],
                    label=short[name],
                )
            for goal in GOALS:
                axes.axhline(goal, color="black", lw=0.6, ls=":")
            axes.set(
                xlabel="minutes of training",
                ylabel="CER",
                yscale="log",
                title=f"CER on {runs['light']['n']} real plates",
            )
            axes.legend()
            continue
        key = "images_per_second" if panel == "training" else "batch 64"
        bars = axes.barh([short[n] for n in runs], [r[key] for r in runs.values()], color=[colors[n] for n in runs])
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set(title="images trained on a second" if panel == "training" else "images read a second, 64 at a time")
    figure.savefig(path)
