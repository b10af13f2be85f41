"""Quantum ray tracing of one image tile as an adaptive family.

Source: Santos, Bashford-Rogers, Barbosa, Navratil, "Towards quantum ray tracing", arXiv 2204.12797, known here through
the MEQC paper's summary (second-hand). Every ray searches its nearest primitive by Durr-Hoyer minimum finding; all rays
of the tile advance in lock step, then the shadow rays of what they hit. Honest scaling: the gain over the classical
tracer is in oracle queries alone; a scene given as a list costs as many gates a query as it has primitives.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from circuits.counts import probabilities
from circuits.family import Counts, Outcome, Round, Run
from circuits.parameters import choice, integer, real, refuse, text, validate
from circuits.raytracing.amplify import angles, grover_circuit
from circuits.raytracing.camera import (
    CAMERAS,
    Bundle,
    Surface,
    View,
    camera_rays,
    light_rays,
    light_view,
    surface,
    traced,
    views,
)
from circuits.raytracing.scene import MISS, Box, Ints, Nearest, depths, nothing, random_scene, read_scene
from circuits.raytracing.search import (
    Searches,
    expected_existence_queries,
    expected_queries,
    max_iterations,
    schedule,
    success_probability,
)

HIT = ("primitive", "depth", "x", "y", "z", "normal_x", "normal_y", "normal_z", "lit")
"""What each entry of an outcome's ``hits`` holds: the box's id, the depth along the view, the grid point at or before
the hit and the outward normal, in the world; whether the light reaches it, None without a light."""

_COUNTED = ("num_wrong_pixels", "num_queries", "expected_queries", "num_circuits", "num_classical_samples")
_SHOWN_PIXELS = 1024
"""A larger tile's progress is told without the image."""

Loop = Generator[Round, Sequence[Counts], None]


