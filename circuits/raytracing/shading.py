"""A picture of what a ray tracer found: Lambert's cosine law, shadows, and the depth beside it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from circuits.raytracing.tracer import HIT

Pixels = NDArray[np.uint8]

_AMBIENT = 0.35
_BACKGROUND = (24, 28, 38)
_GOLDEN_ANGLE = 0.381966  # of a turn: hues of any number of boxes stay apart
_GAP = 8
_SHORTEST_SIDE = 384


def lambert(hits: Sequence[Sequence[Sequence[int] | None]], light: Sequence[float]) -> Pixels:
    """Shade each hit by the cosine between its normal and the light; in the shadow only the ambient part is left.

    Args:
        hits: an outcome's ``hits``, row by row.
        light: direction to it, any length.

    Returns:
        uint8 (height, width, 3)
    """
    towards = np.asarray(light, dtype=float) / np.linalg.norm(light)
    normal, lit = HIT.index("normal_x"), HIT.index("lit")

    def colour(hit: Sequence[int] | None) -> tuple[int, ...]:
        if hit is None:
            return _BACKGROUND
        cosine = max(0.0, float(np.dot(hit[normal : normal + 3], towards))) * (hit[lit] is not False)
        value = _AMBIENT + (1.0 - _AMBIENT) * cosine
        return tuple(round(255 * each) for each in colorsys.hsv_to_rgb(hit[0] * _GOLDEN_ANGLE % 1.0, 0.55, value))

    return np.array([[colour(hit) for hit in row] for row in hits], dtype=np.uint8)


def depth_map(depth: Sequence[Sequence[int | None]], last: int) -> Pixels:
    """Near is bright.

    Args:
        depth: an outcome's ``depth``, row by row.
        last: the largest that can be.

    Returns:
        uint8 (height, width, 3)
    """
    grey = [[_BACKGROUND if each is None else (255 - 200 * each // last,) * 3 for each in row] for row in depth]
    return np.array(grey, dtype=np.uint8)


def beside(left: Pixels, right: Pixels) -> Pixels:
    """Two pictures of one size next to each other, enlarged by whole factors until a screen shows their pixels."""
    factor = max(1, -(-_SHORTEST_SIDE // left.shape[0]))
    one, other = (np.kron(each, np.ones((factor, factor, 1), dtype=np.uint8)) for each in (left, right))
    gap = np.full((one.shape[0], _GAP, 3), 255, dtype=np.uint8)
    return np.hstack((one, gap, other))
