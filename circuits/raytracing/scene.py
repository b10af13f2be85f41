"""Scenes of axis-aligned boxes on a small cubic grid, and the classical tracer that every pixel is compared with.

Rays are orthographic along z: the ray of pixel (x, y) hits a box that covers it, at the depth of the box's front face.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Box:
    """Covers pixels x_low..x_high, y_low..y_high (inclusive); ``depth`` is its front face. Grid units."""

    x_low: int
    x_high: int
    y_low: int
    y_high: int
    depth: int

    def hit(self, x: int, y: int, far: int) -> bool:
        """Whether the ray of pixel (x, y) meets it no deeper than ``far``."""
        return self.x_low <= x <= self.x_high and self.y_low <= y <= self.y_high and self.depth <= far


@lru_cache(maxsize=64)
def random_scene(num_primitives: int, grid_bits: int, seed: int) -> tuple[Box, ...]:
    """Boxes with independent uniform corners and depths (ours)."""
    generator = random.Random(f"scene {num_primitives} {grid_bits} {seed}")
    size = 2**grid_bits

    def interval() -> tuple[int, int]:
        one, other = generator.randrange(size), generator.randrange(size)
        return min(one, other), max(one, other)

    return tuple(Box(*interval(), *interval(), generator.randrange(size)) for _ in range(num_primitives))


def trace(scene: tuple[Box, ...], x: int, y: int, far: int) -> int | None:
    """Classical answer of one pixel: depth of the nearest box, None for background."""
    return min((box.depth for box in scene if box.hit(x, y, far)), default=None)
