"""What came of a run: delivery, contention in three readings, latency, fidelity, and what was wasted.

Only requests whose time is over within the episode count, so that nobody gains by asking late. The paper names delivery
and contention ("frequency of simultaneous entanglement requests") and defines neither further; the readings are ours.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import Run


@dataclass(frozen=True)
class Metrics:
    """Of a run; what nothing is known of is NaN.

    Attributes:
        delivery: requests served in full before their time was over, of all.
        contention_literal: (slot, link) with two or more simultaneous claims, of those with one or more (primary).
        contention_blocked: probes that failed because of others, of those that would have succeeded alone.
        contention_requests: requests that this happened to at least once, of all.
        latency_mean_s, latency_p95_s: from arrival to the last pair, of requests that were served.
        fidelity: mean over end-to-end pairs delivered to requests that count.
        wasted: pairs of links that ended in nothing, of those made.   num_requests, num_delivered: that count.
        pairs_hz: end-to-end pairs a second that these requests were given.   made, overflown, aged, used, burnt,
            purified, lost: pairs of links in the whole episode, by what became of them.
    """

    delivery: float
    contention_literal: float
    contention_blocked: float
    contention_requests: float
    latency_mean_s: float
    latency_p95_s: float
    fidelity: float
    wasted: float
    num_requests: int
    num_delivered: int
    pairs_hz: float
    made: int
    overflown: int
    aged: int
    used: int
    burnt: int
    purified: int
    lost: int

    def document(self) -> dict[str, float | None]:
        """By name, with null for NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def metrics(run: Run, begin: int = 0) -> Metrics:
    """Metrics of a run until now.

    Args:
        begin: requests that came before this slot do not count (tallies of links do).
    """
    state, plan = run.state, run.plan
    counted = (plan.deadline <= run.slot) & (plan.arrival >= begin)
    done = counted & (state.status == states.DELIVERED)
    latency_s = (state.done_slot[done] - plan.arrival[done]) * plan.slot_s
    pairs = int((plan.num_pairs - state.left)[counted].sum())
    tally = [int(each) for each in state.tally]
    probes = {name: tally[getattr(states, name)] for name in ("ABLE", "BLOCKED", "CLAIMED", "CONTENDED")}
    fates = [tally[each] for each in range(states.LOST + 1)]
    return Metrics(
        _part(done.sum(), counted.sum()),
        _part(probes["CONTENDED"], probes["CLAIMED"]),
        _part(probes["BLOCKED"], probes["ABLE"]),
        _part((state.blocked[counted] > 0).sum(), counted.sum()),
        float(latency_s.mean()) if latency_s.size else math.nan,
        float(np.quantile(latency_s, 0.95)) if latency_s.size else math.nan,
        _part(state.fidelity[counted].sum(), pairs),
        1.0 - _part(tally[states.USED], tally[states.MADE]),
        int(counted.sum()),
        int(done.sum()),
        pairs / max(plan.slot_s * (run.slot - begin), plan.slot_s),
        *fates,
    )


def _part(some: float, whole: float) -> float:
    return float(some) / float(whole) if whole else math.nan
