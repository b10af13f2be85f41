"""How a decision looks afterwards: what was measured beside what was expected, and what its choice cost. Pure.

The regret in hindsight is what the choice came to, less the least that any feasible candidate would have: the choice by
its measurement where there is one, everybody else by the cost model as it is now, with everything folded in that was
measured since. Waits stay those that were expected at the decision: what a queue would have been like with another
job in it, nobody measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backends.backend import Device
from orchestrator.cost_model.model import CostModel
from orchestrator.decision import Decision
from orchestrator.job import Estimate, Measurement, Result
from orchestrator.placement import Candidate, Request, Scales, cost

Devices = Mapping[str, Device]
"""By name: those that are served."""


@dataclass(frozen=True)
class Option:
    """One candidate, then and now.

    Attributes:
        share: of the shots that went there.   cost: expected at the decision.
        now: what the cost model says of it now; None where nobody serves it any more, or the decision is too old.
        cost_now: what the job would have cost there by that; None also of what was excluded.
    """

    backend: str
    share: float
    cost: float
    now: Estimate | None
    cost_now: float | None


@dataclass(frozen=True)
class Explanation:
    """One decision about a job, and how it looks now.

    Attributes:
        scales: what one unit of cost was.   cursor: last observation in the model that was asked for ``now``.
        measurement: of the job, if this decision led to its result.
        cost: what the choice came to; None where a decision shared the shots and nothing was measured.
        regret: that, less the least cost of any feasible candidate, itself included; >= 0.
        basis: of ``cost``: "measured", "expected" by the model now, or "unknown".
    """

    decision: Decision
    scales: Scales
    cursor: int
    options: tuple[Option, ...]
    measurement: Measurement | None
    cost: float | None
    regret: float | None
    basis: str


def anew(decision: Decision, model: CostModel, devices: Devices) -> dict[str, Estimate]:
    """What the model makes of the priors of a decision's candidates, as far as their devices are known."""
    if not decision.group:  # of an earlier version
        return {}
    group, program_hash = decision.group, decision.request.spec.program.content_hash()
    return {
        one.backend: one.prior if _bare(one) else model.estimate(one.prior, devices[one.backend], group, program_hash)
        for one in decision.request.candidates
        if one.backend in devices
    }


def _bare(one: Candidate) -> bool:
    """Whether nobody asked the model, since the program cannot run there (``orchestrator.deciding``)."""
    return bool(one.rejections) and one.estimate == one.prior


def fidelity_of(measured: Measurement, expected: float) -> float:
    """As it compares with an estimate: beyond the floor of its shots; the expected one where none was measured."""
    if measured.fidelity is None:
        return expected
    return min(1.0, measured.fidelity / (measured.fidelity_floor or 1.0))


def measured_cost(request: Request, measured: Measurement, expected: float, scales: Scales) -> float:
    """What the job came to; ``expected`` is its fidelity where nobody could measure one."""
    return cost(
        request.spec.objective,
        scales,
        latency_s=measured.latency_s,
        energy_j=measured.energy_j,
        fidelity=fidelity_of(measured, expected),
        cost_usd=measured.cost_usd,
    )


def explanation(
    decision: Decision, result: Result | None, model: CostModel, devices: Devices, scales: Scales
) -> Explanation:
    """How a decision looks now.

    Args:
        result: of the job, if it is done.   devices: that are served now.
        scales: of the settings, for decisions that did not keep theirs.
    """
    request = decision.request
    scales = scales if decision.situation is None else decision.situation.scales
    now = anew(decision, model, devices)
    options = []
    for one in request.candidates:
        said, share = now.get(one.backend), decision.choice.get(one.backend, 0.0)
        then = request.cost(one, scales, one.wait_s)
        if said is not None and not one.rejections:
            told = request.cost(replace(one, estimate=said), scales, one.wait_s)
            options.append(Option(one.backend, share, then, said, told))
        else:
            options.append(Option(one.backend, share, then, said, None))
    measured, spent, basis = None, None, "unknown"
    if result is not None and result.placement.decision == decision.id:
        measured, basis = result.measurement, "measured"
        spent = measured_cost(request, measured, result.estimate.fidelity, scales)
    elif len(decision.choice) == 1:
        spent = next((one.cost_now for one in options if one.share), None)
        basis = "unknown" if spent is None else "expected"
    others = [one.cost_now for one in options if one.cost_now is not None and one.share != 1]
    regret = None if spent is None or not others else spent - min(spent, *others)
    return Explanation(decision, scales, model.cursor, tuple(options), measured, spent, regret, basis)
