"""Amplitude amplification with an unknown number of hits, minimum finding with it, and when to stop.

Sources: Boyer, Brassard, Hoyer, Tapp 1998 (BBHT), Fortschr. Phys. 46 493: amplification where the number of hits is not
known; Durr and Hoyer 1996, arXiv quant-ph/9607014: minimum finding by searching below the best so far. Ours: BBHT draws
its numbers of iterations at random and stops on an average; here they are one fixed :func:`schedule` for all rays,
chosen so that a search that runs through it without a hit proves that there is none, but for a stated chance. That
chance is rigorous for every number of hits, the proof's length is known beforehand, rays in lock step share their
circuits, and the expected number of queries is a small exact sum (:func:`expected_queries`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from circuits.raytracing.scene import MISS, Ints

Floats = NDArray[np.float64]

_SHARPNESS = 2
"""Power mean by which the schedule weighs the numbers of hits (ours: 1 and 4 gave longer schedules at N = 512)."""


def success_probability(num_hits: int, num_items: int, iterations: int) -> float:
    """Chance of a hit after j iterations, sin^2((2 j + 1) theta) with sin^2 theta = num_hits/num_items [BBHT]."""
    return math.sin((2 * iterations + 1) * math.asin(math.sqrt(num_hits / num_items))) ** 2


def max_iterations(num_items: int) -> int:
    """Largest number of iterations that BBHT draws: below ceil(sqrt N)."""
    return math.ceil(math.sqrt(num_items)) - 1


def num_queries(iterations: int) -> int:
    """Oracle queries of one shot. A shot without iterations is a classical sample: one test of a random item."""
    return max(1, iterations)


@lru_cache(maxsize=64)
def schedule(num_items: int, delta: float, shots: int) -> tuple[int, ...]:
    """Numbers of iterations, run one after the other until there is a hit.

    The next one is always the one that takes most off sum_t L_t^2 per query, where L_t is the chance that all runs so
    far missed t hits; the schedule ends once max_t L_t < delta, t = 1..N.        (ours)

    Args:
        num_items: N.
        delta: chance of missing a hit, whatever the number of hits.
        shots: of each run.
    """
    hits = np.arange(1, num_items + 1)
    choices = range(max_iterations(num_items) + 1)
    angles = np.arcsin(np.sqrt(hits / num_items))
    misses = np.array([np.cos((2 * iterations + 1) * angles) ** (2 * shots) for iterations in choices])
    queries = np.array([num_queries(iterations) for iterations in choices])
    silent, chosen = np.ones(num_items), []
    while silent.max() >= delta:
        gains = np.log(((silent * misses) ** _SHARPNESS).sum(axis=1) / (silent**_SHARPNESS).sum()) / queries
        chosen.append(int(np.argmin(gains)))
        silent = silent * misses[chosen[-1]]
    return tuple(chosen)


@lru_cache(maxsize=65536)
def expected_queries(groups: tuple[int, ...], nearest_ends: bool, num_items: int, delta: float, shots: int) -> float:
    """Expected queries of minimum finding along one ray, the proof that nothing nearer exists included.

    A Markov chain over the number of hits that are left: a successful run leaves those nearer than the nearest of its
    shots. Exact, but for what happens after a search has wrongly given up (a chance of delta).        (ours)

    Args:
        groups: number of hits at each depth that occurs, nearest first.
        nearest_ends: whether a hit at the first of these depths needs no proof, as nothing can be nearer.
        num_items: N.
        delta: as of :func:`schedule`.
        shots: of each run.
    """
    steps = schedule(num_items, delta, shots)
    ends = np.cumsum(groups, dtype=np.int64)  # hits up to each depth
    expected = [float(shots * sum(map(num_queries, steps)))]
    for depth, total in enumerate(ends.tolist()):
        left = np.concatenate(([0], ends[: depth + 1]))
        after = np.array([0.0 if nearest_ends and state == 0 else expected[state] for state in range(depth + 1)])
        cost, silent = 0.0, 1.0
        for iterations in steps:
            success = success_probability(total, num_items, iterations)
            reached = (1.0 - success * left / total) ** shots  # no shot among the hits nearer than each depth
            cost += silent * (shots * num_queries(iterations) + float((reached[:-1] - reached[1:]) @ after))
            silent *= float(reached[-1])
        expected.append(cost)
    return expected[-1]


def expected_existence_queries(num_hits: int, num_items: int, delta: float, shots: int) -> float:
    """Expected queries until a hit, or the proof that there is none."""
    cost, silent = 0.0, 1.0
    for iterations in schedule(num_items, delta, shots):
        cost += silent * shots * num_queries(iterations)
        if num_hits:
            silent *= (1.0 - success_probability(num_hits, num_items, iterations)) ** shots
    return cost


class Searches:
    """Searches along many rays in lock step: what is known of each so far.

    Attributes:
        far: depth up to which (inclusive) a nearer hit is still looked for.      int64 (num_rays,)
        depth: of the nearest verified hit; ``MISS`` if there is none.      int64 (num_rays,)
        item: that hit.      int64 (num_rays,)
        done: nothing nearer exists, but for a chance of at most delta.      bool (num_rays,)
        num_queries: oracle queries so far, classical samples included.
    """

    def __init__(self, far: Ints, near: Ints, steps: Sequence[int], *, any_hit: bool = False) -> None:
        """Nothing is known yet.

        Args:
            far: largest depth of each ray.      int64 (num_rays,)
            near: smallest one: a hit there ends the search.      int64 (num_rays,)
            steps: the schedule.
            any_hit: whether the first hit is good enough, as it is for a shadow.
        """
        self.far = far.copy()
        self.depth = np.full(len(far), MISS, dtype=np.int64)
        self.item = np.full(len(far), MISS, dtype=np.int64)
        self.done = far < near
        self.num_queries = 0
        self._near = near
        self._steps = np.array(steps, dtype=np.int64)
        self._step = np.zeros(len(far), dtype=np.int64)
        self._any_hit = any_hit

    def due(self) -> tuple[Ints, Ints]:
        """The rays that are not done, and the number of iterations that each of them is to run next."""
        live = np.flatnonzero(~self.done)
        return live, self._steps[self._step[live]]

    def update(self, rays: Ints, iterations: Ints, shots: int, answers: tuple[Ints, Ints, Ints]) -> None:
        """Take what one run of each of these rays answered.

        Every answer has been verified by one classical test, so noise can cost time and pixels but invents no hit.

        Args:
            rays: those that ran.
            iterations: of each.
            shots: of each.
            answers: of every shot that matters: position in ``rays``, item, depth of that item or ``MISS``.
        """
        self.num_queries += int(shots * np.maximum(1, iterations).sum())
        which, items, found = answers
        real = (found != MISS) & (found <= self.far[rays[which]])
        which, items, found = which[real], items[real], found[real]
        order = np.lexsort((items, found, which))
        which, first = np.unique(which[order], return_index=True)
        items, found = items[order][first], found[order][first]
        lucky = rays[which]
        self._step[rays] += 1
        self._step[lucky] = 0
        self.depth[lucky], self.item[lucky], self.far[lucky] = found, items, found - 1
        self.done[rays] = self._step[rays] >= len(self._steps)
        self.done[lucky] = self._any_hit | (self.far[lucky] < self._near[lucky])
