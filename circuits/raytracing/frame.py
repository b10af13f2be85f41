"""Frames: the axes of the grid in another order and direction, so that rays always run towards growing coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from circuits.raytracing.scene import Box, Ints


@dataclass(frozen=True)
class Frame:
    """A signed permutation of the axes.

    Attributes:
        axes: which axis of the world each axis of the frame is.
        mirrored: whether it runs backwards there.
        last: largest coordinate of the grid; mirroring maps c to last - c.
    """

    axes: tuple[int, int, int]
    mirrored: tuple[bool, bool, bool]
    last: int

    def boxes(self, scene: Sequence[Box]) -> tuple[Box, ...]:
        """A scene as the frame sees it."""
        return tuple(self._box(astuple(box)) for box in scene)

    def points(self, world: Ints) -> Ints:
        """Points of the world in the frame.      int64 (..., 3)."""
        turned = world[..., list(self.axes)]
        return np.where(self.mirrored, self.last - turned, turned)

    def directions(self, world: Ints) -> Ints:
        """Directions of the world in the frame.      int64 (..., 3)."""
        turned = world[..., list(self.axes)]
        return np.where(self.mirrored, -turned, turned)

    def world_points(self, points: Ints) -> Ints:
        """The way back.      int64 (..., 3)."""
        world = np.empty_like(points)
        world[..., list(self.axes)] = np.where(self.mirrored, self.last - points, points)
        return world

    def world_normals(self, axes: Ints) -> Ints:
        """Outward normals of the faces that a ray enters through, from their axes in the frame.      int64 (n, 3)."""
        normals = np.zeros((len(axes), 3), dtype=np.int64)
        signs = np.where(np.array(self.mirrored)[axes], 1, -1)
        normals[np.arange(len(axes)), np.array(self.axes)[axes]] = signs
        return normals

    def _box(self, corners: tuple[int, ...]) -> Box:
        ends: list[int] = []
        for axis, mirrored in zip(self.axes, self.mirrored, strict=True):
            low, high = corners[2 * axis], corners[2 * axis + 1]
            ends += (self.last - high, self.last - low) if mirrored else (low, high)
        return Box(*ends)


def towards(direction: Sequence[int], last: int) -> Frame:
    """The frame in which a direction has no negative component and its largest one along z."""
    steepest = max((2, 0, 1), key=lambda axis: abs(direction[axis]))
    axes = (*(axis for axis in range(3) if axis != steepest), steepest)
    return Frame(axes, tuple(direction[axis] < 0 for axis in axes), last)  # type: ignore[arg-type]
