"""What comes of asking a network for pairs, tried before anybody asks: in a run of its own, with other luck.

How long a policy of ``Entanglement-v1`` takes for so many pairs has no closed form: shares follow queues, and others
compete. So each flow is tried: it asks for 1, 2, 4, 8 and 16 pairs at moments of all kinds, while other flows miss
something or nothing, and then without end, among others that do so as well and alone. A quote is what came of the
moments that were most like the present one, in what other flows miss, too (ours; nearest neighbours, k of them); what
goes beyond is between the paces of the two, by how many of the others will ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtri

from policies.allocators.pairs.line import Rehearsal
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.guests import Guests
from policies.envs.entanglement.play import advance, begin
from policies.envs.entanglement.state import Rule
from policies.envs.qnum.utilities import Array

SIZES = (1, 2, 4, 8, 16)
"""Pairs that are asked for at once; more are asked for one part after the other."""
PART = SIZES[-1]
MOMENTS, NEAREST = 160, 40
"""Trials of each size, and those of them that a quote looks at."""
MOST_WINDOWS = 20
"""Deadlines of the world that a trial may take."""
PACE = 300
"""Pairs of trials without end."""
ENDLESS = 10**9
"""Pairs of somebody who never has enough."""
BUSY, MOST_WANTED = 0.5, 128
"""Chance that another flow misses something when a trial begins, and how much at most."""
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
        seen: what moments looked like, by size, float64 (M, 5): :func:`seen` and :func:`crowd`.
        waits: slots until the first, second, … pair, float64 (M, size).   fidelities: of these, NaN for those that did
            not come, (M, size).
        busy, alone: without end, while all other flows ask, or none.
    """

    seen: dict[int, Array]
    waits: dict[int, Array]
    fidelities: dict[int, Array]
    busy: Endless
    alone: Endless

    def like(self, now: Array, pairs: int, crowded: Crowded) -> tuple[Array, Array]:
        """Slots until so many pairs are there, and fidelities of the first of them, in moments like this one.

        Args:
            now: as of ``seen``.   crowded: what share of the other flows ask over so many slots.

        Returns:
            float64 (n,), and (n, as many as were asked for at once), n at most NEAREST.
        """
        size = next((size for size in SIZES if size >= pairs), PART)
        past = self.seen[size]
        scale = past.std(axis=0) + 1e-3
        near = np.argsort((((past - now) / scale) ** 2).sum(axis=1), kind="stable")[:NEAREST]
        first = min(pairs, size)
        waits = self.waits[size][near, first - 1]
        if pairs > first:
            waits = waits + self.more(pairs - first, crowded, near.size)
        return waits, self.fidelities[size][near, :first]

    def more(self, pairs: int, crowded: Crowded, times: int = NEAREST) -> Array:
        """Slots for so many pairs without end: by how many others ask, and in different parts of the trials.

        The rate lies between those of the two trials as far as the others ask. float64 (times,)
        """
        slots = pairs * self.busy.mean
        for _ in range(3):
            share, sd = crowded(slots)
            slots = pairs * float(self._gap(np.array(share)))
        normal = ndtri((np.arange(times) + 0.5) / times)
        shares = np.clip(share + sd * np.roll(normal, times // 3), 0.0, 1.0)  # of no order with the parts of trials
        off = self.busy.off(pairs, times) * shares + self.alone.off(pairs, times) * (1.0 - shares)
        found: Array = np.maximum(pairs * self._gap(shares) * (1.0 + off), 1.0)
        return found

    def _gap(self, share: Array) -> Array:
        """Slots between pairs while that share of the others ask."""
        found: Array = 1.0 / (share / self.busy.mean + (1.0 - share) / self.alone.mean)
        return found


@dataclass(frozen=True, eq=False)
class Endless:
    """A flow that asks without end.

    Attributes:
        gaps: slots between one pair and the next.   steady: fidelities.   float64 (n,)
    """

    gaps: Array
    steady: Array

    @property
    def mean(self) -> float:
        """Slots between pairs."""
        return float(self.gaps.mean()) if self.gaps.size else NEVER

    def off(self, pairs: int, times: int) -> Array:
        """By what part so many pairs take longer than usual, in so many different parts; float64 (times,)."""
        if self.gaps.size < 2:
            return np.zeros(times)
        span = min(pairs, self.gaps.size // 2)
        until = np.concatenate(([0.0], np.cumsum(self.gaps)))
        start = np.linspace(0, self.gaps.size - span, times).astype(np.int64)
        found: Array = ((until[start + span] - until[start]) / (span * self.mean) - 1.0) * np.sqrt(span / pairs)
        return found

    def rehearsal(self, slot_s: float) -> Rehearsal:
        """The long run, as of a table."""
        if self.gaps.size < 2:
            return Rehearsal(0.0, 1.0, (0.25,))
        dispersion = float(self.gaps.var()) / self.mean**2
        return Rehearsal(1.0 / (self.mean * slot_s), dispersion, tuple(np.sort(self.steady)[::4].tolist()))


Crowded = Callable[[float], tuple[float, float]]
"""Slots -> mean and standard deviation of the share of the other flows that ask, over so long from now on."""


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


def crowd(missing: Sequence[int]) -> Array:
    """Of what other flows miss: how many of them miss something, and the logarithm of how much in all."""
    return np.array([sum(each > 0 for each in missing), np.log1p(sum(missing))], np.float64)


def tried(past: Episode, rule: Rule, pair: int, min_fidelity: float, others: Sequence[int] = ()) -> Trials:
    """Trials of a flow in an episode, over and over with other luck until there are enough.

    Args:
        pair: of the episode's demand.   min_fidelity: that is asked for.
        others: pairs of the other flows, each of which wants something or nothing when a trial begins.
    """
    chance = np.random.default_rng((75, pair))
    sizes = list(SIZES) * MOMENTS
    rows: dict[int, list[tuple[Array, _Flow]]] = {size: [] for size in SIZES}
    endless: tuple[list[_Flow], list[_Flow]] = ([], [])  # while all others ask, while none does
    for act in range(MOST_ACTS):
        short = [sum(max(0, len(run.came) - 1) for run in runs) < PACE for runs in endless]
        if not sizes and not any(short):
            break
        setting = past.setting.but(physics_seed=(past.setting.physics_seed + LUCK * (act + 1)) % 2**31)
        guests = Guests(begin(replace(past, setting=setting), rule, trace=True))
        window = setting.slots(setting.deadline_s)
        end = max(setting.num_slots, 8 * window)
        advance(guests.run, window)
        while sizes and guests.run.slot < end // 2:
            size = sizes.pop()
            rivals = [_Flow(guests, each, _wanted(chance)) for each in others]
            _serve(rivals, guests, guests.run.slot + 1 + int(chance.exponential(window)))
            now = np.append(seen(guests, pair), crowd([each.missing for each in rivals]))
            own = _Flow(guests, pair, size, min_fidelity)
            _serve([own, *rivals], guests, own.begun + MOST_WINDOWS * window, own)
            rows[size].append((now, own))
            for each in (own, *rivals):
                each.leave()
        by_itself = short[1] and (act % 2 == 1 or not short[0])
        if short[by_itself]:
            own = _Flow(guests, pair, PACE + 1, min_fidelity)
            _serve([own, *(_Flow(guests, each, ENDLESS) for each in others if not by_itself)], guests, end, own)
            endless[by_itself].append(own)
    busy, alone = map(_endless, endless)
    gap = 0.5 * (busy.mean + alone.mean)
    came = {size: np.array([own.whole(gap) for _, own in each]) for size, each in rows.items()}
    return Trials(
        {size: np.array([now for now, _ in each]) for size, each in rows.items()},
        {size: each[:, :, 0] for size, each in came.items()},
        {size: each[:, :, 1] for size, each in came.items()},
        busy,
        alone,
    )


def _endless(runs: Sequence[_Flow]) -> Endless:
    gaps = [gap for run in runs for gap in np.diff([slot for slot, _ in run.came])]
    return Endless(np.array(gaps), np.array([fidelity for run in runs for _, fidelity in run.came]))


def _wanted(chance: np.random.Generator) -> int:
    """Pairs that a rival wants: nothing as often as something, and that of any order of magnitude."""
    return int(2.0 ** chance.uniform(0.0, np.log2(MOST_WANTED))) if chance.random() < BUSY else 0


@dataclass(eq=False)
class _Flow:
    """Somebody who asks for pairs until all are there.

    Attributes:
        begun: slot from which on.   over: slots after which it was given up.
        came: slots until each was there, and its fidelity.
    """

    guests: Guests
    pair: int
    missing: int
    min_fidelity: float = 0.25
    came: list[tuple[float, float]] = field(default_factory=list)
    row: int = -1
    again: int = 0

    def __post_init__(self) -> None:
        self.begun, self.over = self.guests.run.slot, 0

    def ask(self) -> None:
        """As a flow of leases does."""
        self.row, self.again = asked_anew(self.guests, self.pair, self.row, self.missing, self.min_fidelity, self.again)

    def leave(self) -> None:
        """Ask for nothing more."""
        self.over = self.guests.run.slot - self.begun
        if self.row >= 0:
            self.guests.leave(self.row)

    def whole(self, gap: float) -> list[tuple[float, float]]:
        """What came; pairs that had not come when this was given up follow so many slots after each other."""
        return self.came + [(min(NEVER, self.over + number * gap), np.nan) for number in range(1, self.missing + 1)]


def _serve(flows: Sequence[_Flow], guests: Guests, until: int, own: _Flow | None = None) -> None:
    """Serve these flows until a slot, or until one of them has all."""
    while guests.run.slot < until and (own is None or own.missing):
        for flow in flows:
            if guests.run.slot >= flow.again:
                flow.ask()
        advance(guests.run, min([until, *(flow.again for flow in flows)]))
        by_row = {flow.row: flow for flow in flows if flow.row >= 0}
        for slot, row, fidelity in guests.came():
            if row in by_row:
                flow = by_row[row]
                flow.came.append((slot + 1.0 - flow.begun, fidelity))
                flow.missing -= 1


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
