"""Quantum ray tracing of one image tile as an adaptive family.

Source: Santos, Bashford-Rogers, Barbosa, Navratil, "Towards quantum ray tracing", arXiv 2204.12797, known here through
the MEQC paper's summary (second-hand). Every ray searches its nearest primitive by Durr-Hoyer minimum finding; all rays
of the tile advance in lock step. Honest scaling: the gain over the classical tracer is in oracle queries alone; a scene
given as a list costs as many gates a query as it has primitives.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from qiskit import QuantumCircuit

from circuits.counts import probabilities
from circuits.family import Counts, Outcome, Round, Run
from circuits.parameters import choice, integer, real, refuse, validate
from circuits.raytracing.oracle import grover_circuit, ray_parameters
from circuits.raytracing.scene import Box, random_scene, trace
from circuits.raytracing.search import PixelSearch, max_iterations, success_probability


@dataclass(frozen=True)
class RayTracing:
    """Depth image of a tile of an orthographic view of random boxes.

    Attributes:
        width: pixels of the tile in x.
        height: pixels of the tile in y.
        x0: first column.
        y0: first row.
        num_primitives: boxes in the scene, N.
        scene_seed: which random scene.
        grid_bits: bits of a coordinate; the whole image has 2^grid_bits pixels a side.
        delta: chance of missing a nearer primitive in one search, for each possible number of hits.
    """

    width: int = integer(1, low=1, high=64, doc="tile width, pixels")
    height: int = integer(1, low=1, high=64, doc="tile height, pixels")
    x0: int = integer(0, low=0, high=63, doc="first column")
    y0: int = integer(0, low=0, high=63, doc="first row")
    num_primitives: int = choice(8, 4, 8, 16, 32, 64, 128, 256, 512, doc="boxes in the scene")
    scene_seed: int = integer(0, low=0, high=2**31 - 1, doc="which random scene")
    grid_bits: int = integer(4, low=2, high=6, doc="bits of a coordinate")
    delta: float = real(1e-3, low=1e-9, high=0.5, doc="chance of a wrong stop")

    def __post_init__(self) -> None:
        validate(self)
        size = 2**self.grid_bits
        for name, first, extent in (("width", self.x0, self.width), ("height", self.y0, self.height)):
            if first + extent > size:
                refuse(self, name, f"a tile inside the image of {size} pixels a side from {first} on", extent)

    @property
    def scene(self) -> tuple[Box, ...]:
        """The boxes, in the order of their index."""
        return random_scene(self.num_primitives, self.grid_bits, self.scene_seed)

    def circuits(self) -> Sequence[QuantumCircuit]:
        """Grover circuits of 1, 2, ... iterations; index i has i + 1. None of them depends on the ray."""
        deepest = max_iterations(self.num_primitives)
        return [grover_circuit(self.scene, self.grid_bits, number) for number in range(1, deepest + 1)]

    def build(self) -> QuantumCircuit:
        """The deepest circuit, bound to :meth:`reference_ray` without a far limit."""
        x, y = self.reference_ray()
        values = ray_parameters(x, y, self._far, self.grid_bits)
        free = self.circuits()[-1]
        bound: QuantumCircuit = free.assign_parameters({each: values[each.name] for each in free.parameters})
        return bound

    def score(self, counts: Counts) -> float:
        """Share of shots of ``build()`` whose primitive is hit by the reference ray, in [0, 1]."""
        x, y = self.reference_ray()
        answers = probabilities(counts).items()
        return min(1.0, sum(weight for bits, weight in answers if self.scene[int(bits, 2)].hit(x, y, self._far)))

    @property
    def ideal_score(self) -> float:
        """sin^2((2 j + 1) theta) of the reference ray."""
        return self._amplified(*self.reference_ray())

    def reference_ray(self) -> tuple[int, int]:
        """The pixel that ``build()`` traces: the first that the deepest circuit clearly amplifies (ours).

        Pixels of the tile come first, then the image's in reading order; a pixel counts if it succeeds with more than
        0.5 and gains at least 0.2 on guessing. If no pixel does, the one that gains most.
        """
        size = 2**self.grid_bits
        image = [(x, y) for y in range(size) for x in range(size)]
        for x, y in self._pixels() + image:
            success = self._amplified(x, y)
            if success > 0.5 and success - self._num_hits(x, y) / self.num_primitives >= 0.2:
                return x, y
        return max(image, key=lambda pixel: self._amplified(*pixel) - self._num_hits(*pixel) / self.num_primitives)

    @property
    def ideal_outcome_score(self) -> float:
        """1: without noise every pixel is right, but for a chance of about delta."""
        return 1.0

    def rounds(self, shots: int, seed: int) -> Generator[Round, Sequence[Counts], Outcome]:
        """Trace the tile: each round runs one circuit for every ray that is not done.

        A draw of zero iterations is one classical sample and is never sent to a device.

        Args:
            shots: per circuit; 16 is a good choice where a circuit costs more than a shot.
            seed: of the numbers of iterations and of the classical samples.
        """
        generator = random.Random(seed)
        scene = self.scene
        searches = [PixelSearch(x, y, self._far, len(scene), self.delta) for x, y in self._pixels()]
        num_rounds = num_circuits = num_samples = 0
        while any(not search.done for search in searches):
            asked: list[tuple[PixelSearch, int]] = []
            for search in searches:
                while not search.done:
                    iterations = search.draw_iterations(generator)
                    if iterations:
                        asked.append((search, iterations))
                        break
                    search.update(scene, {generator.randrange(len(scene)): 1}, 0)
                    num_samples += 1
            if not asked:
                break
            runs = [
                Run(shots, number - 1, ray_parameters(search.x, search.y, search.far, self.grid_bits))
                for search, number in asked
            ]
            left = sum(not search.done for search in searches)
            counts = yield Round(runs, partial={"depth": self._image(searches), "num_pixels_left": left})
            for (search, number), answer in zip(asked, counts, strict=True):
                search.update(scene, {int(bits, 2): shots_of for bits, shots_of in answer.items()}, number)
            num_rounds += 1
            num_circuits += len(asked)
        found = [search.best for search in searches]
        right = sum(depth == trace(scene, x, y, self._far) for depth, (x, y) in zip(found, self._pixels(), strict=True))
        value = {
            "depth": self._image(searches),
            "num_queries": sum(search.num_queries for search in searches),
            "num_circuits": num_circuits,
            "num_classical_samples": num_samples,
        }
        return Outcome(score=right / len(found), value=value, num_rounds=num_rounds)

    def _image(self, searches: Sequence[PixelSearch]) -> list[list[int | None]]:
        """Depth of the nearest hit known so far, row by row."""
        known = [search.best for search in searches]
        return [known[row * self.width : (row + 1) * self.width] for row in range(self.height)]

    @property
    def _far(self) -> int:
        return int(2**self.grid_bits - 1)

    def _pixels(self) -> list[tuple[int, int]]:
        columns, rows = range(self.x0, self.x0 + self.width), range(self.y0, self.y0 + self.height)
        return [(x, y) for y in rows for x in columns]

    def _num_hits(self, x: int, y: int) -> int:
        return sum(box.hit(x, y, self._far) for box in self.scene)

    def _amplified(self, x: int, y: int) -> float:
        return success_probability(
            self._num_hits(x, y), self.num_primitives, max_iterations(self.num_primitives)
        )  # fmt: skip
