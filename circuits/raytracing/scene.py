"""Scenes of axis-aligned boxes on a small cubic grid, and the classical tracer that every pixel is compared with.

A box is closed: it holds every point between its corners. A rectangle is a box whose corners share a coordinate. Rays
start at a grid point and have an integer direction, so that everything here is exact integer arithmetic. All of it
happens in a *frame* in which the rays run towards growing x, y and z (see ``circuits.raytracing.frame``); the depth of
a hit is the smallest integer z that is not short of it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MAX_BOXES = 512
"""In one scene."""

MISS = -1
"""Depth of a box that a ray does not meet."""


@dataclass(frozen=True)
class Box:
    """The points with x_low <= x <= x_high and so on. Grid units."""

    x_low: int
    x_high: int
    y_low: int
    y_high: int
    z_low: int
    z_high: int


@dataclass(frozen=True)
class Rays:
    """Many rays in one frame.

    Attributes:
        origins: where they start.      int64 (num_rays, 3)
        directions: none negative, z positive.      int64 (num_rays, 3)
    """

    origins: Ints
    directions: Ints

    def __getitem__(self, which: Ints | NDArray[np.bool_]) -> Rays:
        return Rays(self.origins[which], self.directions[which])

    def __len__(self) -> int:
        return len(self.origins)


@lru_cache(maxsize=64)
def random_scene(num_primitives: int, grid_bits: int, seed: int, frame: int = 0) -> tuple[Box, ...]:
    """Boxes with uniform corners, each drifting by up to one grid unit a frame and axis (ours).

    Along each axis no two corners share a coordinate, as long as there are enough: which of two boxes at one depth a
    search finds is chance. A box that would leave the grid is reflected at its faces.
    """
    generator = random.Random(f"scene {num_primitives} {grid_bits} {seed}")
    size = 2**grid_bits
    sides = []
    for _ in range(3):
        wanted = 2 * num_primitives
        ends = generator.sample(range(size), wanted) if wanted <= size else generator.choices(range(size), k=wanted)
        intervals = (sorted(pair) for pair in zip(ends[::2], ends[1::2], strict=True))
        sides.append([_drift(low, high, size, frame * generator.choice((-1, 0, 1))) for low, high in intervals])
    return tuple(Box(*x, *y, *z) for x, y, z in zip(*sides, strict=True))


def read_scene(text: str, grid_bits: int) -> dict[int, Box]:
    """Boxes by id, from text.

    Args:
        text: boxes separated by semicolons, each seven integers: id x_low x_high y_low y_high z_low z_high.
        grid_bits: bits of a coordinate.

    Raises:
        ValueError: not such a text; the message says what was wanted.
    """
    last, boxes = 2**grid_bits - 1, {}
    for part in filter(str.strip, text.split(";")):
        words = part.split()
        if len(words) != 7 or not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
            raise ValueError("boxes of seven integers each, 'id x_low x_high y_low y_high z_low z_high; ...'")
        name, *corners = map(int, words)
        if not all(low <= high <= last for low, high in zip(corners[::2], corners[1::2], strict=True)):
            raise ValueError(f"corners with 0 <= low <= high <= {last} (box {name}; {grid_bits} grid bits)")
        if name in boxes:
            raise ValueError(f"an id of its own for each box (two have id {name})")
        boxes[name] = Box(*corners)
    if len(boxes) > MAX_BOXES:
        raise ValueError(f"at most {MAX_BOXES} boxes")
    return boxes


def nothing(grid_bits: int) -> Box:
    """A box inside out along every axis, in every frame: no ray meets it."""
    last = 2**grid_bits - 1
    return Box(last, 0, last, 0, last, 0)


def _drift(low: int, high: int, size: int, by: int) -> tuple[int, int]:
    room = size - 1 - (high - low)
    place = (low + by) % (2 * room) if room else 0
    place = min(place, 2 * room - place)
    return place, place + high - low


def table(boxes: Sequence[Box]) -> Ints:
    """Corners, one box a row: x_low, x_high, y_low, y_high, z_low, z_high.      int64 (num_boxes, 6)."""
    return np.array([astuple(box) for box in boxes], dtype=np.int64)


def depths(corners: Ints, origins: Ints, directions: Ints) -> Ints:
    """Depth at which each ray enters a box, ``MISS`` where it does not. Shapes broadcast.

    Args:
        corners: as from :func:`table`.      int64 (..., 6)
        origins: int64 (..., 3)
        directions: int64 (..., 3)
    """
    low, high = corners[..., 0::2], corners[..., 1::2]
    near, far = low - origins, high - origins
    hit = np.all((far >= 0) & (low <= high), axis=-1)
    for one, other in ((0, 1), (0, 2), (1, 2)):  # closed intervals on a line meet if each two of them do
        a, b = directions[..., one], directions[..., other]
        hit &= (near[..., one] * b <= far[..., other] * a) & (near[..., other] * a <= far[..., one] * b)
    steps, slope = directions[..., 2:], np.maximum(directions, 1)
    reach = -(-np.maximum(near, 0) * steps // slope)  # z steps until each coordinate is reached, rounded up
    hit &= np.all((near <= 0) | (directions > 0), axis=-1)
    return np.where(hit, origins[..., 2] + reach.max(axis=-1), MISS)


@dataclass(frozen=True)
class Nearest:
    """What the classical tracer found along many rays.

    Attributes:
        depth: of the nearest hit, ``MISS`` if there is none.      int64 (num_rays,)
        item: index of the first box hit at that depth, else ``MISS``.      int64 (num_rays,)
        groups: for each ray the number of hits at each depth that occurs, nearest first.
    """

    depth: Ints
    item: Ints
    groups: list[tuple[int, ...]]


def trace(corners: Ints, rays: Rays, far: Ints, at_once: int = 1024) -> Nearest:
    """The classical tracer: every ray against every box.

    Args:
        corners: int64 (num_boxes, 6)
        rays: in the same frame.
        far: largest depth that counts.      int64 (num_rays,)
        at_once: rays in memory.
    """
    beyond = np.iinfo(np.int64).max
    depth, item, groups = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], []
    for start in range(0, len(rays), at_once):
        some = slice(start, start + at_once)
        found = depths(corners[None], rays.origins[some, None], rays.directions[some, None])
        found = np.where((found == MISS) | (found > far[some, None]), beyond, found)
        groups += [tuple(np.unique(row[row != beyond], return_counts=True)[1].tolist()) for row in found]
        first = found.argmin(axis=1)
        least = found[np.arange(len(found)), first]
        depth.append(np.where(least == beyond, MISS, least))
        item.append(np.where(least == beyond, MISS, first))
    return Nearest(np.concatenate(depth), np.concatenate(item), groups)


def entry(corners: Ints, rays: Rays) -> tuple[Ints, Ints]:
    """Where each ray enters its box, which it is known to hit.

    Args:
        corners: of each ray's box.      int64 (num_rays, 6)
        rays: one for each.

    Returns:
        The grid point at or before the entry, int64 (num_rays, 3), and the axis of the face, int64 (num_rays,). Of
        faces that are entered at once, z comes first, then x.
    """
    near = np.maximum(corners[:, 0::2] - rays.origins, 0)
    times = near / np.maximum(rays.directions, 1)  # small integers: equal fractions are equal floats
    axes = np.array([2, 0, 1])[np.argmax(times[:, [2, 0, 1]], axis=1)]
    which = np.arange(len(rays))
    points = (
        rays.origins + rays.directions * near[which, axes, None] // np.maximum(rays.directions, 1)[which, axes, None]
    )
    return points, axes
