"""Transpiling to a calibrated device: several ways of placing the circuit, judged by what the device publishes.

1. If the circuit's pairs can sit on coupled qubits as they are, that is the start; else SABRE routes it, with a few
   seeds.
2. What came out says what the circuit needs in native gates, waiting and readouts; the cheapest placements of that
   (``backends.layout``) are finished like the start itself.
3. The one of the highest survival is taken; between equals, the one on the smaller qubit numbers. Of a circuit that no
   place can save, the start is taken.

Nothing depends on time or on the process, unlike Qiskit's own layout search, which breaks ties at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from backends.calibration import survival
from backends.errors import CalibrationMissing
from backends.layout import demand, embedding, placements, terrain

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import PassManager, StagedPassManager, Target

    from backends.backend import Device, TranspileOptions

ROUTINGS = 2
"""Runs of SABRE, each of many trials, for a circuit that has to be routed (ours)."""
LONG = 1000
"""Gates on two qubits beyond which a circuit is routed once and with fewer trials: SABRE takes time for each (ours)."""
PLACEMENTS = 6
"""Placements that are finished and judged, beside the start (ours)."""


HOPELESS = 1e-3
"""Survival of a circuit that no place can save: the first that it fits is taken. Such circuits are long (ours)."""


class Fitting:
    """Transpiles to one device with one set of options. One thread at a time: passes keep state."""

    def __init__(self, device: Device, target: Target, options: TranspileOptions) -> None:
        """For a device with calibration and coupling, from optimization level 1 on, with no layout given."""
        if device.calibration is None:
            raise CalibrationMissing(f"{device.name}: wanted a calibrated device, got one without calibration")
        self._device = device
        self._calibration = device.calibration
        self._ground = terrain(device.calibration)
        self._target = target
        self._options = options

    def run(self, circuit: QuantumCircuit) -> QuantumCircuit:
        """The circuit on the device's qubits.

        Raises:
            QiskitError: it cannot be fitted.
            CalibrationMissing: it waits in a unit of time that is not known.
        """
        from circuits.structure import drop_idle_qubits

        found = []
        for start in self._starts(self._prologue.run(drop_idle_qubits(circuit))):
            found.append(start)
            if len(found) == 1 and survival(start, self._device).weight < HOPELESS:
                break
            nodes, pairs = demand(start, self._calibration)
            found += [
                self._as_it_would_run(_moved(start, where, self._device.num_qubits))
                for where in placements(nodes, pairs, self._ground, keep=PLACEMENTS)
                if any(qubit != there for qubit, there in where.items())
            ]
        best = min(found, key=self._judge)
        return best if best.layout is not None else self._finish(best)

    def _as_it_would_run(self, moved: QuantumCircuit) -> QuantumCircuit:
        """A native circuit as it is: its last passes change little and cost most of the time. Others are finished."""
        from circuits.structure import NOT_GATES

        table = self._calibration.gate_table
        index = {bit: position for position, bit in enumerate(moved.qubits)}
        for item in moved.data:
            name = item.name
            if name not in NOT_GATES and (name, tuple(index[qubit] for qubit in item.qubits)) not in table:
                return self._finish(moved)
        return moved

    def _judge(self, fitted: QuantumCircuit) -> tuple[bool, float, list[int]]:
        from circuits.structure import active_qubits

        qubits = active_qubits(fitted)
        return len(qubits) > self._device.max_active_qubits, -survival(fitted, self._device).weight, qubits

    def _starts(self, logical: QuantumCircuit) -> Iterator[QuantumCircuit]:
        pairs = sorted(_pairs(logical))
        layout = embedding(pairs, logical.num_qubits, self._device.coupling or ())
        if layout is not None:
            yield self._finish(_moved(logical, dict(enumerate(layout)), self._device.num_qubits))
        else:
            is_long = sum(len(item.qubits) == 2 for item in logical.data) > LONG
            yield from (routing.run(logical) for routing in (self._quick_routings if is_long else self._routings))

    def _finish(self, moved: QuantumCircuit) -> QuantumCircuit:
        """Translate and optimise a circuit that sits on the device's qubits already."""
        from qiskit.transpiler import Layout

        layout = Layout({qubit: index for index, qubit in enumerate(moved.qubits)})
        done: QuantumCircuit = self._epilogue.run(moved, property_set={"layout": layout})
        return done

    @cached_property
    def _prologue(self) -> PassManager:
        return self._preset().init

    @cached_property
    def _epilogue(self) -> PassManager:
        """What comes after routing. A plain pass manager, since a staged one takes no layout from outside."""
        from qiskit.transpiler import PassManager

        manager = self._preset()
        manager.init = manager.layout = manager.routing = None
        return PassManager(manager.to_flow_controller())

    @cached_property
    def _routings(self) -> list[StagedPassManager]:
        level = max(2, self._options.optimization_level)
        return [self._routing(self._options.seed + number, level) for number in range(ROUTINGS)]

    @cached_property
    def _quick_routings(self) -> list[StagedPassManager]:
        return [self._routing(self._options.seed, 1)]

    def _routing(self, seed: int, level: int) -> StagedPassManager:
        """Layout and routing by SABRE alone, as thorough as at that level; Qiskit's preset adds its random search."""
        from qiskit.transpiler import generate_preset_pass_manager
        from qiskit.transpiler.passes import SabreSwap
        from qiskit.transpiler.preset_passmanagers.common import generate_routing_passmanager

        manager = self._preset()
        manager.init = None
        manager.layout = generate_preset_pass_manager(
            optimization_level=level,
            target=self._target,
            layout_method="sabre",
            seed_transpiler=seed,
        ).layout
        manager.routing = generate_routing_passmanager(
            SabreSwap(self._target, heuristic="decay", seed=seed, trials=5 if level == 1 else 20), self._target
        )
        return manager

    def _preset(self) -> StagedPassManager:
        """Qiskit's, told that there is a layout: level 3 would search for another at its end."""
        from qiskit.transpiler import generate_preset_pass_manager

        return generate_preset_pass_manager(
            optimization_level=self._options.optimization_level,
            target=self._target,
            initial_layout=list(range(self._device.num_qubits)),
            seed_transpiler=self._options.seed,
        )


