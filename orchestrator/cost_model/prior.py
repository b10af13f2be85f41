"""The prior: what calibration, circuit features and price lists alone say, before anything was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backends.backend import REPETITION_S, Device
from backends.energy import energy_j
from backends.pairs import ready_p90_s
from backends.pricing import cost_usd
from orchestrator.entanglement import Promise
from orchestrator.job import Estimate, Interval, Times
from orchestrator.preparation import Fit

PREPARE_S, PREPARE_GATE_S, ROUTED_GATE_S = 8e-4, 2e-5, 1.3e-4
"""Seconds to read and transpile a program with a reused pass manager: in all, for each gate, and for each gate of a
device whose qubits are not all coupled (ours, measured)."""

CONVERSATION_S, OUTCOME_S, COUNT_S = 9e-4, 2.5e-6, 3e-6
"""Seconds of messages to and from the child and of judging: in all, for each outcome of the ideal, and for each one
that was counted (ours, measured)."""

TOO_LOW, TOO_HIGH = 0.51, 2.86
"""Distances, in units of :func:`doubt`, beyond which a predicted fidelity is too low or too high in 5 % of the cases
each: ours, measured by ``examples/benchmarks/estimators.py --tune`` on circuits that are not reported."""

FROM_P90 = 1.645 / 1.282
"""Distance of the ends of a 90 % interval from the median, over that of the ninth decile, of a normal variable."""

LEAST_DOUBT, DOUBT_OF_LOSS = 1e-4, 3e-3
"""What a prediction may be off in any case, in units of fidelity and as a share of what is lost (ours)."""


def doubt(fidelity: float, branching: float) -> float:
    """Unit of how far a predicted fidelity is off: what is lost, as far as the paths behind it may interfere (ours).

    Args:
        fidelity: predicted, in [0, 1].
        branching: as in :class:`orchestrator.preparation.Fit`.
    """
    return LEAST_DOUBT + (1.0 - fidelity) * (DOUBT_OF_LOSS + branching / (1.0 + branching))


def fidelity_interval(fidelity: float, branching: float) -> Interval:
    """Where 90 % of the fidelities are of a device that does what its calibration says.

    What a device does besides is not in it: only measurements tell.
    """
    unit = doubt(fidelity, branching)
    return Interval(max(0.0, fidelity - TOO_HIGH * unit), min(1.0, fidelity + TOO_LOW * unit))


def prior(
    device: Device,
    fit: Fit,
    shots: int,
    times: Times = Times.WALL,
    *,
    num_outcomes: int = 0,
    num_runs: float = 1.0,
    pairs: Sequence[Promise] = (),
) -> Estimate:
    """Estimate of one assignment on a device where nothing like it has run yet.

    Args:
        device: as announced.   fit: the program on that device's target.   shots: of this assignment.
        times: as in :class:`orchestrator.job.Measurement`; a real device's queue counts in any case.
        num_outcomes: of the ideal that the counts are judged by; 0 where there is none.
        num_runs: circuits of so many shots each; what an adaptive family is expected to ask for.
        pairs: what an allocator has to say to each of ``fit.pairs``, in order; empty where none is asked.
    """
    device_s = num_runs * shots * (fit.duration_s + REPETITION_S)
    curve = device.cost_curve
    run_s = device_s if curve is None else num_runs * curve.run_s(fit.num_qubits, fit.num_gates, shots, fit.bonds)
    gate_s = PREPARE_GATE_S if device.coupling is None else ROUTED_GATE_S
    prepare_s = 0.0 if device.kind == "cpu" else PREPARE_S + gate_s * fit.num_gates
    judge_s = CONVERSATION_S + OUTCOME_S * num_outcomes + COUNT_S * min(shots, num_outcomes)
    service_s = prepare_s + run_s + judge_s
    emulated = times is Times.EMULATED and device.kind == "emulated_qpu"
    paid_s = service_s if device.kind == "simulator" else device_s
    return Estimate(
        service_s=service_s,
        fidelity=_fidelity(device, fit, pairs),
        energy_j=energy_j(device, paid_s),
        cost_usd=cost_usd(device.price, num_tasks=1, shots=shots, run_s=paid_s),
        queue_s=_queue_s(device, fit, shots, pairs) if emulated or device.kind == "qpu" else None,
        device_s=device_s if emulated else None,
        prepare_s=prepare_s,
        pairs=tuple(pairs),
    )


def part_of(whole: Estimate, share: float) -> Estimate:
    """Prior of a part of the items of a job, from that of all of them: what is shared is the running (ours).

    Each part has a conversation of its own, and transpiles the circuits, which all items have in common.
    """
    own_s = CONVERSATION_S + whole.prepare_s
    return replace(
        whole,
        service_s=own_s + share * max(0.0, whole.service_s - own_s),
        energy_j=share * whole.energy_j,
        cost_usd=share * whole.cost_usd,
        device_s=None if whole.device_s is None else share * whole.device_s,
    )


def _queue_s(device: Device, fit: Fit, shots: int, pairs: Sequence[Promise]) -> float | None:
    """What waits in front of the device, and what its QPUs wait for pairs; None where nobody tells.

    By an allocator's quotes, as long as the slowest link takes in 5 of 10 cases, and what links of one shot wait for
    each other; by what links publish, in 9 of 10, for want of an interval.
    """
    if fit.pairs_s <= 0.0:
        return device.availability.queue_s
    before_s = device.availability.queue_s or 0.0
    if not pairs or device.network is None:
        return before_s + ready_p90_s(fit.pairs_s, fit.pairs_sd_s, shots)
    slowest_s = max(need.num / device.network.link((need.first, need.second)).rate_hz for need in fit.pairs)
    ready_s = max(promise.quote.ready_p50_s for promise in pairs)
    return before_s + ready_s + shots * max(0.0, fit.pairs_s - slowest_s)


def _fidelity(device: Device, fit: Fit, pairs: Sequence[Promise]) -> float:
    """With pairs as good as was quoted, which age within a shot as those of the fit do (ours).

    What is lost grows with the share of the shots in which a pair has an error: exact while few have one.
    """
    if not pairs or device.network is None:
        return fit.fidelity
    before = now = 1.0
    for need, promise in zip(fit.pairs, pairs, strict=True):
        fresh = device.network.link((need.first, need.second)).fidelity
        kept = (need.fidelity - 0.25) / (fresh - 0.25) if fresh > 0.25 else 1.0
        before *= need.fidelity**need.num
        now *= (0.25 + (promise.quote.fidelity_mean - 0.25) * kept) ** need.num
    if before >= 1.0:
        return fit.fidelity * now
    return min(1.0, max(0.0, 1.0 - (1.0 - fit.fidelity) * (1.0 - now) / (1.0 - before)))


def behind_pairs(busy: Interval, queue_s: float, pairs: Sequence[Promise]) -> Interval:
    """Of elapsed time, from that of what follows the wait for quoted pairs, whose waits are taken as normal (ours)."""
    p50_s, p90_s = (max(getattr(one.quote, name) for one in pairs) for name in ("ready_p50_s", "ready_p90_s"))
    off_s = FROM_P90 * (p90_s - p50_s)
    return Interval(max(0.0, queue_s - off_s) + busy.low, queue_s + off_s + busy.high)
