"""What measurements say against the predicted fidelity.

For each backend, each (backend, group of programs) and each (backend, program) the mean of

    log(loss(measured fidelity) / loss(prior fidelity)),    loss(F) = -log F + LOSS_OFFSET:

what calibration gets wrong is mostly how fast errors add up, and errors of gates multiply, so a factor on -log F
carries over from a short circuit to a long one where a difference of F would not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.cost_model.mean import Mean, depths
from orchestrator.cost_model.memory import Memory
from orchestrator.telemetry import Observation

LOSS_OFFSET = 0.01
"""Losses of fidelity are compared from here on (ours): below a percent, a ratio would be one of shot noise alone."""

SMALLEST_FIDELITY = 1e-6
"""Fidelities are compared by their logarithm; none is smaller than this."""


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
            for key in depths(one.backend, one.group, one.program_hash):
                before = known.get(key) or Mean()
                known = known.put(key, before.add(math.log(loss / loss_of(one.prior.fidelity))))
        return LossModel(known)

    def fidelity(self, prior: float, backend: str, group: str, program_hash: str) -> float:
        """The prior fidelity, corrected by what was measured on this device."""
        log_loss = 0.0
        for key in depths(backend, group, program_hash):
            if (mean := self.known.get(key)) is None:
                break
            log_loss = mean.shrunk(log_loss)
        return fidelity_of(loss_of(prior) * math.exp(log_loss))


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
