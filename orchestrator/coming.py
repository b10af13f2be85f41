"""Jobs that come after others: when they are expected, and which pairs are worth putting aside by then. Pure.

Pairs that wait age, and so does a job's fidelity: n of them, made at a rate λ before a job of S shots begins, spare it
n/λ of waiting and are n/2λ old. By its objective, w_t n/(λ L0) - w_f (F - 1/4) n²/(2 λ T S I0) is largest at

    n = w_t S T I0 / (w_f (F - 1/4) L0),

for every link by itself (ours; to first order, a job loses what the pairs of a shot lose together).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from backends.backend import Device
from backends.pairs import QPUNetwork
from orchestrator.deciding import Scene, request_of
from orchestrator.entanglement import PairDemand, Promise
from orchestrator.job import FINAL_ASSIGNMENT_STATES, Assignment, AssignmentState, Job
from orchestrator.lifecycle import unwanted
from orchestrator.placement import Request, Scales
from orchestrator.preparer import Known
from orchestrator.runtime import RuntimeFailure
from orchestrator.store import Waiting


def expected_at(before: Sequence[Waiting], devices: Mapping[str, Device]) -> float | None:
    """When all of these jobs are expected to be done, by the store's clock; None where nobody knows.

    What was expected of their shares when they were placed, from their start where they have begun: nothing is known of
    a job that is not placed, that nobody wants any more, or of which a share is with a provider.
    """
    ends: list[float] = []
    for one in before:
        parts = [part for part in one.parts if part.state is not AssignmentState.REPLACED]
        if one.job.to_place or unwanted(one.job) or not parts:
            return None
        for part in parts:
            end = _expected_at(part, devices)
            if end is None:
                return None
            ends.append(end)
    return max(ends, default=None)


def _expected_at(part: Assignment, devices: Mapping[str, Device]) -> float | None:
    if part.state in FINAL_ASSIGNMENT_STATES and part.finished_at is not None:
        return part.finished_at
    device = devices.get(part.backend)
    if device is None or device.remote:
        return None
    begun = part.placed_at + part.wait_s if part.started_at is None else part.started_at
    return begun + part.estimate.service_s


@dataclass(frozen=True)
class Wanted:
    """What a job will want, and of which backend; nothing where that is not known."""

    backend: str = ""
    demands: tuple[PairDemand, ...] = ()


def wanted(job: Job, known: Known | RuntimeFailure, scene: Scene, scales: Scales) -> Wanted:
    """The pairs to put aside for a job: of the one backend that it can go to, as things are."""
    asked = request_of(Waiting(job), known, scene)
    if not isinstance(asked, Request) or len(asked.feasible) != 1:
        return Wanted()
    (only,) = asked.feasible
    network = scene.fleet.devices[only.backend].network
    return Wanted() if network is None else Wanted(only.backend, tuple(_worth(only.prior.pairs, network, job, scales)))


def _worth(promises: Sequence[Promise], network: QPUNetwork, job: Job, scales: Scales) -> Iterator[PairDemand]:
    """As many of the pairs as are worth it; see the module."""
    spare = job.spec.objective.latency / scales.latency_s
    for one in promises:
        ends, excess = network.ends(one.demand.src, one.demand.dst), one.quote.fidelity_mean - 0.25
        if ends is None:
            continue
        lose = job.spec.objective.fidelity * excess / (job.spec.shots * network.link(ends).coherence_s)
        most = one.demand.num_pairs
        number = min(most, int(spare * scales.infidelity / lose)) if lose > 0.0 else most if spare else 0
        if number:
            yield replace(one.demand, num_pairs=number)
