"""ibm_perth as it was, day by day: half a year of recorded calibrations behind the emulation of IBM's processors.

What it publishes is the newest calibration of the moment (:mod:`backends.clock`), up to a day old. What it does is
another: from one calibration the device moves to the next (geometrically interpolated, ours) and wavers from hour to
hour (ours, see ``_WAVER``). Estimates and policies see the first; only measurements show the second. The record spans
2023-01-01 to 2023-06-30 and is repeated beyond that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from backends import clock
from backends.backend import Device, Execution, TranspileOptions
from backends.pricing import TARIFFS
from backends.queues import RecordedQueue
from backends.recorded import DAY_S, PerthDay, Place, perth_day, perth_place, perth_snapshot
from backends.sampling import rehearse
from backends.virtual.qpu import VirtualQPU
from backends.virtual.snapshot import DEAD_EDGE_ERROR, Snapshot
from circuits.family import Run
from circuits.seeds import derive

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

STEP_S = 3600.0
"""The device is another one so often: what was worked out for its noise serves for so long."""

_WAVER = {"t1_s": 0.10, "t2_s": 0.08, "readout_error": 0.05, "sx_error": 0.07, "cx_error": 0.07}
"""Standard deviations of the logarithm from hour to hour (ours): half of the median change from one recorded day to the
next, which is 0.21, 0.16, 0.10, 0.15 and 0.14."""


def published(moment: float) -> Snapshot:
    """What the device says of itself at that moment, seconds since the epoch: the newest calibration."""
    return _published(perth_place(moment))


@lru_cache(maxsize=4)
def _published(place: Place) -> Snapshot:
    return perth_snapshot(perth_day(place.index), place.made_at)


def actual(moment: float) -> Snapshot:
    """What the device is at that moment. It lists the gates that are published then, no more and no fewer."""
    return _actual(math.floor(moment / STEP_S))


@lru_cache(maxsize=4)
def _actual(step: int) -> Snapshot:
    moment = (step + 0.5) * STEP_S
    today, tomorrow = perth_place(moment), perth_place(moment + DAY_S)
    before = perth_day(today.index)
    after = perth_day(tomorrow.index) if tomorrow.index > today.index else before  # the record's last day stays
    part, chance = (moment - today.made_at) / DAY_S, random.Random(derive(step, "ibm_perth"))
    columns = {
        name: tuple(
            _between(*values, part) * math.exp(waver * chance.gauss())
            for values in zip(getattr(before, name), getattr(after, name), strict=True)
        )
        for name, waver in _WAVER.items()
    }
    cx_error = tuple(
        now if was < DEAD_EDGE_ERROR else was for was, now in zip(before.cx_error, columns["cx_error"], strict=True)
    )
    return perth_snapshot(PerthDay(**columns | {"cx_error": cx_error}), today.made_at)


def _between(now: float, then: float, part: float) -> float:
    """On the way from one figure to the next. A failed calibration says nothing of the day before it."""
    return now if then >= DEAD_EDGE_ERROR else now ** (1.0 - part) * then**part


def _with_gates_of(circuits: Sequence[QuantumCircuit], device: Snapshot) -> Snapshot:
    """The device with the gates alone that these circuits use: what nobody runs need not be worked out every hour."""
    from circuits.structure import is_dynamic

    if any(map(is_dynamic, circuits)):  # what is inside of branches is used, too
        return device
    used = {
        (item.operation.name, tuple(circuit.find_bit(qubit).index for qubit in item.qubits))
        for circuit in circuits
        for item in circuit.data
    }
    gates = tuple(gate for gate in device.calibration.gates if (gate.gate, gate.qubits) in used)
    return replace(device, calibration=replace(device.calibration, gates=gates))


class Replay:
    """The emulated device: at each moment a processor of its own, the last few of which are kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._processor = lru_cache(maxsize=4)(self._made)

    def device(self) -> Device:
        """Its record as of now: calibration and queue as they are published."""
        return self._processor(published(clock.now())).device()

    def warm_up(self) -> None:
        """Import Aer and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to what is published now."""
        return self._processor(published(clock.now())).prepare(circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run on the device as it is now."""
        now = _with_gates_of(prepared, actual(clock.now()))
        return self._processor(now).run(prepared, runs, seed=seed, memory=memory)

    def _made(self, snapshot: Snapshot) -> VirtualQPU:
        return VirtualQPU(
            self.name,
            snapshot=lambda: snapshot,
            price=TARIFFS["emulated_falcon_r5"],
            source=("qiskit_aer", "qiskit-aer", "all"),
            queue=RecordedQueue("ibm_perth"),
        )


perth = partial(Replay, "ibm_perth_replay")
