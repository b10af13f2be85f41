"""How far the model's own predictions were off: what it said when it placed, against what came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.cost_model.losses import loss_of, measured_loss
from orchestrator.cost_model.mean import Mean
from orchestrator.cost_model.times import SMALLEST_S
from orchestrator.telemetry import Observation


@dataclass(frozen=True)
class Spread:
    """Means of the squared logarithm of measured over predicted."""

    log_time: Mean = field(default_factory=Mean)
    log_loss: Mean = field(default_factory=Mean)
    log_energy: Mean = field(default_factory=Mean)
    log_cost: Mean = field(default_factory=Mean)


@dataclass(frozen=True)
class SpreadModel:
    """By "backend|group": how far predictions were off there."""

    known: Mapping[str, Spread] = field(default_factory=dict)

    def fold(self, seen: Sequence[Observation]) -> SpreadModel:
        """With these observations, in order."""
        known = dict(self.known)
        for one in seen:
            key = f"{one.backend}|{one.group}"
            known[key] = _surprised(known.get(key, Spread()), one)
        return SpreadModel(known)

    def of(self, backend: str, group: str) -> Spread:
        """How far predictions for such programs were off there."""
        return self.known.get(f"{backend}|{group}", Spread())


def _surprised(known: Spread, seen: Observation) -> Spread:
    """The spread with one more prediction that was put to the test; what is free is no prediction."""
    measured, said = seen.measurement, seen.estimate
    loss = measured_loss(seen)
    return Spread(
        log_time=_off(known.log_time, max(measured.service_s, SMALLEST_S), max(said.service_s, SMALLEST_S)),
        log_loss=known.log_loss if loss is None else _off(known.log_loss, loss, loss_of(said.fidelity)),
        log_energy=_off(known.log_energy, measured.energy_j, said.energy_j),
        log_cost=_off(known.log_cost, measured.cost_usd, said.cost_usd),
    )


def _off(known: Mean, measured: float, predicted: float) -> Mean:
    return known.add(math.log(measured / predicted) ** 2) if measured > 0.0 and predicted > 0.0 else known
