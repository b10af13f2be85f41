"""A circuit too wide for one small QPU: over pairs, in pieces, or on a larger QPU. What each costs, and which is best.

All three are estimated alike and priced by the same objective as every placement (``orchestrator.placement.cost``).
Pairs: the allocator is asked for quotes; latency is the time in which 9 times in 10 all pairs are there, and the
shots, whose schedule has the messages in it; fidelity is the product of those of a shot's pairs and of what is local:
exact for Werner pairs whose errors do not undo each other, a lower bound otherwise. Pieces: γ² times the shots, on all
QPUs at once, for the same standard error of an expectation value. A larger QPU: its queue, its calibration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from backends.pricing import Price
from orchestrator.entanglement import EntanglementAllocator, PairDemand, PairQuote
from orchestrator.job import Estimate, Objective
from orchestrator.placement import Scales, cost


@dataclass(frozen=True)
class Qpu:
    """What a QPU does with a shot, its pairs apart.

    Attributes:
        shot_s: of one shot, with what lies between two.   fidelity: of the counts, by its calibration.
        price: of its time and shots.   power_w: while it runs.   queue_s: before it begins.
    """

    shot_s: float
    fidelity: float
    price: Price
    power_w: float
    queue_s: float = 0.0

    def runs(self, shots: float, *, queue_s: float, fidelity: float, num_qpus: int) -> Estimate:
        """So many shots on each of some QPUs of this kind, at the same time."""
        busy_s = shots * self.shot_s
        price = self.price.cost_usd(num_tasks=1, shots=math.ceil(shots), run_s=busy_s)
        return Estimate(
            service_s=busy_s,
            fidelity=fidelity,
            energy_j=num_qpus * self.power_w * busy_s,
            cost_usd=num_qpus * price,
            queue_s=queue_s,
            device_s=busy_s,
        )


@dataclass(frozen=True)
class OverPairs:
    """The estimate of a distributed run, and the quotes behind it."""

    estimate: Estimate
    quotes: tuple[PairQuote, ...]


def over_pairs(
    allocator: EntanglementAllocator,
    demands: Sequence[PairDemand],
    shots: int,
    qpu: Qpu,
    num_qpus: int,
    *,
    pair_usd: float = 0.0,
) -> OverPairs:
    """With teleported gates.

    Args:
        demands: of the whole job, one for each two QPUs.   shots: repetitions.   qpu: each of them.
        pair_usd: dollars for one unit of the allocator's own price of a pair.
    """
    quotes = allocator.quote(demands)
    ready_s = max((quote.ready_p90_s for quote in quotes), default=0.0)
    log_fidelity = sum(
        demand.num_pairs / shots * math.log(quote.fidelity_mean) for demand, quote in zip(demands, quotes, strict=True)
    )
    runs = qpu.runs(
        shots,
        queue_s=qpu.queue_s + ready_s,
        fidelity=math.exp(log_fidelity) * qpu.fidelity**num_qpus,
        num_qpus=num_qpus,
    )
    paid = pair_usd * sum(q.price * demand.num_pairs for demand, q in zip(demands, quotes, strict=True))
    return OverPairs(replace(runs, cost_usd=runs.cost_usd + paid), tuple(quotes))


def in_pieces(gamma: float, shots: int, qpu: Qpu, num_qpus: int) -> Estimate:
    """Cut: γ² times the shots on every QPU, for the standard error that so many uncut ones have."""
    return qpu.runs(gamma * gamma * shots, queue_s=qpu.queue_s, fidelity=qpu.fidelity**num_qpus, num_qpus=num_qpus)


def on_a_larger(shots: int, qpu: Qpu) -> Estimate:
    """Whole, on one QPU that is wide enough, after its queue."""
    return qpu.runs(shots, queue_s=qpu.queue_s, fidelity=qpu.fidelity, num_qpus=1)


def costs(ways: Mapping[str, Estimate], objective: Objective, scales: Scales) -> dict[str, float]:
    """What each way costs, by its name; the best first."""
    found = {
        name: cost(
            objective,
            scales,
            latency_s=way.elapsed_s,
            energy_j=way.energy_j,
            fidelity=way.fidelity,
            cost_usd=way.cost_usd,
        )
        for name, way in ways.items()
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))