def _pairs(circuit: QuantumCircuit) -> set[tuple[int, int]]:
    """Qubits that meet in a gate on two, inside control flow too; others on two or more bits are no gates."""
    from qiskit.circuit import ControlFlowOp

    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    found = set()
    for item in circuit.data:
        qubits = [index[qubit] for qubit in item.qubits]
        if isinstance(item.operation, ControlFlowOp):
            for block in item.operation.blocks:
                found |= {(min(a, b), max(a, b)) for a, b in ((qubits[x], qubits[y]) for x, y in _pairs(block))}
        elif len(qubits) == 2 and item.name not in ("barrier", "delay"):
            found.add((min(qubits), max(qubits)))
    return found


def _moved(circuit: QuantumCircuit, where: Mapping[int, int], width: int) -> QuantumCircuit:
    """The circuit with qubit i on qubit ``where[i]`` of ``width``; a barrier drops the qubits that are nowhere."""
    from qiskit import QuantumCircuit, QuantumRegister

    wide = QuantumCircuit(
        QuantumRegister(width, "q"),
        circuit.clbits,
        *circuit.cregs,
        name=circuit.name,
        global_phase=circuit.global_phase,
        metadata=circuit.metadata,
    )
    for variable in circuit.iter_declared_vars():
        wide.add_uninitialized_var(variable)
    there = {bit: wide.qubits[where[position]] for position, bit in enumerate(circuit.qubits) if position in where}
    for item in circuit.data:
        qubits = [there[qubit] for qubit in item.qubits if qubit in there]
        if len(qubits) == len(item.qubits):
            wide._append(item.replace(qubits=qubits))
        elif item.name == "barrier" and qubits:
            wide.barrier(*qubits)
    return wide
