"""What measurements say against the predicted times.

    log(service_s / prior service_s) = pace of the machine + pace of the backend + what is known of the program there.

The paces follow drift and sudden changes (:mod:`orchestrator.cost_model.pace`). The last part is that of the program's
own runs, as far as there are any; it leans on a regression over the runs of its group on that backend, which starts
from the one over everything there. Regressions see how long the prior expects a run to take (``_features``): cost
curves and schedules err by a factor on long runs, and know nothing of the milliseconds that every run costs.

prepare_s, the part of it that is transpilation, is a mean in the same three steps: programs that come again are not
transpiled again. So is energy_j, which a processor's load does not raise as it does the time, and device_s, where a
device's own times count (``Measurement.times``); queue_s is one of the backend as a whole: whoever waits there waits
behind everybody. A wait for quoted pairs stays as quoted: who quotes hears what came, and it would be corrected twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.cost_model.line import Line
from orchestrator.cost_model.mean import Mean
from orchestrator.cost_model.memory import Memory
from orchestrator.cost_model.pace import Drift, Steps
from orchestrator.job import Estimate
from orchestrator.telemetry import Observation

MOST_SHARED = math.log(10.0)
"""What one kind of program teaches about all others on its backend, at most, as the logarithm of a ratio (ours). A
search of a few basis states that takes a billionth of a state vector's time says nothing of other circuits' times."""

QUEUE_OFFSET_S = 1.0
"""Queues are compared from here on (ours): below a second nobody minds them, and some are empty."""

PREPARE_OFFSET_S = 1e-3
"""Times of transpilation are compared from here on (ours): what is kept from before takes next to none."""

SMALLEST_S = 1e-6
"""Times are compared by their logarithm; nothing is faster than this."""

OVERHEAD_S = 3e-3
"""Of a run, beside the backend (ours, the order of magnitude; the regressions learn how much of it there is)."""

TYPICAL_LOG_S = -4.0
DEVIATIONS = (1.5, 0.5, 0.6)
"""Of a backend's regression before it has seen anything, in the order of ``_features`` (ours)."""

OF_A_GROUP = 0.6
"""Deviations of a group's regression from that of its backend, over those (ours)."""

FROM_KIN = 2.0
"""Runs of the program itself that its group's regression is worth (ours)."""

OWN_GROUP = 2
"""Nearness from which on what is known is of this kind of program."""

LEAST_KNOWN = 5.0
"""Runs of a group before the errors on it say something about the backend (ours)."""


@dataclass(frozen=True)
class Means:
    """Of log(measured over prior): service_s, prepare_s, energy_j, device_s; None where that never counted."""

    log_service: Mean = field(default_factory=Mean)
    log_prepare: Mean = field(default_factory=Mean)
    log_energy: Mean = field(default_factory=Mean)
    log_device: Mean | None = None


@dataclass(frozen=True)
class Kind:
    """What is known of all programs on a backend, or of a group of them.

    Attributes:
        line: log(service_s over prior), paces apart, by ``_features``.   means: paces included.
    """

    line: Line
    means: Means = field(default_factory=Means)


class Timed(NamedTuple):
    """What is expected of a run: as in :class:`orchestrator.job.Estimate`, with its intervals' nearness.

    ``log_energy`` is the logarithm of energy over prior, if that is the energy of this machine.
    """

    service_s: float
    prepare_s: float
    log_energy: float
    queue_s: float | None
    device_s: float | None
    num_observations: float
    nearness: int


class Expected(NamedTuple):
    """Logarithms of time over prior, paces apart, and what is behind them."""

    log_service: float = 0.0
    log_prepare: float = 0.0
    log_energy: float = 0.0
    log_device: float = 0.0
    num_observations: float = 0.0
    nearness: int = 0


