"""Linear regression, one observation at a time: recursive least squares with forgetting, from a Bayesian prior.

Textbook (such as Haykin, Adaptive Filter Theory, chapter 10); that an error counts as no more than a few standard
deviations, and that nothing is forgotten beyond the prior's ignorance, is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FORGETTING = 0.99
"""What an observation counts for after each further one (ours): the last hundred say most."""

NOISE = 0.3
"""Variance of one observation around the line (ours): logarithms of times on a busy machine."""

MOST_SURPRISE = 4.0
"""Standard deviations of an error that count, at most (ours)."""


@dataclass(frozen=True)
class Line:
    """value ≈ weights · x.

    Attributes:
        covariance: of the weights, row by row.   ignorance: its trace to begin with; forgetting stops there.
    """

    weights: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    ignorance: float

    @staticmethod
    def around(weights: Sequence[float], deviations: Sequence[float]) -> Line:
        """Before any observation: these weights, give or take."""
        rows = tuple(
            tuple(one * one if row == column else 0.0 for column in range(len(deviations)))
            for row, one in enumerate(deviations)
        )
        return Line(tuple(weights), rows, sum(one * one for one in deviations))

    def at(self, x: Sequence[float]) -> float:
        """The value expected there."""
        return _dot(self.weights, x)

    def add(self, x: Sequence[float], value: float) -> Line:
        """With one more observation."""
        spread = [_dot(row, x) for row in self.covariance]
        variance = NOISE + _dot(spread, x)
        most = MOST_SURPRISE * math.sqrt(variance)
        step = max(-most, min(most, value - self.at(x))) / variance
        weights = tuple(weight + one * step for weight, one in zip(self.weights, spread, strict=True))
        left = sum(row[n] - spread[n] ** 2 / variance for n, row in enumerate(self.covariance))
        fade = FORGETTING if left < FORGETTING * self.ignorance else 1.0
        rows = tuple(
            tuple((entry - one * other / variance) / fade for entry, other in zip(row, spread, strict=True))
            for row, one in zip(self.covariance, spread, strict=True)
        )
        return Line(weights, rows, self.ignorance)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