@dataclass(frozen=True)
class RayTracing:
    """Picture of a tile of a scene of boxes: for each pixel the box, depth, point and normal that its ray meets first.

    Attributes:
        width: pixels of the tile in x.
        height: pixels of the tile in y.
        x0: first column.
        y0: first row.
        num_primitives: boxes in the random scene, N.
        scene_seed: which random scene.
        grid_bits: bits of a coordinate; the whole image has 2^grid_bits pixels a side.
        delta: chance of missing a nearer primitive in one search, whatever the number of hits.
        camera: where an orthographic camera looks, or "perspective": along z, from one grid size before the scene.
        light_x: direction to a distant light, for shadows; all three 0 for none.
        light_y: its second component.
        light_z: its third component.
        frame: of a sequence in which the boxes of a random scene drift.
        boxes: a scene of one's own instead of a random one, as :func:`~circuits.raytracing.scene.read_scene` takes it.
    """

    width: int = integer(1, low=1, high=256, doc="tile width, pixels")
    height: int = integer(1, low=1, high=256, doc="tile height, pixels")
    x0: int = integer(0, low=0, high=255, doc="first column")
    y0: int = integer(0, low=0, high=255, doc="first row")
    num_primitives: int = choice(8, 4, 8, 16, 32, 64, 128, 256, 512, doc="boxes in the random scene")
    scene_seed: int = integer(0, low=0, high=2**31 - 1, doc="which random scene")
    grid_bits: int = integer(4, low=2, high=8, doc="bits of a coordinate")
    delta: float = real(1e-5, low=1e-9, high=0.5, doc="chance of a wrong stop")
    camera: str = choice("+z", *CAMERAS, doc="where the camera looks")
    light_x: int = integer(0, low=-7, high=7, doc="direction to the light")
    light_y: int = integer(0, low=-7, high=7, doc="direction to the light")
    light_z: int = integer(0, low=-7, high=7, doc="direction to the light")
    frame: int = integer(0, low=0, high=10_240, doc="of a sequence of drifting boxes")
    boxes: str = text("", longest=65_536, doc="a scene of one's own; see circuits.raytracing.scene.read_scene")

    def __post_init__(self) -> None:
        validate(self)
        size = 2**self.grid_bits
        for name, first, extent in (("width", self.x0, self.width), ("height", self.y0, self.height)):
            if first + extent > size:
                refuse(self, name, f"a tile inside the image of {size} pixels a side from {first} on", extent)
        try:
            self._own  # noqa: B018 - read now, so that a mistake is told here
        except ValueError as error:
            refuse(self, "boxes", str(error), self.boxes)

    @cached_property
    def scene(self) -> tuple[Box, ...]:
        """The boxes, in the order of their index; their number is a power of two."""
        if not self._own:
            return random_scene(self.num_primitives, self.grid_bits, self.scene_seed, self.frame)
        size = max(4, 1 << (len(self._own) - 1).bit_length())
        return (*self._own.values(), *[nothing(self.grid_bits)] * (size - len(self._own)))

    @cached_property
    def _own(self) -> dict[int, Box]:
        return read_scene(self.boxes, self.grid_bits)

    def tiles(self, number: int) -> list[RayTracing]:
        """The same picture in about as many bands of rows, from the top; fewer if there are fewer rows."""
        ends = np.linspace(0, self.height, min(number, self.height) + 1).round().astype(int).tolist()
        return [self.part(first, last) for first, last in pairwise(ends)]

    @property
    def num_items(self) -> int:
        """Rows of the tile."""
        return self.height

    def part(self, first: int, last: int) -> RayTracing:
        """These rows alone."""
        return replace(self, y0=self.y0 + first, height=last - first)

    def merged(self, outcomes: Sequence[Outcome]) -> Outcome:
        """The picture from its bands. They are traced at the same time, so their rounds are not added."""
        values = [one.value for one in outcomes]
        rows = {name: [row for value in values for row in value[name]] for name in ("depth", "hits")}
        counted = {name: sum(value[name] for value in values) for name in _COUNTED}
        score = sum(one.score * len(one.value["depth"]) for one in outcomes) / len(rows["depth"])
        return Outcome(score, rows | counted, max(one.num_rounds for one in outcomes))

    def frames(self, number: int) -> list[RayTracing]:
        """This picture and the next ones of its sequence."""
        return [replace(self, frame=self.frame + index) for index in range(number)]

    def circuits(self) -> Sequence[QuantumCircuit]:
        """Grover circuits of 1, 2, ... iterations, of one view after the other. None of them depends on the ray."""
        return [grover_circuit(view.oracle, number + 1) for view in self._views for number in range(self._deepest)]

    def build(self) -> QuantumCircuit:
        """The deepest circuit, bound to :meth:`reference_ray` without a far limit."""
        bundle, _ = self._reference
        view = int(bundle.view[0])
        (values,) = angles(bundle.views[view].oracle, bundle.rays, bundle.far)
        free = grover_circuit(bundle.views[view].oracle, self._deepest)
        bound: QuantumCircuit = free.assign_parameters({each: values[each.name] for each in free.parameters})
        return bound

    def score(self, counts: Counts) -> float:
        """Share of shots of ``build()`` whose primitive is hit by the reference ray, in [0, 1]."""
        _, hits = self._reference
        return min(1.0, sum(weight for bits, weight in probabilities(counts).items() if int(bits, 2) in hits))

    @property
    def ideal_score(self) -> float:
        """sin^2((2 j + 1) theta) of the reference ray."""
        return success_probability(len(self._reference[1]), len(self.scene), self._deepest)

    def reference_ray(self) -> tuple[int, int]:
        """The pixel that ``build()`` traces: the first that the deepest circuit clearly amplifies (ours).

        Pixels of the tile come first, then the image's in reading order; a pixel counts if it succeeds with more than
        0.5 and gains at least 0.2 on guessing. If no pixel does, the one that gains most.
        """
        size, num_items = 2**self.grid_bits, len(self.scene)
        chances = np.array([success_probability(hits, num_items, self._deepest) for hits in range(num_items + 1)])
        whole = np.stack(np.divmod(np.arange(size * size), size)[::-1], axis=1)
        for pixels in (self._pixels(), whole):
            hits = np.array(
                [sum(groups) for groups in traced(camera_rays(self.camera, self._camera_views, pixels)).groups]
            )
            gains = chances[hits] - hits / num_items
            clear = np.flatnonzero((chances[hits] > 0.5) & (gains >= 0.2))
            if clear.size:
                return int(pixels[clear[0], 0]), int(pixels[clear[0], 1])
        best = int(np.argmax(gains))
        return int(pixels[best, 0]), int(pixels[best, 1])

    @property
    def ideal_outcome_score(self) -> float:
        """1: without noise every pixel is right, but for a chance of about delta."""
        return 1.0

    def rounds(self, shots: int, seed: int) -> Generator[Round, Sequence[Counts], Outcome]:
        """Trace the tile: each round runs one circuit for every ray that is not done.

        A run of zero iterations is a classical sample and is never sent to a device.

        Args:
            shots: per circuit; 16 is a good choice where a circuit costs more than a shot, 1 asks fewest queries.
            seed: of the classical samples.
        """
        work = _Work(shots, np.random.default_rng(seed), schedule(len(self.scene), self.delta, shots))
        primary = self._primary
        nearest = work.searches(primary)
        yield from self._search(primary, nearest, 0, work, nearest)
        seen = surface(primary, nearest.depth, nearest.item)
        right = nearest.depth == self._truth.depth
        lit = None
        if self._lights:
            secondary = self._secondary(seen)
            shadows = work.searches(secondary, any_hit=True)
            yield from self._search(secondary, shadows, len(self._camera_views) * self._deepest, work, nearest)
            lit = shadows.depth == MISS
            right[seen.met] &= lit == (traced(secondary).depth == MISS)
        wrong, asked = int(np.sum(~right)), (work.num_queries, self.expected_queries(shots))
        counted = dict(zip(_COUNTED, (wrong, *asked, work.num_circuits, work.num_samples), strict=True))
        return Outcome(float(np.mean(right)), self._value(seen, lit) | counted, work.num_rounds)

    def expected_runs(self, shots: int) -> float:
        """Circuits of the proofs that nothing was missed, one search a ray. What is found asks for some more (ours)."""
        proof = sum(iterations > 0 for iterations in schedule(len(self.scene), self.delta, shots))
        return float(self.width * self.height * proof * (2 if self._lights else 1))

    @property
    def num_operations(self) -> int:
        """Tests of a ray against a box, all of them."""
        return self.width * self.height * len(self.scene) * (2 if self._lights else 1)

    def solve(self) -> Outcome:
        """The classical tracer's picture."""
        seen = surface(self._primary, self._truth.depth, self._truth.item)
        lit = traced(self._secondary(seen)).depth == MISS if self._lights else None
        return Outcome(1.0, self._value(seen, lit) | dict.fromkeys(_COUNTED, 0), 0)

    def expected_queries(self, shots: int) -> float:
        """Expected queries of the whole tile, the proofs that nothing was missed included. Exact but for delta."""
        settings = len(self.scene), self.delta, shots
        total = sum(
            expected_queries(groups, bool(depth == 0), *settings)
            for groups, depth in zip(self._truth.groups, self._truth.depth, strict=True)
        )
        if self._lights:
            blocked = traced(secondary := self._secondary(surface(self._primary, self._truth.depth, self._truth.item)))
            asked = zip(blocked.groups, secondary.far, strict=True)
            total += sum(expected_existence_queries(sum(groups), *settings) for groups, far in asked if far != MISS)
        return total

    def _search(self, bundle: Bundle, searches: Searches, first: int, work: _Work, known: Searches) -> Loop:
        """Advance searches in lock step until all are done; the bundle's circuits start at index ``first``."""
        corners, num_items = bundle.corners, len(self.scene)
        while not searches.done.all():
            live, iterations = searches.due()
            blind = live[iterations == 0]
            guesses = work.generator.integers(num_items, size=(len(blind), work.shots))
            samples = np.repeat(np.arange(len(blind)), work.shots), guesses.ravel()
            searches.update(blind, iterations[iterations == 0], work.shots, _verified(bundle, corners, blind, samples))
            work.num_samples += guesses.size
            live, iterations = live[iterations > 0], iterations[iterations > 0]
            if not live.size:
                continue
            runs = self._runs(bundle, live, iterations, searches.far[live], first, work.shots)
            left = int(np.sum(~known.done)) or int(np.sum(~searches.done))
            counts = yield Round(runs, partial={"depth": self._partial(known), "num_pixels_left": left})
            which = [position for position, answer in enumerate(counts) for _ in answer]
            items = [int(bits, 2) for answer in counts for bits in answer]
            answers = _verified(bundle, corners, live, (np.array(which), np.array(items)))
            searches.update(live, iterations, work.shots, answers)
            work.num_rounds += 1
            work.num_circuits += len(live)
        work.num_queries += searches.num_queries

    def _runs(self, bundle: Bundle, rays: Ints, iterations: Ints, far: Ints, first: int, shots: int) -> list[Run]:
        values: list[dict[str, float]] = [{}] * len(rays)
        for index, view in enumerate(bundle.views):
            here = np.flatnonzero(bundle.view[rays] == index)
            for position, bound in zip(
                here.tolist(), angles(view.oracle, bundle.rays[rays[here]], far[here]), strict=True
            ):
                values[position] = bound
        circuits = first + bundle.view[rays] * self._deepest + iterations - 1
        return [Run(shots, circuit, bound) for circuit, bound in zip(circuits.tolist(), values, strict=True)]

    def _value(self, seen: Surface, lit: NDArray[np.bool_] | None) -> dict[str, Any]:
        ids = np.array(list(self._own) or range(len(self.scene)))
        light: list[bool | None] = [None] * len(seen.depth)
        for ray, value in zip(seen.met.tolist(), [] if lit is None else lit.tolist(), strict=lit is not None):
            light[ray] = value
        columns = (
            ids[np.minimum(seen.item, len(ids) - 1)],
            seen.depth,
            *seen.point.T,
            *seen.normal.T,
        )
        hits: list[list[int | bool | None] | None] = [
            None if depth == MISS else [*row, shine]
            for depth, row, shine in zip(seen.depth.tolist(), np.stack(columns, axis=1).tolist(), light, strict=True)
        ]
        return {
            "depth": self._image([None if hit is None else hit[1] for hit in hits]),
            "hits": self._image(hits),
        }

    def _partial(self, known: Searches) -> list[list[Any]] | None:
        if len(known.depth) > _SHOWN_PIXELS:
            return None
        return self._image([None if depth == MISS else depth for depth in known.depth.tolist()])

    def _image(self, values: Sequence[Any]) -> list[list[Any]]:
        """Row by row."""
        return [list(values[row * self.width : (row + 1) * self.width]) for row in range(self.height)]

    @property
    def _light(self) -> tuple[int, int, int]:
        return self.light_x, self.light_y, self.light_z

    @property
    def _lights(self) -> bool:
        return any(self._light)

    @property
    def _deepest(self) -> int:
        return max_iterations(len(self.scene))

    @cached_property
    def _camera_views(self) -> list[View]:
        return views(self.camera, self.scene, self.grid_bits)

    @cached_property
    def _views(self) -> list[View]:
        light = [light_view(self._light, self.scene, self.grid_bits)] if self._lights else []
        return self._camera_views + light

    @cached_property
    def _primary(self) -> Bundle:
        return camera_rays(self.camera, self._camera_views, self._pixels())

    def _secondary(self, seen: Surface) -> Bundle:
        """Rays from just outside each surface point to the light."""
        return light_rays(self._light, self._views[-1], (seen.point + seen.normal)[seen.met])

    @cached_property
    def _truth(self) -> Nearest:
        return traced(self._primary)

    @cached_property
    def _reference(self) -> tuple[Bundle, frozenset[int]]:
        """The reference ray as a bundle of its own, and the boxes that it meets."""
        bundle = camera_rays(self.camera, self._camera_views, np.array([self.reference_ray()]))
        corners = bundle.corners[bundle.view[0]]
        found = depths(corners, bundle.rays.origins[0], bundle.rays.directions[0])
        return bundle, frozenset(np.flatnonzero((found != MISS) & (found <= bundle.far[0])).tolist())

    def _pixels(self) -> Ints:
        """Column and row of each pixel of the tile, row by row.      int64 (num_pixels, 2)."""
        rows, columns = np.divmod(np.arange(self.width * self.height), self.width)
        return np.stack((self.x0 + columns, self.y0 + rows), axis=1)


@dataclass
class _Work:
    """What a run of the family is done with, and what it has done."""

    shots: int
    generator: np.random.Generator
    steps: tuple[int, ...]
    num_rounds: int = 0
    num_circuits: int = 0
    num_samples: int = 0
    num_queries: int = 0

    def searches(self, bundle: Bundle, *, any_hit: bool = False) -> Searches:
        return Searches(bundle.far, np.zeros(len(bundle.far), dtype=np.int64), self.steps, any_hit=any_hit)


def _verified(bundle: Bundle, corners: Ints, rays: Ints, answers: tuple[Ints, Ints]) -> tuple[Ints, Ints, Ints]:
    """Answers (position in ``rays``, item) with the depth of each, worked out classically."""
    which, items = answers
    asked = rays[which]
    some = bundle.rays[asked]
    return which, items, depths(corners[bundle.view[asked], items], some.origins, some.directions)
