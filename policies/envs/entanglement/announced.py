"""Demand that is known ahead: pairs that are announced are added to what links expect, a while before they are due.

All ours: pairs are expected on the first candidate of those who ask, evenly over that while. What is announced stands
beside a forecast, or a link's running mean, and not in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.topology import Reals

AHEAD_S = 4.0
"""How long before a batch job is due its links expect it (ours: best of 1 to 8 on networks for training)."""


@dataclass(frozen=True)
class Announced:
    """Pairs that links expect from the beginning of one slot to that of another.

    Attributes:
        links: of the path.   num_pairs: over the whole time.
    """

    begin: int
    end: int
    links: tuple[int, ...]
    num_pairs: int

    def rate_hz(self, slot_s: float) -> float:
        """Pairs a second of each link."""
        return self.num_pairs / ((self.end - self.begin) * slot_s)


def of_jobs(episode: Episode, ahead_s: float = AHEAD_S) -> list[Announced]:
    """Batch jobs of an episode, each from its announcement on, at most ``ahead_s`` before, and until it is due."""
    jobs, paths, setting = episode.demand.jobs, episode.paths, episode.setting
    begin = np.maximum(jobs.known_slot, jobs.due_slot - setting.slots(ahead_s))
    end = np.maximum(jobs.due_slot, begin + 1)
    links = [tuple(paths.links[pair, 0, : paths.hops[pair, 0]].tolist()) for pair in jobs.pair]
    return [Announced(*each) for each in zip(begin.tolist(), end.tolist(), links, jobs.num_pairs.tolist(), strict=True)]


def table(episode: Episode, known: Iterable[Announced]) -> Reals:
    """Pairs a second announced of each link at each share decision, float64 (decisions, E)."""
    setting = episode.setting
    every = setting.slots(setting.share_s)
    out = np.zeros((setting.num_slots // every + 1, episode.topology.num_links))
    for one in known:
        out[-(-one.begin // every) : -(-one.end // every), list(one.links)] += one.rate_hz(setting.slot_s)
    return out
