"""The posterior: what the prior gets wrong, folded from the telemetry one observation after the other.

Times, losses of fidelity and the spread of the model's own errors are learned side by side; each is a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import msgspec

from backends.backend import Device
from orchestrator.cost_model.losses import LossModel
from orchestrator.cost_model.prior import behind_pairs
from orchestrator.cost_model.spreads import Place, SpreadModel
from orchestrator.cost_model.times import TimeModel
from orchestrator.job import Estimate
from orchestrator.records import from_json
from orchestrator.telemetry import Observation

FOLD_VERSION = 4
"""Raised when the fold changes: snapshots of another version are folded anew from the log."""


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


@dataclass(frozen=True)
class CostModel:
    """The model at one point of the log. Folding gives the next one; this one does not change.

    Attributes:
        cursor: number of the last observation folded in; a fold does not depend on how the log was cut, so the cursor
            alone says which model it is.
    """

    cursor: int = 0
    times: TimeModel = field(default_factory=TimeModel)
    losses: LossModel = field(default_factory=LossModel)
    spreads: SpreadModel = field(default_factory=SpreadModel)

    def fold(self, observations: list[tuple[int, Observation]]) -> CostModel:
        """The model after these observations, given with their numbers, in order."""
        if not observations:
            return self
        seen = [one for _, one in observations]
        return CostModel(observations[-1][0], self.times.fold(seen), self.losses.fold(seen), self.spreads.fold(seen))

    def estimate(self, prior: Estimate, device: Device, group: str, program_hash: str) -> Estimate:
        """The prior, corrected by what was measured on this device.

        A simulator's energy is that of this machine, which is measured, and its price follows its time. A QPU's are
        those of its schedule, which is known, and not of the emulation or the way there.
        """
        timed = self.times.estimate(prior, device.name, group, program_hash, here=not device.remote)
        simulated = device.kind == "simulator"
        paid = timed.service_s / prior.service_s if simulated and prior.service_s else 1.0
        busy_s = timed.service_s if timed.device_s is None else timed.device_s
        fidelity = self.losses.fidelity(prior.fidelity, device.name, group, program_hash)
        energy_j = prior.energy_j * (math.exp(timed.log_energy) if simulated else 1.0)
        cost_usd = prior.cost_usd * paid
        place = Place(device.name, group, timed.nearness, ideal=prior.fidelity >= 1.0, scheduled=not simulated)
        queue_s, quoted = timed.queue_s or 0.0, prior.pairs and timed.queue_s is not None
        intervals = self.spreads.intervals(place, busy_s + (0.0 if quoted else queue_s), fidelity, energy_j, cost_usd)
        if quoted:  # who quotes pairs learns by himself how far he is off
            intervals = replace(intervals, elapsed_s=behind_pairs(intervals.elapsed_s, queue_s, prior.pairs))
        return Estimate(
            service_s=timed.service_s,
            fidelity=fidelity,
            energy_j=energy_j,
            cost_usd=cost_usd,
            num_observations=timed.num_observations,
            queue_s=timed.queue_s,
            device_s=timed.device_s,
            prepare_s=timed.prepare_s,
            intervals=intervals,
        )

    def learned(self) -> list[Learned]:
        """What is known per backend and group, as a person would read it."""
        rows = []
        for key, kind in sorted(self.times.kinds.items()):
            backend, *rest = key.split("|")
            if len(rest) == 1:
                loss = self.losses.of(backend, rest[0])
                rows.append(
                    Learned(
                        backend=backend,
                        group=rest[0],
                        num_observations=kind.means.log_service.weight,
                        time_ratio=math.exp(kind.means.log_service.value),
                        loss_ratio=None if loss is None else math.exp(loss.value),
                    )
                )
        return rows

    def to_json(self) -> str:
        """The model as JSON, its entries in their own order: what was changed longest ago is forgotten first."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> CostModel:
        """The reverse. Raises: ValueError."""
        return from_json(CostModel, text)
