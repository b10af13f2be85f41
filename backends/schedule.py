"""When each instruction of a transpiled circuit starts, from published durations. Plain Python over the instructions.

As soon as possible: an instruction starts once all its qubits are free; a barrier holds its qubits until the last of
them is. Qubits start in their ground state, which does not decay, so waiting counts from a qubit's first operation on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.errors import CalibrationMissing

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from backends.calibration import Calibration

_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Wait:
    """``qubit``, an index of the circuit, idles ``duration_s`` before instruction ``before``, perhaps a readout."""

    before: int
    qubit: int
    duration_s: float
    then_measured: bool


@dataclass(frozen=True)
class Schedule:
    """One circuit's timeline.

    Attributes:
        duration_s: from the first start to the last end.
        waits: idle intervals, in order of the instruction they precede.
        gates: gates that were found in the calibration: name and device qubits, once per turn of a loop.
        measured: device qubit of every measurement.
        starts_s: when each instruction starts.
    """

    duration_s: float
    waits: tuple[Wait, ...]
    gates: tuple[tuple[str, tuple[int, ...]], ...]
    measured: tuple[int, ...]
    starts_s: tuple[float, ...]


def schedule(circuit: QuantumCircuit, calibration: Calibration, qubits: Sequence[int] | None = None) -> Schedule:
    """Schedule a transpiled circuit.

    A control-flow block starts when all its bits are free and takes as long as its slowest body times its turns (a
    while loop: one turn); waiting inside bodies is not counted.

    Args:
        circuit: transpiled to the device.
        calibration: of the device.
        qubits: the device's qubit behind each of the circuit's; None if they are the same.

    Raises:
        CalibrationMissing: the calibration does not list a gate on its qubits.
    """
    table = calibration.gate_table
    physical = range(len(calibration.qubits)) if qubits is None else qubits
    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    free_s = [0.0] * circuit.num_qubits  # when the next instruction may start
    idle_since_s: list[float | None] = [None] * circuit.num_qubits  # end of the last operation; None: still untouched
    written_s: dict[Any, float] = {}  # classical bit -> when its measurement ends
    waits: list[Wait] = []
    gates: list[tuple[str, tuple[int, ...]]] = []
    measured: list[int] = []
    starts_s: list[float] = []
    for number, item in enumerate(circuit.data):
        name, local = item.name, [index[qubit] for qubit in item.qubits]
        start_s = max((free_s[qubit] for qubit in local), default=0.0)
        if name in ("barrier", "delay"):
            for qubit in local:
                free_s[qubit] = start_s + (_delay_s(item.operation) if name == "delay" else 0.0)
            starts_s.append(start_s)
            continue
        if name == "measure":
            duration_s = calibration.qubits[physical[local[0]]].readout_duration_s
            measured.append(physical[local[0]])
            written_s[item.clbits[0]] = start_s + duration_s
        elif item.is_control_flow():
            start_s = max([start_s, *(written_s.get(bit, 0.0) for bit in item.clbits)])
            duration_s = _block(item.operation, calibration, [physical[qubit] for qubit in local], gates, measured)
        else:
            key = (name, tuple(physical[qubit] for qubit in local))
            gate = table.get(key)
            if gate is None:
                if name == "reset":
                    duration_s = calibration.qubits[physical[local[0]]].readout_duration_s  # measured, then flipped
                else:
                    raise CalibrationMissing(
                        f"the calibration lists no gate {name!r} on qubits {key[1]}: transpile to this device"
                    )
            else:
                duration_s = gate.duration_s
                gates.append(key)
        starts_s.append(start_s)
        for qubit in local:
            since_s = idle_since_s[qubit]
            if since_s is not None and start_s > since_s:
                waits.append(Wait(number, qubit, start_s - since_s, name == "measure"))
            free_s[qubit] = start_s + duration_s
            if since_s is not None or duration_s > 0.0:  # a virtual gate does not take a qubit out of its ground state
                idle_since_s[qubit] = free_s[qubit]
    return Schedule(max(free_s, default=0.0), tuple(waits), tuple(gates), tuple(measured), tuple(starts_s))


def _block(
    operation: Any,
    calibration: Calibration,
    qubits: Sequence[int],
    gates: list[tuple[str, tuple[int, ...]]],
    measured: list[int],
) -> float:
    """Duration of a control-flow block; the slowest body's gates and measurements are added to the lists."""
    from circuits.structure import iterations

    bodies = [schedule(body, calibration, qubits) for body in operation.blocks]
    turns = iterations(operation)
    slowest = max(bodies, key=lambda body: body.duration_s)
    gates.extend(slowest.gates * turns)
    measured.extend(slowest.measured * turns)
    return turns * slowest.duration_s


def _delay_s(operation: Any) -> float:
    if operation.unit not in _UNITS_S:
        raise CalibrationMissing(f"wanted a delay in s, ms, us or ns, got {operation.duration} {operation.unit}")
    return float(operation.duration) * _UNITS_S[operation.unit]
