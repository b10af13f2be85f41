"""Cameras and light: which rays a picture needs, in which frames, with which oracles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from circuits.raytracing.amplify import Oracle
from circuits.raytracing.axial import AxialOracle
from circuits.raytracing.frame import Frame, towards
from circuits.raytracing.scene import MISS, Box, Ints, Nearest, Rays, entry, table, trace
from circuits.raytracing.slanted import SlantedOracle, slope_bits

DIRECTIONS = {"+x": (1, 0, 0), "-x": (-1, 0, 0), "+y": (0, 1, 0), "-y": (0, -1, 0), "+z": (0, 0, 1), "-z": (0, 0, -1)}
"""Where an orthographic camera looks."""

CAMERAS = (*DIRECTIONS, "perspective")


@dataclass(frozen=True)
class View:
    """One frame of a camera or light with its oracle."""

    frame: Frame
    oracle: Oracle


@dataclass(frozen=True)
class Bundle:
    """Rays of several views.

    Attributes:
        views: that the rays may belong to.
        view: of each ray.      int64 (num_rays,)
        rays: each in the frame of its view.
        far: largest depth at which a hit counts.      int64 (num_rays,)
    """

    views: Sequence[View]
    view: Ints
    rays: Rays
    far: Ints

    @property
    def corners(self) -> Ints:
        """Of all boxes in all frames.      int64 (num_views, num_boxes, 6)."""
        return np.array([table(view.oracle.boxes) for view in self.views])


def views(camera: str, scene: Sequence[Box], grid_bits: int) -> list[View]:
    """The frames in which a camera's rays run forwards: one, or for a perspective camera one a quadrant."""
    last = 2**grid_bits - 1
    if camera in DIRECTIONS:
        frame = towards(DIRECTIONS[camera], last)
        return [View(frame, AxialOracle(frame.boxes(scene), grid_bits))]
    bits = slope_bits(np.array([2**grid_bits]))
    frames = [Frame((0, 1, 2), (right, down, False), last) for down, right in product((False, True), repeat=2)]
    return [View(frame, SlantedOracle(frame.boxes(scene), grid_bits, bits)) for frame in frames]


def camera_rays(camera: str, seen: Sequence[View], pixels: Ints) -> Bundle:
    """The rays of some pixels.

    An orthographic camera stands before the grid and sees pixel (u, v) at those coordinates of its frame's first two
    axes. A perspective one looks along z from one grid size before the middle of the face z = 0 and sees that face's
    point (u, v) at pixel (u, v).

    Args:
        camera: one of ``CAMERAS``.
        seen: its :func:`views`.
        pixels: u and v.      int64 (num_pixels, 2)
    """
    last = seen[0].frame.last
    far = np.full(len(pixels), last)
    if camera in DIRECTIONS:
        flat = np.zeros((len(pixels), 1), dtype=np.int64)
        return Bundle(seen, flat[:, 0], Rays(np.hstack((pixels, flat)), _ahead(len(pixels))), far)
    size = last + 1
    eye = np.array([size // 2, size // 2, -size])
    directions = np.hstack((pixels - size // 2, np.full((len(pixels), 1), size)))
    view = (directions[:, 0] < 0) + 2 * (directions[:, 1] < 0)
    origins = np.array([each.frame.points(eye) for each in seen])[view]
    return Bundle(seen, view, Rays(origins, np.abs(directions)), far)


def light_view(light: tuple[int, int, int], scene: Sequence[Box], grid_bits: int) -> View:
    """The frame of the rays that find what stands between a point and a distant light in direction ``light``.

    They run from the point to the light; if that is along an axis they run from there, since the test of axial rays
    knows no near limit.
    """
    last = 2**grid_bits - 1
    if sum(map(bool, light)) == 1:
        frame = towards([-each for each in light], last)
        return View(frame, AxialOracle(frame.boxes(scene), grid_bits))
    frame = towards(light, last)
    return View(frame, SlantedOracle(frame.boxes(scene), grid_bits, slope_bits(np.abs(np.array(light)))))


def light_rays(light: tuple[int, int, int], seen: View, points: Ints) -> Bundle:
    """The rays between some points and the light; points: of the world, int64 (num_points, 3)."""
    frame, places = seen.frame, seen.frame.points(points)
    view = np.zeros(len(points), dtype=np.int64)
    if isinstance(seen.oracle, SlantedOracle):
        directions = np.broadcast_to(frame.directions(np.array(light)), places.shape)
        return Bundle([seen], view, Rays(places, directions), np.full(len(points), frame.last))
    inside = np.all((places[:, :2] >= 0) & (places[:, :2] <= frame.last), axis=1)
    origins = np.where(inside[:, None], places, 0)
    origins[:, 2] = 0
    return Bundle(
        [seen], view, Rays(origins, _ahead(len(points))), np.where(inside, np.minimum(places[:, 2], frame.last), MISS)
    )


def _ahead(num_rays: int) -> Ints:
    return np.tile(np.array([0, 0, 1], dtype=np.int64), (num_rays, 1))


@dataclass(frozen=True)
class Surface:
    """What the rays of a picture meet, in the world.

    Attributes:
        depth: of each ray's hit in its frame, ``MISS`` if there is none.      int64 (num_rays,)
        item: index of the box, else ``MISS``.      int64 (num_rays,)
        point: the grid point at or before the hit.      int64 (num_rays, 3)
        normal: outward, of the face.      int64 (num_rays, 3)
    """

    depth: Ints
    item: Ints
    point: Ints
    normal: Ints

    @property
    def met(self) -> Ints:
        """Indices of the rays that meet something."""
        return np.flatnonzero(self.depth != MISS)


def surface(bundle: Bundle, depth: Ints, item: Ints) -> Surface:
    """Points and normals of known hits."""
    point, normal = np.zeros((2, len(depth), 3), dtype=np.int64)
    for index, (view, corners) in enumerate(zip(bundle.views, bundle.corners, strict=True)):
        here = np.flatnonzero((bundle.view == index) & (depth != MISS))
        points, axes = entry(corners[item[here]], bundle.rays[here])
        point[here], normal[here] = view.frame.world_points(points), view.frame.world_normals(axes)
    return Surface(depth, item, point, normal)


def traced(bundle: Bundle) -> Nearest:
    """The classical tracer's answer for a bundle."""
    depth, item = np.full((2, len(bundle.far)), MISS, dtype=np.int64)
    groups: list[tuple[int, ...]] = [()] * len(bundle.far)
    for index, corners in enumerate(bundle.corners):
        here = np.flatnonzero(bundle.view == index)
        found = trace(corners, bundle.rays[here], bundle.far[here])
        depth[here], item[here] = found.depth, found.item
        for ray, group in zip(here.tolist(), found.groups, strict=True):
            groups[ray] = group
    return Nearest(depth, item, groups)
