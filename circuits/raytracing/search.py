"""Amplitude amplification with an unknown number of hits, and when to stop it.

Sources: Boyer, Brassard, Hoyer, Tapp 1998 (BBHT), Fortschr. Phys. 46 493: growing random numbers of iterations; Durr
and Hoyer 1996, arXiv quant-ph/9607014: minimum finding by searching below the best so far. Ours: the stop rule, which
is rigorous for every number of hits, and several shots a circuit.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from circuits.raytracing.scene import Box

GROWTH = 6.0 / 5.0
"""BBHT's lambda."""


def success_probability(num_hits: int, num_items: int, iterations: int) -> float:
    """Chance of a hit after j iterations, sin^2((2 j + 1) theta) with sin^2 theta = num_hits/num_items [BBHT]."""
    return math.sin((2 * iterations + 1) * math.asin(math.sqrt(num_hits / num_items))) ** 2


def max_iterations(num_items: int) -> int:
    """Largest number of iterations that BBHT draws: below ceil(sqrt N)."""
    return math.ceil(math.sqrt(num_items)) - 1


@dataclass
class PixelSearch:
    """Search of the nearest box along one ray: what is known so far.

    Attributes:
        x: pixel column.
        y: pixel row.
        far: depth below which (inclusive) a nearer box is still looked for; -1 when none can exist.
        best: depth of the nearest verified hit; None for background so far.
        done: nothing nearer exists, but for a chance of at most delta.
        num_queries: oracle queries so far, those of classical samples included.
    """

    x: int
    y: int
    far: int
    num_items: int
    delta: float
    best: int | None = None
    done: bool = False
    num_queries: int = 0
    _width: float = 1.0
    _silence: list[float] = field(default_factory=list)  # chance of all misses so far, for 1, 2, ... hits

    def __post_init__(self) -> None:
        self._restart()

    def draw_iterations(self, generator: random.Random) -> int:
        """A uniform number of iterations below the present width."""
        return generator.randrange(math.ceil(self._width))

    def update(self, scene: tuple[Box, ...], answers: dict[int, int], iterations: int) -> None:
        """Take the primitives that a run answered with, each with its number of shots.

        Every answer is verified by one classical test, so noise can cost time and pixels but never invents a hit.
        """
        shots = sum(answers.values())
        self.num_queries += shots * max(1, iterations)
        hits = [scene[index].depth for index in answers if scene[index].hit(self.x, self.y, self.far)]
        if hits:
            self.best = min(hits)
            self.far = self.best - 1
            self.done = self.far < 0
            self._restart()
            return
        for index in range(self.num_items):
            miss = 1.0 - success_probability(index + 1, self.num_items, iterations)
            self._silence[index] *= miss**shots
        self.done = max(self._silence) < self.delta
        self._width = min(GROWTH * self._width, math.sqrt(self.num_items))

    def _restart(self) -> None:
        self._width = 1.0
        self._silence = [1.0] * self.num_items
