"""The posterior: residuals of the prior, averaged at three depths, folded from the telemetry one by one.

For each backend, each (backend, group of programs) and each (backend, program) the model keeps the mean of

    log(measured service_s / prior service_s)   and   log(loss(measured fidelity) / loss(prior fidelity)),

with loss(F) = -log F + LOSS_OFFSET: what calibration gets wrong is mostly how fast errors add up, and errors of gates
multiply, so a factor on -log F carries over from a short circuit to a long one where a difference of F would not.
A depth with few observations leans on the one above it (empirical-Bayes shrinkage, ours): with n observations of mean
m, its correction is (n m + STRENGTH * parent) / (n + STRENGTH). Old observations fade once there are more than MEMORY,
so that drift is followed.

Where a device's own times count (``Measurement.times``), device_s is learned like service_s, and queue_s for the
backend as a whole: whoever waits there waits behind everybody.
How far its own predictions were off is kept for each (backend, group): what it said when it placed, against what came.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from backends.backend import Device
from orchestrator.job import Estimate
from orchestrator.records import from_json, to_json
from orchestrator.telemetry import Observation

STRENGTH = 1.0
"""Observations that the depth above is worth (ours)."""

MEMORY = 50.0
"""Most observations that a mean remembers (ours)."""

MOST_SHARED = math.log(10.0)
"""What one kind of program teaches about all others on its backend, at most, as the logarithm of a ratio (ours). A
search of a few basis states that takes a billionth of a state vector's time says nothing of other circuits' times."""

FOLD_VERSION = 2
"""Raised when the fold changes: snapshots of another version are folded anew from the log."""

MAX_PROGRAMS = 10_000
"""Most (backend, program) pairs that have a residual of their own (ours)."""

LOSS_OFFSET = 0.01
"""Losses of fidelity are compared from here on (ours): below a percent, a ratio would be one of shot noise alone."""

SMALLEST_FIDELITY = 1e-6
"""Fidelities are compared by their logarithm; none is smaller than this."""

QUEUE_OFFSET_S = 1.0
"""Queues are compared from here on (ours): below a second nobody minds them, and some are empty."""

SMALLEST_S = 1e-6
"""Times are compared by their logarithm; nothing is faster than this."""


@dataclass(frozen=True)
class Mean:
    """A mean with a fading memory. ``weight`` is the number of observations it stands for."""

    weight: float = 0.0
    value: float = 0.0

    def add(self, value: float) -> Mean:
        """The mean with one more value in it."""
        weight = min(self.weight, MEMORY - 1.0) + 1.0
        return Mean(weight, self.value + (value - self.value) / weight)

    def shrunk(self, parent: float) -> float:
        """The mean, pulled towards ``parent`` as far as its own observations are few."""
        return (self.weight * self.value + STRENGTH * parent) / (self.weight + STRENGTH)


@dataclass(frozen=True)
class Residual:
    """What the prior gets wrong at one depth: logarithms of measured over prior; None of what never counted."""

    log_time: Mean = field(default_factory=Mean)
    log_loss: Mean = field(default_factory=Mean)
    log_device: Mean | None = None


@dataclass(frozen=True)
class Spread:
    """How far predictions were off: means of the squared logarithm of measured over predicted."""

    log_time: Mean = field(default_factory=Mean)
    log_loss: Mean = field(default_factory=Mean)
    log_energy: Mean = field(default_factory=Mean)
    log_cost: Mean = field(default_factory=Mean)


@dataclass(frozen=True)
class Learned:
    """What the model learned of one group of programs on one backend.

    Attributes:
        time_ratio: geometric mean of measured over prior service time.
        loss_ratio: geometric mean of measured over prior loss of fidelity; None where none could be measured.
    """

    backend: str
    group: str
    num_observations: float
    time_ratio: float
    loss_ratio: float | None


def _depths(backend: str, group: str, program_hash: str) -> Iterator[str]:
    yield backend
    yield f"{backend}|{group}"
    yield f"{backend}|{group}|{program_hash}"


@dataclass(frozen=True)
class CostModel:
    """The model at one point of the log. Folding gives the next one; this one does not change.

    Attributes:
        cursor: number of the last observation folded in; a fold does not depend on how the log was cut, so the cursor
            alone says which model it is.
        residuals: "backend", "backend|group" or "backend|group|program" -> what is known there.
        queues: backend -> logarithm of what was waited there over what was announced.
        spreads: "backend|group" -> how far predictions were off there.
    """

    cursor: int = 0
    residuals: Mapping[str, Residual] = field(default_factory=dict)
    queues: Mapping[str, Mean] = field(default_factory=dict)
    spreads: Mapping[str, Spread] = field(default_factory=dict)

    def fold(self, observations: list[tuple[int, Observation]]) -> CostModel:
        """The model after these observations, given with their numbers, in order."""
        residuals, queues, spreads = dict(self.residuals), dict(self.queues), dict(self.spreads)
        for _, seen in observations:
            group = f"{seen.backend}|{seen.group}"
            spreads[group] = _surprised(spreads.get(group, Spread()), seen)
            for key in _depths(seen.backend, seen.group, seen.program_hash):
                most = math.inf if "|" in key else MOST_SHARED
                known = residuals.pop(key, Residual())  # popped: the last one seen stands last
                residuals[key] = _learned(known, seen, most)
            waited_s, announced_s = seen.measurement.queue_s, seen.prior.queue_s
            if queue := _compared(queues.get(seen.backend), waited_s, announced_s, QUEUE_OFFSET_S):
                queues[seen.backend] = queue
        _forget(residuals)
        return CostModel(observations[-1][0] if observations else self.cursor, residuals, queues, spreads)

    def spread(self, backend: str, group: str) -> Spread:
        """How far predictions for such programs were off there."""
        return self.spreads.get(f"{backend}|{group}", Spread())

    def estimate(self, prior: Estimate, device: Device, group: str, program_hash: str) -> Estimate:
        """The prior, corrected by what was measured on this device.

        A simulator's energy and price follow its time. A QPU's do not: they are those of its schedule, which is known,
        and not of the emulation or the way there.
        """
        log_time = log_loss = log_device = num_observations = 0.0
        for key in _depths(device.name, group, program_hash):
            residual = self.residuals.get(key)
            if residual is None:
                break
            log_time = residual.log_time.shrunk(log_time)
            log_loss = residual.log_loss.shrunk(log_loss)
            log_device = (residual.log_device or Mean()).shrunk(log_device)
            if "|" in key:  # a backend's own residual alone says nothing of this kind of job
                num_observations = residual.log_time.weight
        ratio = math.exp(log_time)
        paid = ratio if device.kind == "simulator" else 1.0
        return Estimate(
            service_s=prior.service_s * ratio,
            fidelity=fidelity_of(loss_of(prior.fidelity) * math.exp(log_loss)),
            energy_j=prior.energy_j * paid,
            cost_usd=prior.cost_usd * paid,
            num_observations=num_observations,
            queue_s=self._queue_s(prior.queue_s, device.name),
            device_s=None if prior.device_s is None else prior.device_s * math.exp(log_device),
        )

    def _queue_s(self, announced_s: float | None, backend: str) -> float | None:
        """What a backend's announced queue comes to, by what others waited there."""
        if announced_s is None:
            return None
        ratio = math.exp(self.queues.get(backend, Mean()).shrunk(0.0))
        return max(0.0, (announced_s + QUEUE_OFFSET_S) * ratio - QUEUE_OFFSET_S)

    def learned(self) -> list[Learned]:
        """What is known per backend and group, as a person would read it."""
        rows = []
        for key, residual in sorted(self.residuals.items()):
            backend, *rest = key.split("|")
            if len(rest) == 1:
                rows.append(
                    Learned(
                        backend=backend,
                        group=rest[0],
                        num_observations=residual.log_time.weight,
                        time_ratio=math.exp(residual.log_time.value),
                        loss_ratio=math.exp(residual.log_loss.value) if residual.log_loss.weight else None,
                    )
                )
        return rows

    def to_json(self) -> str:
        """The model as JSON."""
        return to_json(self)

    @staticmethod
    def from_json(text: str) -> CostModel:
        """The reverse. Raises: ValueError."""
        return from_json(CostModel, text)


