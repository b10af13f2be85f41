"""What measurements say against the predicted fidelity.

For each backend, each (backend, group of programs) and each (backend, program) the mean of

    log(loss(measured fidelity) / loss(prior fidelity)),    loss(F) = -log F + LOSS_OFFSET:

what calibration gets wrong is mostly how fast errors add up, and errors of gates multiply, so a factor on -log F
carries over from a short circuit to a long one where a difference of F would not. What a program says of others counts
the more, the more it was expected to lose: where hardly anything is lost, the factor is a matter of chance. Of itself
it says all, so one measurement already corrects it. (Ours; chosen on the circuits that ``tuning_circuits.py`` of
examples/benchmarks makes, where it beat least squares on the losses of gates, waits and readout.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.cost_model.mean import MEMORY, STRENGTH, Mean, depths
from orchestrator.cost_model.memory import Memory
from orchestrator.telemetry import Observation

LOSS_OFFSET = 0.01
"""Losses of fidelity are compared from here on (ours): below a percent, a ratio would be one of shot noise alone."""

SMALLEST_FIDELITY = 1e-6
"""Fidelities are compared by their logarithm; none is smaller than this."""

TELLING = 0.1
"""Expected loss times fidelity from which on a program says all it can of others (ours)."""

LEAST_TOLD = 0.02
"""What it says of others in any case (ours)."""

OWN_STRENGTH = 0.2
"""Observations of a program itself that its group's correction is worth (ours)."""


@dataclass(frozen=True)
class LossModel:
    """What is known: "backend", "backend|group" or "backend|group|program" -> logarithm of measured over prior loss."""

    known: Memory[Mean] = field(default_factory=Memory)

    def fold(self, seen: Sequence[Observation]) -> LossModel:
        """With these observations, in order. Approximate runs and those that nobody could judge say nothing."""
        known = self.known
        for one in seen:
            loss = measured_loss(one)
            if loss is None:
                continue
            off, told = math.log(loss / loss_of(one.prior.fidelity)), _told(one.prior.fidelity)
            for key in depths(one.backend, one.group, one.program_hash):
                before, share = known.get(key) or Mean(), 1.0 if _own(key) else told
                weight = min(before.weight, MEMORY - share) + share
                mean = Mean(weight, before.value + (off - before.value) * share / weight)
                known = known.put(key, mean)
        return LossModel(known)

    def fidelity(self, prior: float, backend: str, group: str, program_hash: str) -> float:
        """The prior fidelity, corrected by what was measured on this device."""
        log_loss = 0.0
        for key in depths(backend, group, program_hash):
            if (mean := self.known.get(key)) is None:
                break
            strength = OWN_STRENGTH if _own(key) else STRENGTH
            log_loss = (mean.weight * mean.value + strength * log_loss) / (mean.weight + strength)
        return fidelity_of(loss_of(prior) * math.exp(log_loss))

    def of(self, backend: str, group: str) -> Mean | None:
        """What is known of a group of programs there."""
        return self.known.get(f"{backend}|{group}")


def _own(key: str) -> bool:
    """Whether what is known under a key is known of one program."""
    return key.count("|") == 2


def _told(prior: float) -> float:
    """How much a program's loss says of that of others, in (0, 1]."""
    return min(1.0, max(LEAST_TOLD, -math.log(max(SMALLEST_FIDELITY, prior)) * prior / TELLING))


def measured_loss(seen: Observation) -> float | None:
    """Few shots measure less than an ideal device has: predictions speak of the device, so compare beyond the floor."""
    if seen.measurement.fidelity is None or seen.measurement.approximate:
        return None
    return loss_of(seen.measurement.fidelity / (seen.measurement.fidelity_floor or 1.0))


def loss_of(fidelity: float) -> float:
    """-log F + LOSS_OFFSET: what adds up over a circuit."""
    return LOSS_OFFSET - math.log(min(1.0, max(SMALLEST_FIDELITY, fidelity)))


def fidelity_of(loss: float) -> float:
    """The reverse of :func:`loss_of`."""
    return math.exp(min(0.0, LOSS_OFFSET - loss))