@dataclass(frozen=True)
class TimeModel:
    """What is known of times.

    Attributes:
        kinds: "backend" or "backend|group" -> what is known there.
        programs: "backend|group|program" -> means there, paces apart.
        queues: backend -> logarithm of what was waited there over what was announced.
        machine: the pace of everything that runs here.   paces: backend -> its own.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    programs: Memory[Means] = field(default_factory=Memory)
    queues: Mapping[str, Mean] = field(default_factory=dict)
    machine: Drift = field(default_factory=Drift)
    paces: Mapping[str, Steps] = field(default_factory=dict)

    def fold(self, seen: Sequence[Observation]) -> TimeModel:
        """With these observations, in order."""
        model = self
        for one in seen:
            model = model._after(one)
        return model

    def estimate(self, prior: Estimate, backend: str, group: str, program_hash: str, *, here: bool = True) -> Timed:
        """The prior's times, corrected by what was measured on this device.

        ``here`` says whether it runs on this machine rather than at a provider.
        """
        found = self._expected(_features(prior), backend, group, program_hash)
        log_service = found.log_service + self._pace(backend, here=here)
        if found.nearness < OWN_GROUP:
            log_service = max(-MOST_SHARED, min(MOST_SHARED, log_service))
        queue = None if prior.pairs else self.queues.get(backend)
        service_s = prior.service_s * math.exp(log_service)
        return Timed(
            service_s=service_s,
            prepare_s=min(service_s, _beyond(prior.prepare_s, found.log_prepare, PREPARE_OFFSET_S)),
            log_energy=found.log_energy,
            queue_s=prior.queue_s
            if prior.queue_s is None or queue is None
            else _beyond(prior.queue_s, queue.shrunk(0.0), QUEUE_OFFSET_S),
            device_s=None if prior.device_s is None else prior.device_s * math.exp(found.log_device),
            num_observations=found.num_observations,
            nearness=found.nearness,
        )

    def _pace(self, backend: str, *, here: bool) -> float:
        own = self.paces.get(backend)
        return (self.machine.pace if here else 0.0) + (own.pace if own else 0.0)

    def _expected(self, x: Sequence[float], backend: str, group: str, program_hash: str) -> Expected:
        """From the widest kind that is known to the narrowest."""
        if (whole := self.kinds.get(backend)) is None:
            return Expected()
        means = _leaning(whole.means, (0.0, 0.0, 0.0))
        if (kind := self.kinds.get(f"{backend}|{group}")) is None:  # a backend alone says nothing of this kind of job
            return Expected(whole.line.at(x), *means, nearness=1)
        means = _leaning(kind.means, means)
        if (own := self.programs.get(f"{backend}|{group}|{program_hash}")) is None:
            return Expected(kind.line.at(x), *means, kind.means.log_service.weight, 2)
        log_service = own.log_service.shrunk(kind.line.at(x), FROM_KIN)
        return Expected(log_service, *_leaning(own, means), own.log_service.weight, 3)

    def _after(self, one: Observation) -> TimeModel:
        """With one more observation."""
        backend, kin, key = one.backend, f"{one.backend}|{one.group}", f"{one.backend}|{one.group}|{one.program_hash}"
        met, x = one.measurement, _features(one.prior)
        log_ratio = math.log(max(met.service_s, SMALLEST_S) / max(one.prior.service_s, SMALLEST_S))
        here = met.service_s != met.device_s  # at a provider, a device's own time is all that was spent
        pace, found = self._pace(backend, here=here), self._expected(x, backend, one.group, one.program_hash)
        apart, error = log_ratio - pace, log_ratio - pace - found.log_service

        kinds, queues, paces = dict(self.kinds), dict(self.queues), dict(self.paces)
        whole = kinds.get(backend) or Kind(Line.around((0.0,) * len(x), DEVIATIONS))
        kind = kinds.get(kin) or Kind(Line.around(whole.line.weights, [OF_A_GROUP * each for each in DEVIATIONS]))
        shared = max(-MOST_SHARED, min(MOST_SHARED, log_ratio)) - pace
        kinds[backend] = Kind(whole.line.add(x, shared), _learned(whole.means, one, log_ratio, MOST_SHARED))
        kinds[kin] = Kind(kind.line.add(x, apart), _learned(kind.means, one, log_ratio))
        programs = self.programs.put(key, _learned(self.programs.get(key) or Means(), one, apart))
        if kind.means.log_service.weight >= LEAST_KNOWN:
            paces[backend] = paces.get(backend, Steps()).add(error)
        announced_s = None if one.prior.pairs else one.prior.queue_s
        if (queue := _compared(queues.get(backend), met.queue_s, announced_s, QUEUE_OFFSET_S)) is not None:
            queues[backend] = queue
        return TimeModel(kinds, programs, queues, self.machine.add(error) if here else self.machine, paces)


def _features(prior: Estimate) -> tuple[float, ...]:
    """A constant, the logarithm of what overhead adds to the prior time, and that of the prior time, about -1 to 1."""
    prior_s = max(prior.service_s, SMALLEST_S)
    return 1.0, math.log1p(OVERHEAD_S / prior_s), 0.5 * (math.log(prior_s) - TYPICAL_LOG_S)


def _leaning(known: Means, wider: tuple[float, float, float]) -> tuple[float, float, float]:
    """Means of prepare_s, energy_j and device_s, which lean on those of a wider kind."""
    prepare, energy, device = wider
    log_device = (known.log_device or Mean()).shrunk(device)
    return known.log_prepare.shrunk(prepare), known.log_energy.shrunk(energy), log_device


def _learned(known: Means, seen: Observation, log_service: float, most: float = math.inf) -> Means:
    """With one more observation, whose energy counts as off by no more than ``most``, a logarithm."""
    met, prior, energy = seen.measurement, seen.prior, known.log_energy
    if met.energy_j > 0.0 and prior.energy_j > 0.0:
        energy = energy.add(max(-most, min(most, math.log(met.energy_j / prior.energy_j))))
    return Means(
        known.log_service.add(log_service),
        known.log_prepare.add(math.log((met.prepare_s + PREPARE_OFFSET_S) / (prior.prepare_s + PREPARE_OFFSET_S))),
        energy,
        _compared(known.log_device, met.device_s, prior.device_s, SMALLEST_S),
    )


def _compared(known: Mean | None, measured_s: float | None, prior_s: float | None, offset_s: float) -> Mean | None:
    """The mean with one more logarithm of measured over prior; as it was where one of them does not count."""
    if measured_s is None or prior_s is None:
        return known
    return (known or Mean()).add(math.log((measured_s + offset_s) / (prior_s + offset_s)))


def _beyond(prior_s: float, log_ratio: float, offset_s: float) -> float:
    """A time that is corrected by a ratio of times beyond an offset."""
    return max(0.0, (prior_s + offset_s) * math.exp(log_ratio) - offset_s)
