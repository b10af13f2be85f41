"""What measurements say against the predicted times.

For each backend, each (backend, group of programs) and each (backend, program) the mean of
log(measured service_s / prior service_s). Where a device's own times count (``Measurement.times``), device_s is learned
like service_s, and queue_s for the backend as a whole: whoever waits there waits behind everybody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.cost_model.mean import Mean, depths, forget
from orchestrator.job import Estimate
from orchestrator.telemetry import Observation

MOST_SHARED = math.log(10.0)
"""What one kind of program teaches about all others on its backend, at most, as the logarithm of a ratio (ours). A
search of a few basis states that takes a billionth of a state vector's time says nothing of other circuits' times."""

QUEUE_OFFSET_S = 1.0
"""Queues are compared from here on (ours): below a second nobody minds them, and some are empty."""

SMALLEST_S = 1e-6
"""Times are compared by their logarithm; nothing is faster than this."""


@dataclass(frozen=True)
class Residual:
    """What the prior gets wrong at one depth: logarithms of measured over prior; None of what never counted."""

    log_service: Mean = field(default_factory=Mean)
    log_device: Mean | None = None


@dataclass(frozen=True)
class TimeModel:
    """What is known of times.

    Attributes:
        residuals: "backend", "backend|group" or "backend|group|program" -> what is known there.
        queues: backend -> logarithm of what was waited there over what was announced.
    """

    residuals: Mapping[str, Residual] = field(default_factory=dict)
    queues: Mapping[str, Mean] = field(default_factory=dict)

    def fold(self, seen: Sequence[Observation]) -> TimeModel:
        """With these observations, in order."""
        residuals, queues = dict(self.residuals), dict(self.queues)
        for one in seen:
            for key in depths(one.backend, one.group, one.program_hash):
                most = math.inf if "|" in key else MOST_SHARED
                residuals[key] = _learned(residuals.pop(key, Residual()), one, most)  # the last one seen stands last
            waited_s, announced_s = one.measurement.queue_s, one.prior.queue_s
            if queue := _compared(queues.get(one.backend), waited_s, announced_s, QUEUE_OFFSET_S):
                queues[one.backend] = queue
        forget(residuals)
        return TimeModel(residuals, queues)

    def estimate(self, prior: Estimate, backend: str, group: str, program_hash: str) -> Estimate:
        """The prior with its times corrected by what was measured on this device."""
        log_service = log_device = num_observations = 0.0
        for key in depths(backend, group, program_hash):
            if (residual := self.residuals.get(key)) is None:
                break
            log_service = residual.log_service.shrunk(log_service)
            log_device = (residual.log_device or Mean()).shrunk(log_device)
            if "|" in key:  # a backend's own residual alone says nothing of this kind of job
                num_observations = residual.log_service.weight
        return replace(
            prior,
            service_s=prior.service_s * math.exp(log_service),
            num_observations=num_observations,
            queue_s=self._queue_s(prior.queue_s, backend),
            device_s=None if prior.device_s is None else prior.device_s * math.exp(log_device),
        )

    def _queue_s(self, announced_s: float | None, backend: str) -> float | None:
        """What a backend's announced queue comes to, by what others waited there."""
        if announced_s is None:
            return None
        ratio = math.exp(self.queues.get(backend, Mean()).shrunk(0.0))
        return max(0.0, (announced_s + QUEUE_OFFSET_S) * ratio - QUEUE_OFFSET_S)


def _learned(known: Residual, seen: Observation, most: float) -> Residual:
    """The residual with one more observation, whose time counts as off by no more than ``most``, a logarithm."""
    ratio = max(seen.measurement.service_s, SMALLEST_S) / max(seen.prior.service_s, SMALLEST_S)
    return Residual(
        known.log_service.add(min(most, max(-most, math.log(ratio)))),
        _compared(known.log_device, seen.measurement.device_s, seen.prior.device_s, SMALLEST_S),
    )


def _compared(known: Mean | None, measured_s: float | None, prior_s: float | None, offset_s: float) -> Mean | None:
    """The mean with one more logarithm of measured over prior; as it was where one of them does not count."""
    if measured_s is None or prior_s is None:
        return known
    return (known or Mean()).add(math.log((measured_s + offset_s) / (prior_s + offset_s)))