def _forget(residuals: dict[str, Residual]) -> None:
    """Drop the programs that were not seen for longest, so that the model stays as large as it is useful."""
    if len(residuals) <= MAX_PROGRAMS:
        return
    programs = [key for key in residuals if key.count("|") == 2]
    for key in programs[: max(0, len(programs) - MAX_PROGRAMS)]:
        del residuals[key]


def _learned(known: Residual, seen: Observation, most: float) -> Residual:
    """The residual with one more observation, whose time counts as off by no more than ``most``, a logarithm."""
    ratio = max(seen.measurement.service_s, SMALLEST_S) / max(seen.prior.service_s, SMALLEST_S)
    measured_loss = _measured_loss(seen)
    log_loss = known.log_loss
    if measured_loss is not None:
        log_loss = log_loss.add(math.log(measured_loss / loss_of(seen.prior.fidelity)))
    return Residual(
        known.log_time.add(min(most, max(-most, math.log(ratio)))),
        log_loss,
        _compared(known.log_device, seen.measurement.device_s, seen.prior.device_s, SMALLEST_S),
    )


def _compared(known: Mean | None, measured_s: float | None, prior_s: float | None, offset_s: float) -> Mean | None:
    """The mean with one more logarithm of measured over prior; as it was where one of them does not count."""
    if measured_s is None or prior_s is None:
        return known
    return (known or Mean()).add(math.log((measured_s + offset_s) / (prior_s + offset_s)))


def _surprised(known: Spread, seen: Observation) -> Spread:
    """The spread with one more prediction that was put to the test; what is free is no prediction."""
    measured, said = seen.measurement, seen.estimate
    loss = _measured_loss(seen)
    return Spread(
        log_time=_off(known.log_time, max(measured.service_s, SMALLEST_S), max(said.service_s, SMALLEST_S)),
        log_loss=known.log_loss if loss is None else _off(known.log_loss, loss, loss_of(said.fidelity)),
        log_energy=_off(known.log_energy, measured.energy_j, said.energy_j),
        log_cost=_off(known.log_cost, measured.cost_usd, said.cost_usd),
    )


def _off(known: Mean, measured: float, predicted: float) -> Mean:
    return known.add(math.log(measured / predicted) ** 2) if measured > 0.0 and predicted > 0.0 else known


def _measured_loss(seen: Observation) -> float | None:
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
