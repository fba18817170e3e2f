"""Turns a drawn character into the path that a pen would follow, so that it can be redrawn with any pen."""

from __future__ import annotations

import numpy as np

#: Steps to the eight neighbors of a pixel, straight ones first.
_STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))


def strokes(ink: np.ndarray, tolerance: float = 1.0) -> list[np.ndarray]:
    """Return the center lines of a character as polylines, float (K, 2) of x and y in pixels; a dot has one point.

    Args:
        ink: bool (H, W), True on the character.
        tolerance: pixels by which a polyline may miss the center line.

    Source: T. Y. Zhang and C. Y. Suen, A fast parallel algorithm for thinning digital patterns, CACM 27(3), 1984.
    """
    lines = thin(ink)
    width = ink.sum() / max(lines.sum(), 1)
    paths = [np.array(p, float)[:, ::-1] for p in _trace(_links(lines), spur=0.7 * width)]
    return [_simplify(p, tolerance) for p in paths]


def thin(ink: np.ndarray) -> np.ndarray:
    """Peel a shape, bool (H, W), down to lines one pixel wide."""
    image = np.pad(ink.astype(np.uint8), 1)
    while True:
        before = image.sum()
        for turn in range(2):
            # The neighbors p2 to p9 of the paper: from the upper one on, clockwise.
            order = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
            around = np.stack([np.roll(image, (-dy, -dx), (0, 1)) for dy, dx in order])
            count, rises = around.sum(0), ((around == 0) & (np.roll(around, -1, 0) == 1)).sum(0)
            up, right, down, left = around[::2]
            ends = (up * right * down, right * down * left) if turn == 0 else (up * right * left, up * down * left)
            image[(image == 1) & (count > 1) & (count < 7) & (rises == 1) & (ends[0] == 0) & (ends[1] == 0)] = 0
        if image.sum() == before:
            return image[1:-1, 1:-1].astype(bool)


def _links(lines: np.ndarray) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Each pixel's neighbors; a diagonal one only where no straight one leads to it as well."""
    pixels = set(zip(*(a.tolist() for a in np.nonzero(lines)), strict=True))
    links = {}
    for y, x in pixels:
        links[y, x] = [
            (y + dy, x + dx)
            for dy, dx in _STEPS
            if (y + dy, x + dx) in pixels and not (dy and dx and {(y + dy, x), (y, x + dx)} & pixels)
        ]
    return links


def _trace(links: dict, spur: float) -> list[list[tuple[int, int]]]:
    """Paths from end or junction to end or junction, closed loops, and single dots, without short side branches."""
    nodes = {p for p, near in links.items() if len(near) != 2}
    paths, used = [], set()
    for start in sorted(nodes) + sorted(links):  # what is not met from any node is a loop
        if not links[start]:
            paths += [[start]] if start not in used else []
            used.add(start)
        for step in links[start]:
            if (start, step) in used or (start not in nodes and start in used):
                continue
            path = [start, step]
            while path[-1] not in nodes and path[-1] != start:
                path.append(next(p for p in links[path[-1]] if p != path[-2]))
            used.update(path, zip(path, path[1:]), zip(path[1:], path))  # noqa: B905
            paths.append(path)

    def is_spur(path: list) -> bool:
        ends = sorted(len(links[p]) for p in (path[0], path[-1]))
        return len(path) > 1 and ends[0] == 1 and ends[1] > 2 and len(path) < spur

    return [p for p in paths if not is_spur(p)]


def _simplify(path: np.ndarray, tolerance: float) -> np.ndarray:
    """Leave out points that lie on the line between others (Ramer-Douglas-Peucker)."""
    if len(path) < 3:
        return path
    along = path[-1] - path[0]
    if not along.any():  # a loop: part it at the point farthest from its start
        far = np.hypot(*(path - path[0]).T)
    else:
        far = np.abs(along[0] * (path[:, 1] - path[0, 1]) - along[1] * (path[:, 0] - path[0, 0])) / np.hypot(*along)
    k = int(far.argmax())
    if far[k] <= tolerance:
        return path[[0, -1]]
    return np.concatenate([_simplify(path[: k + 1], tolerance)[:-1], _simplify(path[k:], tolerance)])
