"""Means with a fading memory, and three depths: a backend, a group of programs there, one program there.

A depth with few observations leans on the one above it (empirical-Bayes shrinkage, ours): with n observations of mean
m, it says (n m + STRENGTH * parent) / (n + STRENGTH). Old observations fade once there are more than MEMORY, so that
drift is followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

STRENGTH = 1.0
"""Observations that the depth above is worth (ours)."""

MEMORY = 50.0
"""Most observations that a mean remembers (ours)."""


@dataclass(frozen=True)
class Mean:
    """A mean with a fading memory. ``weight`` is the number of observations it stands for."""

    weight: float = 0.0
    value: float = 0.0

    def add(self, value: float) -> Mean:
        """The mean with one more value in it."""
        weight = min(self.weight, MEMORY - 1.0) + 1.0
        return Mean(weight, self.value + (value - self.value) / weight)

    def shrunk(self, parent: float, strength: float = STRENGTH) -> float:
        """The mean, pulled towards ``parent``, worth ``strength`` observations, as far as its own are few."""
        return (self.weight * self.value + strength * parent) / (self.weight + strength)


def depths(backend: str, group: str, program_hash: str) -> Iterator[str]:
    """What is known of a program on a backend stands under these keys, the widest first."""
    yield backend
    yield f"{backend}|{group}"
    yield f"{backend}|{group}|{program_hash}"
