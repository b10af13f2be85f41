"""What comes of asking a network for pairs, tried before anybody asks: in a run of its own, with other luck.

How long a policy of ``Entanglement-v1`` takes for so many pairs has no closed form: shares follow queues, and others
compete. So each flow is tried: it asks for 1, 2, 4, 8 and 16 pairs at moments of all kinds, and then without end. A
quote is what came of the moments that were most like the present one (ours; nearest neighbours, k of them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from policies.allocators.pairs.line import Rehearsal
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.guests import Guests
from policies.envs.entanglement.play import advance, begin
from policies.envs.entanglement.state import Rule
from policies.envs.entanglement.topology import Reals
from policies.envs.qnum.utilities import Array

SIZES = (1, 2, 4, 8, 16)
"""Pairs that are asked for at once; more are asked for one part after the other."""
PART = SIZES[-1]
MOMENTS, NEAREST = 80, 40
"""Trials of each size, and those of them that a quote looks at."""
PACE = 300
"""Pairs of trials without end."""
BUSY = 0.5
"""Part of the time in which another flow asks, too."""
MOST_ACTS = 40
"""Episodes that trials may take."""
LUCK = 104_729
"""Between the physics seeds of one act and the next."""
NEVER = 1e15
"""Slots after which what does not come is said to come."""
NOTHING = 2**62
"""Slot at which a flow that misses nothing asks again."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Of one flow.

    Attributes:
        seen: what moments looked like, by size, float64 (M, 3).   waits: slots until the first, second, … pair,
            float64 (M, size).   fidelities: of these, NaN for those that did not come, (M, size).
        gaps: slots between one pair and the next where there is no end.   steady: their fidelities.   float64 (n,)
    """

    seen: dict[int, Array]
    waits: dict[int, Array]
    fidelities: dict[int, Array]
    gaps: Array
    steady: Array

    def rehearsal(self, slot_s: float) -> Rehearsal:
        """The long run, as of a table."""
        if self.gaps.size < 2:
            return Rehearsal(0.0, 1.0, (0.25,))
        mean = float(self.gaps.mean())
        return Rehearsal(
            1.0 / (mean * slot_s), float(self.gaps.var()) / mean**2, tuple(np.sort(self.steady)[::4].tolist())
        )

    def like(self, now: Array, pairs: int) -> tuple[Array, Array]:
        """Slots until so many pairs are there, and fidelities of the first of them, in moments like this one.

        Args:
            now: from :func:`seen`.

        Returns:
            float64 (NEAREST,), and (NEAREST, as many as were asked for at once).
        """
        size = next((size for size in SIZES if size >= pairs), PART)
        past = self.seen[size]
        scale = past.std(axis=0) + 1e-3
        near = np.argsort((((past - now) / scale) ** 2).sum(axis=1), kind="stable")[:NEAREST]
        first = min(pairs, size)
        waits = self.waits[size][near, first - 1] + self._more(pairs - first, near.size)
        return waits, self.fidelities[size][near, :first]

    def _more(self, pairs: int, times: int) -> Array:
        """Slots for so many pairs without end, in different parts of the trials."""
        if pairs == 0:
            return np.zeros(times)
        if self.gaps.size < 2:
            return np.full(times, NEVER)
        span = min(pairs, self.gaps.size // 2)
        until = np.concatenate(([0.0], np.cumsum(self.gaps)))
        start = np.linspace(0, self.gaps.size - span, times).astype(np.int64)
        mean = float(self.gaps.mean())
        off = until[start + span] - until[start] - span * mean
        found: Array = np.maximum(pairs * mean + off * np.sqrt(pairs / span), 1.0)
        return found


def seen(guests: Guests, pair: int, row: int = -1) -> Array:
    """Of a pair's candidate that is readiest: pairs on each of its links, logarithm of the least rate, longest queue.

    Args:
        row: of a request of its own, which does not stand in its way.
    """
    plan, state = guests.run.plan, guests.run.state
    queue = state.queue - guests.queued(row) if row >= 0 else state.queue
    paths = [plan.links[pair, path, :hops] for path, hops in enumerate(plan.hops[pair].tolist()) if hops]
    best = max(paths, key=lambda links: int(state.stock[links].min()))
    return np.array([state.stock[best].min(), np.log(state.rate[best].min() + 0.05), queue[best].max()], np.float64)


def tried(past: Episode, rule: Rule, pair: int, min_fidelity: float, others: Sequence[int] = ()) -> Trials:
    """Trials of a flow in an episode, over and over with other luck until there are enough.

    Args:
        pair: of the episode's demand.   min_fidelity: that is asked for.
        others: pairs of the other flows. Each asks for as many pairs, or none, in half of the trials' windows, and in
            all of them where there is no end: what a flow has in the long run is what it has when all want all.
    """
    chance = np.random.default_rng((75, pair))
    sizes = list(SIZES) * MOMENTS
    rows: dict[int, list[tuple[Array, Reals, Reals]]] = {size: [] for size in SIZES}
    gaps: list[float] = []
    steady: list[float] = []
    for act in range(MOST_ACTS):
        if not sizes and len(gaps) >= PACE:
            break
        setting = past.setting.but(physics_seed=(past.setting.physics_seed + LUCK * (act + 1)) % 2**31)
        guests = Guests(begin(replace(past, setting=setting), rule, trace=True))
        window = setting.slots(setting.deadline_s)
        end = max(setting.num_slots, 8 * window)
        advance(guests.run, window)
        while sizes and guests.run.slot < end // 2:
            if chance.random() < 0.5:
                advance(guests.run, guests.run.slot + 1 + int(chance.exponential(window)))
            size = sizes.pop()
            now, begun = seen(guests, pair), guests.run.slot
            came = _asked(guests, pair, size, min_fidelity, begun + 20 * window, _Rivals(guests, others, BUSY, chance))
            there = np.array(came + [(NEVER, np.nan)] * (size - len(came)))
            rows[size].append((now, there[:, 0] + 1.0 - begun, there[:, 1]))
        while guests.run.slot < end and len(gaps) < PACE:
            came = _asked(guests, pair, 10 * PART, min_fidelity, end, _Rivals(guests, others, 1.0, chance))
            gaps += np.diff([slot for slot, _ in came]).tolist()
            steady += [each for _, each in came]
    looks, waits, fidelities = (
        {size: np.array([each[what] for each in found]) for size, found in rows.items()} for what in range(3)
    )
    return Trials(looks, waits, fidelities, np.array(gaps), np.array(steady))


@dataclass(frozen=True)
class _Rivals:
    """Other flows, which ask for a random number of pairs, or for as many as there may be."""

    guests: Guests
    pairs: Sequence[int]
    busy: float
    chance: np.random.Generator

    def ask(self, until: int) -> None:
        """In this window, whatever they had before is over."""
        for pair in self.pairs:
            if self.chance.random() < self.busy:
                size = PART if self.busy == 1.0 else int(self.chance.choice(SIZES))
                self.guests.ask(pair, size, 0.25, until)


def _asked(
    guests: Guests, pair: int, size: int, min_fidelity: float, until: int, rivals: _Rivals
) -> list[tuple[float, float]]:
    """Slots and fidelities of pairs that are asked for until they are there, or until a slot."""
    found: list[tuple[float, float]] = []
    row, again = -1, 0
    while len(found) < size and guests.run.slot < until:
        row, again = asked_anew(guests, pair, row, size - len(found), min_fidelity, again)
        rivals.ask(again)
        advance(guests.run, again)
        found += [(float(slot), fidelity) for slot, whose, fidelity in guests.came() if whose == row]
    if row >= 0:
        guests.leave(row)
    return found


def asked_anew(guests: Guests, pair: int, row: int, missing: int, min_fidelity: float, again: int) -> tuple[int, int]:
    """A flow's request, in the place of its last: for what is missing, at most :data:`PART`, with the world's deadline.

    Args:
        row: of the last request, -1 for none.   again: slot at which that one is over, unless it has begun anew.

    Returns:
        Row and slot at which it is over; -1 and never if nothing is missing.
    """
    if row >= 0:
        guests.leave(row)
    if missing <= 0:
        return -1, NOTHING
    setting, slot = guests.run.episode.setting, guests.run.slot
    over = again if row >= 0 and again > slot else slot + setting.slots(setting.deadline_s)
    return guests.ask(pair, min(missing, PART), min_fidelity, over), over
