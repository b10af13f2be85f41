"""Means with a fading memory at three depths: a backend, a group of programs there, one program there.

A depth with few observations leans on the one above it (empirical-Bayes shrinkage, ours): with n observations of mean
m, it says (n m + STRENGTH * parent) / (n + STRENGTH). Old observations fade once there are more than MEMORY, so that
drift is followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

STRENGTH = 1.0
"""Observations that the depth above is worth (ours)."""

MEMORY = 50.0
"""Most observations that a mean remembers (ours)."""

MAX_PROGRAMS = 10_000
"""Most (backend, program) pairs that are known on their own (ours)."""


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


def forget(known: dict[str, Any]) -> None:
    """Drop the programs that were not seen for longest, so that the model stays as large as it is useful."""
    if len(known) <= MAX_PROGRAMS:
        return
    programs = [key for key in known if key.count("|") == 2]
    for key in programs[: max(0, len(programs) - MAX_PROGRAMS)]:
        del known[key]
