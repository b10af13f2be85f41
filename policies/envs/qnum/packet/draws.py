"""The one source of chance: standard exponential numbers, in order, from PCG64 of a seed.

Reference and kernel take the same numbers in the same order, so that their events are the same. A coin with probability
p comes up if an exponential number exceeds -log p, since P(E > x) = exp(-x); see :func:`threshold`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray


class Draws:
    """Blocks of standard exponential numbers."""

    def __init__(self, seed: int, size: int = 1 << 14) -> None:
        self._chance = np.random.Generator(np.random.PCG64(seed))
        self.size = size

    def block(self) -> NDArray[np.float64]:
        """The next numbers; float64 (size,)."""
        return self._chance.standard_exponential(self.size)

    def one_by_one(self) -> Callable[[], float]:
        """A function that gives the next number."""

        def endless() -> Iterator[float]:
            while True:
                yield from self.block().tolist()

        return endless().__next__


def threshold(probability: float) -> float:
    """What an exponential number must exceed for a coin of that probability to come up."""
    return -math.log(probability) if probability > 0.0 else math.inf
